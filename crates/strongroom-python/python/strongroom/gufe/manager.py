"""A unit's files, between its scratch folder and a storage."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal

from . import _bases
from ._bases import ExternalStorage
from ._location import canonical
from ._scratch import files_of
from ._store_files import store_files
from .base import BaseStorage, LocalPath, Location, write_whole
from .handle import Handle
from .receipt import Entry, Receipt

if TYPE_CHECKING:
    from typing_extensions import Self


class StorageManager(_bases.StorageManager):
    """Registers the files of one unit, transfers them to a storage under the unit's name, and loads those of others.

    As a context manager it transfers when the block ends well. When it raises, nothing appears under the unit's name;
    what was written is kept under the name of the attempt, if there is one.

    :param scratch_dir: the folder in which the unit writes.
    :param storage: where registered files go.
    :param dag_label: the name of the campaign, whose units share a storage.
    :param unit_label: the name of the unit in it.
    :param container: what handles call the storage: ``shared``, ``permanent``.
    :param attempt: the number of this try, under whose name, ``dag/unit.1``, the files of one that failed are kept.
    :raises InvalidResourceError: if the labels are no location.
    """

    #: The folder in which the unit writes.
    scratch_dir: Path
    #: Where registered files go.
    storage: ExternalStorage
    #: The registered names, relative to the scratch folder.
    registry: set[str]

    def __init__(
        self,
        scratch_dir: LocalPath,
        storage: ExternalStorage,
        dag_label: str,
        unit_label: str,
        *,
        container: str = "permanent",
        attempt: int | None = None,
    ) -> None:
        self.scratch_dir = Path(scratch_dir)
        self.storage = storage
        self.registry = set()
        self.container = container
        self.attempt = attempt
        self._namespace = self.append_to_namespace(dag_label, unit_label)
        for name in (dag_label, unit_label, self._namespace):
            canonical(name)

    @property
    def namespace(self) -> str:
        """``<dag>/<unit>``, which the locations of transferred files begin with."""
        return self._namespace

    @staticmethod
    def append_to_namespace(namespace: str, filename: str) -> str:
        """``<namespace>/<filename>``, with both as they are."""
        return f"{namespace}/{filename}"

    def register(self, filename: Location) -> Handle:
        """Says that a file or folder matters, written or not yet, and gives the handle by which others load it.

        :param filename: relative to the scratch folder, or an absolute path in it.
        :raises InvalidResourceError: if it is outside.
        """
        name = self._name(filename)
        handle = self._handle(self.namespace, name)
        self.registry.add(name)
        return handle

    def __contains__(self, filename: object) -> bool:
        """Whether a name, not a handle, is registered."""
        if not isinstance(filename, (str, os.PathLike)):
            return False
        try:
            return self._name(filename) in self.registry
        except _bases.ExternalResourceError:
            return False

    def load(self, filename: Location) -> bytes:
        """What is stored under a handle, whoever stored it.

        :raises MissingExternalResourceError: if there is nothing.
        """
        with self.load_stream(filename) as stream:
            return stream.read()

    def load_stream(self, filename: Location) -> AbstractContextManager[IO[bytes]]:
        """:meth:`load` as a context manager that gives a binary file."""
        return self.storage.load_stream(canonical(filename))

    def load_range(self, filename: Location, start: int, end: int) -> bytes:
        """The bytes from ``start`` to before ``end`` of what is stored under a handle."""
        if isinstance(self.storage, BaseStorage):
            return self.storage.load_bytes(filename, start, end)
        return self.load(filename)[start:end]

    def load_path(self, filename: Location, path: LocalPath) -> None:
        """Writes what is stored under a handle to a local file."""
        if isinstance(self.storage, BaseStorage):
            return self.storage.load_path(filename, path)
        with self.load_stream(filename) as stream:
            write_whole(stream, path)

    def transfer(self) -> Receipt:
        """Stores all registered files, and those in registered folders, under the unit's name: all, or none.

        :raises FileNotFoundError: if one of them was not written.
        """
        return self._store(self.namespace, self.registry)

    def _transfer(self) -> None:
        self.transfer()

    def transfer_file(self, filename: Location) -> None:
        """Stores one file or folder, registered or not.

        :raises FileNotFoundError: if it was not written.
        """
        self._store(self.namespace, {self._name(filename)})

    def keep_partial(self) -> Receipt:
        """Stores what there is of the registered files under the name of the attempt, ``dag/unit.1``."""
        number = 1 if self.attempt is None else self.attempt
        return self._store(f"{self.namespace}.{number}", self.registry.difference(self.unwritten()))

    def unwritten(self) -> list[str]:
        """The registered names under which there is nothing in the scratch folder."""
        return sorted(name for name in self.registry if not (self.scratch_dir / name).exists())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if error is None:
            self.transfer()
        else:
            self._give_up(error)
        return False

    def _give_up(self, error: BaseException) -> None:
        # The unit's own error is the one to report, and all else is a note on it.
        for name in self.unwritten():
            _note(error, f"{name} was registered and not written")
        if self.attempt is None:
            return
        try:
            self.keep_partial()
        except Exception as second:
            _note(error, f"what was written was not kept: {second}")

    def _store(self, namespace: str, names: set[str]) -> Receipt:
        found = files_of(self.scratch_dir, sorted(names))
        handles = {name: self._handle(namespace, name) for name in found}
        if not handles:
            return Receipt()
        stored = store_files(self.storage, {str(handle): found[name] for name, handle in handles.items()})
        known = {one.location: one for one in stored}
        return Receipt(
            tuple(Entry(name, handle, known[handle].size, known[handle].digest) for name, handle in handles.items())
        )

    def _name(self, filename: Location) -> str:
        return canonical(filename, os.path.abspath(self.scratch_dir))

    def _handle(self, namespace: str, name: str) -> Handle:
        return Handle(self.append_to_namespace(namespace, name), self.container)

    def __repr__(self) -> str:
        return f"<strongroom.gufe.StorageManager of {self.namespace!r}, {len(self.registry)} registered>"


def _note(error: BaseException, text: str) -> None:
    # Python 3.10 has no notes.
    if hasattr(error, "add_note"):
        error.add_note(text)
