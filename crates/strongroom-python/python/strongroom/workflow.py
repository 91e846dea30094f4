"""Storage for the units of a workflow: register, transfer, load.

A unit writes files into a scratch directory of its own, *registers* those that matter and gets a :class:`Handle` for each; when
its work is done, all of them are stored under the unit's name, or none; units after it *load* them by handle::

    def simulate(context):
        handle = context.shared.register("energy.csv")
        (context.scratch / "energy.csv").write_text("-1.5\\n-1.7\\n")
        return {"energies": handle}

    def average(context):
        text = context.load(context.results["simulate"]["energies"]).decode()
        energies = [float(line) for line in text.split()]
        return sum(energies) / len(energies)

    store = strongroom.create("campaign-store")
    result = run_dag(
        "campaign-7",
        [Unit("simulate", simulate), Unit("average", average, after=["simulate"])],
        shared=store, permanent=store, scratch_dir="scratch",
    )
    result.value("average")

Results are what JSON knows, and handles. A unit whose result is there already for the same inputs is not run again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _strongroom
from ._operation import awaited
from ._storage import LocalFile, Location, Storage

if TYPE_CHECKING:
    import io

    from typing_extensions import Self

__all__ = [
    "DagResult",
    "Handle",
    "ReceiptEntry",
    "StorageManager",
    "Unit",
    "UnitContext",
    "UnitFailedError",
    "UnitFailure",
    "UnitResult",
    "run_dag",
]

#: The keys of a handle in JSON, which other programs know too.
CONTAINER, LABEL = ":container:", ":label:"


@dataclass(frozen=True)
class Handle:
    """Which storage, and where in it. It names no place, so it outlives serialisation, moves, and the process."""

    #: The storage's name: ``shared``, ``permanent``, or one of your own.
    storage: str
    location: str

    def __str__(self) -> str:
        return self.location

    def to_dict(self) -> dict[str, str]:
        """Itself for JSON."""
        return {CONTAINER: self.storage, LABEL: self.location}

    @classmethod
    def from_dict(cls, known: Mapping[str, str]) -> Handle:
        """Itself from JSON.

        :raises KeyError: if that is none.
        """
        return cls(known[CONTAINER], known[LABEL])


@dataclass(frozen=True)
class ReceiptEntry:
    """What was stored of one registered file."""

    name: str
    handle: Handle
    size: int
    digest: str


class StorageManager:
    """Registers files of a scratch directory, and moves them into the namespace ``dag/unit`` of a storage.

    As a context manager it transfers at the end of the block, unless it raises.
    """

    def __init__(
        self,
        scratch_dir: str | os.PathLike[str],
        storage: Storage,
        dag: str,
        unit: str,
        *,
        storage_name: str = "permanent",
    ) -> None:
        native = _strongroom.Manager(Path(scratch_dir), storage._native, dag, unit, storage_name)
        self._begin(native, storage)

    def _begin(self, native: _strongroom.Manager, storage: Storage) -> None:
        self._native = native
        #: Where the files go.
        self.storage = storage

    @classmethod
    def _of(cls, native: _strongroom.Manager, storage: Storage) -> StorageManager:
        manager = cls.__new__(cls)
        manager._begin(native, storage)
        return manager

    @property
    def scratch_dir(self) -> Path:
        """Where the files are written first."""
        return self._native.scratch_dir

    @property
    def namespace(self) -> str:
        """Where they go: ``dag/unit``."""
        return self._native.namespace

    @property
    def registered(self) -> list[str]:
        """The names that are registered, in order."""
        return self._native.registered()

    def register(self, name: str | os.PathLike[str]) -> Handle:
        """Says that a file or folder of the scratch directory, which need not be there yet, is to be stored.

        :raises InvalidError: if it is outside.
        """
        return Handle(*self._native.register(Path(name)))

    def transfer(self) -> list[ReceiptEntry]:
        """Stores all that is registered, at once where the storage can.

        :raises MissingError: if a file was never written; then nothing is stored.
        """
        return _receipt(json.loads(self._native.transfer().wait()))

    async def transfer_async(self) -> list[ReceiptEntry]:
        """:meth:`transfer` for ``async`` callers."""
        transferred = await awaited(self._native.transfer())
        return _receipt(json.loads(transferred))

    def transfer_file(self, name: str | os.PathLike[str]) -> list[ReceiptEntry]:
        """Stores one file or folder, registered or not."""
        return _receipt(json.loads(self._native.transfer_file(Path(name)).wait()))

    def load(self, handle: Handle | Location, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of what a handle means, as :meth:`Storage.load`."""
        return self.storage.load(_location(handle), start, end)

    def load_stream(self, handle: Handle | Location) -> io.BufferedReader:
        """As :meth:`Storage.load_stream`."""
        return self.storage.load_stream(_location(handle))

    def path(self, handle: Handle | Location) -> LocalFile:
        """As :meth:`Storage.path`."""
        return self.storage.path(_location(handle))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, (str, os.PathLike)) and self._native.contains(Path(name))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.transfer()

    def __repr__(self) -> str:
        return f"<strongroom.StorageManager of {self.namespace!r} in {self.storage!r}>"


class UnitContext:
    """What a unit has while it runs."""

    def __init__(self, native: _strongroom.UnitContext, storages: Mapping[str, Storage]) -> None:
        #: A directory of this attempt's own.
        self.scratch: Path = native.scratch
        #: A directory for files whose text becomes part of the result.
        self.stdout: Path = native.stdout
        #: The same for what went wrong.
        self.stderr: Path = native.stderr
        #: For files that units of the same DAG need; gone when the DAG ends.
        self.shared = StorageManager._of(native.shared, storages["shared"])
        #: For files that are to stay.
        self.permanent = StorageManager._of(native.permanent, storages["permanent"])
        #: The unit's inputs.
        self.inputs: Any = _read(native.inputs)
        #: The results of the units that this one is after, by name.
        self.results: dict[str, Any] = _read(native.results)
        #: The number of this attempt, from 1.
        self.number: int = native.number
        #: Its name: ``dag/unit.2``.
        self.attempt: str = native.attempt
        self._storages = storages

    def load(self, handle: Handle, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of what a handle means."""
        return self._storages[handle.storage].load(handle.location, start, end)

    def load_stream(self, handle: Handle) -> io.BufferedReader:
        """The same as a file."""
        return self._storages[handle.storage].load_stream(handle.location)

    def path(self, handle: Handle) -> LocalFile:
        """The same as a real local file."""
        return self._storages[handle.storage].path(handle.location)


@dataclass(frozen=True)
class Unit:
    """A unit of work: a name, what it does, what it needs.

    A result is used again when name, inputs, and the results and files of the units before are the same. A change of the code
    is not seen: put a version into the inputs.
    """

    name: str
    #: Does it, on a thread of its own, and returns what JSON knows, and handles; a tuple comes back as a list. Called again after a
    #: failure, in a new context.
    work: Callable[[UnitContext], Any]
    inputs: Any = None
    #: The names of the units before it.
    after: Sequence[str] = ()


@dataclass(frozen=True)
class UnitFailure:
    """An attempt that failed."""

    attempt: str
    error: str
    notes: list[str]
    #: What it had registered and written, stored under the attempt's own name.
    shared: list[ReceiptEntry]
    permanent: list[ReceiptEntry]
    stdout: dict[str, str]
    stderr: dict[str, str]
    #: What the work raised, if it did in this process.
    exception: BaseException | None = None


@dataclass(frozen=True)
class UnitResult:
    """What came of a unit."""

    unit: str
    #: What its work returned.
    value: Any
    #: The attempt that failed last, if the unit failed.
    failure: UnitFailure | None
    #: Attempts that failed before.
    earlier: list[UnitFailure]
    #: Whether it was there already and the unit was not run.
    reused: bool
    warnings: list[str]
    shared: list[ReceiptEntry] = field(default_factory=list)
    permanent: list[ReceiptEntry] = field(default_factory=list)
    stdout: dict[str, str] = field(default_factory=dict)
    stderr: dict[str, str] = field(default_factory=dict)


class UnitFailedError(RuntimeError):
    """A unit failed for good. What its work raised is the cause."""

    def __init__(self, failure: UnitFailure) -> None:
        super().__init__("; ".join([f"{failure.attempt}: {failure.error}", *failure.notes]))
        self.failure = failure


@dataclass(frozen=True)
class DagResult:
    """What came of a DAG."""

    #: The units that were run or whose results were there, by name.
    units: dict[str, UnitResult]
    #: Those that were not, after a failure.
    not_run: list[str]
    warnings: list[str]

    @property
    def is_ok(self) -> bool:
        """Whether every unit has its result."""
        return not self.not_run and all(result.failure is None for result in self.units.values())

    def value(self, name: str) -> Any:
        """What a unit's work returned.

        :raises KeyError: if it was not run.
        :raises UnitFailedError: if it failed.
        """
        result = self.units[name]
        if result.failure is not None:
            raise UnitFailedError(result.failure) from result.failure.exception
        return result.value


def run_dag(
    name: str,
    units: Iterable[Unit],
    *,
    shared: Storage,
    permanent: Storage,
    scratch_dir: str | os.PathLike[str],
    retries: int = 0,
    parallel: int | None = None,
    keep_scratch: bool = False,
    keep_shared: bool = False,
    keep_partial: bool = True,
    reuse_results: bool = True,
    raise_error: bool = True,
) -> DagResult:
    """Runs units, each when those that it is after are done, several at once, on threads of this process.

    However it ends, scratch directories are removed and what the DAG has in shared storage goes (unless that is the permanent
    one). Ctrl-C begins no more units and stores nothing of those under way, which run to their end.

    :param retries: how often a unit that failed is tried again.
    :param parallel: how many units run at once; by default as many as there are processors.
    :param keep_partial: store what a failed attempt has registered, under the attempt's own name.
    :param reuse_results: take results that are there already for the same inputs, and remember new ones.
    :param raise_error: raise when a unit failed for good; otherwise the result says so.
    :raises UnitFailedError: from what the unit's work raised.
    :raises InvalidError: if units depend on each other in a circle or on one that is not there, or a name is no name.
    """
    storages = {"shared": shared, "permanent": permanent}
    raised: dict[str, BaseException] = {}
    given = [(unit.name, _written(unit.inputs), list(unit.after), _work(unit, storages, raised)) for unit in units]
    outcome = _strongroom.run_dag(
        name,
        given,
        shared._native,
        permanent._native,
        Path(scratch_dir),
        retries=retries,
        parallel=parallel,
        keep_scratch=keep_scratch,
        keep_shared=keep_shared,
        keep_partial=keep_partial,
        reuse_results=reuse_results,
    )
    known = _read(outcome.wait())
    results = {result["unit"]: _unit_result(result, raised) for result in known["units"]}
    result = DagResult(results, known["not_run"], known["warnings"])
    for unit in results.values() if raise_error else ():
        if unit.failure is not None:
            raise UnitFailedError(unit.failure) from unit.failure.exception
    return result


def _work(
    unit: Unit, storages: Mapping[str, Storage], raised: dict[str, BaseException]
) -> Callable[[_strongroom.UnitContext], str]:
    def work(native: _strongroom.UnitContext) -> str:
        try:
            return _written(unit.work(UnitContext(native, storages)))
        except BaseException as error:
            raised[native.attempt] = error
            raise

    return work


def _unit_result(known: dict[str, Any], raised: Mapping[str, BaseException]) -> UnitResult:
    outcome = known["outcome"]
    common = {
        "unit": known["unit"],
        "earlier": [_failure(failure, raised) for failure in known["earlier"]],
        "reused": known["reused"],
        "warnings": known["warnings"],
    }
    if "Err" in outcome:
        return UnitResult(value=None, failure=_failure(outcome["Err"], raised), **common)
    success = outcome["Ok"]
    return UnitResult(
        value=success["value"],
        failure=None,
        shared=_receipt(success["shared"]),
        permanent=_receipt(success["permanent"]),
        stdout=success["stdout"],
        stderr=success["stderr"],
        **common,
    )


def _failure(known: dict[str, Any], raised: Mapping[str, BaseException]) -> UnitFailure:
    return UnitFailure(
        attempt=known["attempt"],
        error=known["error"],
        notes=known["notes"],
        shared=_receipt(known["shared"]),
        permanent=_receipt(known["permanent"]),
        stdout=known["stdout"],
        stderr=known["stderr"],
        exception=raised.get(known["attempt"]),
    )


def _receipt(known: dict[str, Any]) -> list[ReceiptEntry]:
    def entry(entry: dict[str, Any]) -> ReceiptEntry:
        handle = entry["handle"]
        handle = handle if isinstance(handle, Handle) else Handle.from_dict(handle)
        return ReceiptEntry(entry["name"], handle, entry["size"], f"b3:{entry['blake3']}")

    return [entry(each) for each in known["entries"]]


def _written(value: Any) -> str:
    _check(value)
    return json.dumps(value, default=_handle_for_json)


def _check(value: Any) -> None:
    """Refuses what would come back as something else."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a unit takes and gives what JSON knows, which has no {value}")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(f"a unit takes and gives integers of 64 bits, not {value}")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"a unit takes and gives what JSON knows, whose keys are text, not {key!r}")
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for one in value:
        _check(one)


def _handle_for_json(value: object) -> dict[str, str]:
    if isinstance(value, Handle):
        return value.to_dict()
    raise TypeError(f"a unit takes and gives what JSON knows, and handles, not {type(value).__name__}")


def _read(text: str) -> Any:
    return json.loads(text, object_hook=lambda read: Handle.from_dict(read) if read.keys() == _KEYS else read)


_KEYS = {CONTAINER, LABEL}


def _location(handle: Handle | Location) -> Location:
    return handle.location if isinstance(handle, Handle) else handle
