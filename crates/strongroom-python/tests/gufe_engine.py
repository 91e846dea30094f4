"""A small engine as gufe has it in generation B, written from sections 2.6 and 3.5 of its description.

Of storage it calls what gufe calls: a manager's ``register``, ``load`` and ``_transfer``.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from strongroom.gufe import ExternalStorage, StorageManager, clear_dag


class ExecutionInterrupt(Exception):
    """Ends the whole DAG, and is never a unit's failure."""


class Context:
    """What a unit runs in."""

    def __init__(
        self,
        dag_label: str,
        unit_label: str,
        scratch: Path,
        shared_storage: ExternalStorage,
        permanent_storage: ExternalStorage,
        stderr: Path | None = None,
        stdout: Path | None = None,
    ) -> None:
        self.scratch = scratch
        self.shared = StorageManager(scratch, shared_storage, dag_label, unit_label)
        self.permanent = StorageManager(scratch, permanent_storage, dag_label, unit_label)
        self.stderr = stderr
        self.stdout = stdout

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.shared._transfer()
            self.permanent._transfer()
        finally:
            for folder in (self.stderr, self.stdout):
                if folder is not None:
                    shutil.rmtree(folder)


@dataclass(frozen=True)
class Unit:
    """A step: what it does with its context and its inputs, and the units whose outputs are among them."""

    key: str
    run: Callable[..., dict[str, Any]]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dag:
    """Units, in an order in which each comes after those it needs."""

    key: str
    units: Sequence[Unit]


@dataclass
class Result:
    """What came of one attempt of a unit."""

    unit: str
    outputs: dict[str, Any] = field(default_factory=dict)
    exception: tuple[str, tuple[Any, ...]] | None = None
    traceback: str | None = None
    stderr: dict[str, bytes] = field(default_factory=dict)
    stdout: dict[str, bytes] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.exception is None


def execute_unit(unit: Unit, context: Context, raise_error: bool, **inputs: Any) -> Result:
    """Runs a unit; a failure is a result, unless it is to be raised."""
    try:
        result = Result(unit.key, unit.run(context, **inputs))
    except (KeyboardInterrupt, ExecutionInterrupt):
        raise
    except Exception as error:
        if raise_error:
            raise
        result = Result(unit.key, {}, (type(error).__qualname__, error.args), traceback.format_exc())
    result.stderr, result.stdout = captured(context.stderr), captured(context.stdout)
    return result


def captured(folder: Path | None) -> dict[str, bytes]:
    """The files of a folder."""
    return {} if folder is None else {path.name: path.read_bytes() for path in folder.iterdir()}


def execute_DAG(  # noqa: N802
    dag: Dag,
    *,
    shared_storage: ExternalStorage,
    perm_storage: ExternalStorage,
    scratch_basedir: Path,
    stderr_basedir: Path | None = None,
    stdout_basedir: Path | None = None,
    keep_shared: bool = False,
    keep_scratch: bool = False,
    raise_error: bool = True,
    n_retries: int = 0,
) -> list[Result]:
    """Runs all units, one after the other; ends after the last attempt of one that fails."""
    if n_retries < 0:
        raise ValueError("n_retries can't be negative")
    results: list[Result] = []
    outputs: dict[str, dict[str, Any]] = {}

    def folder(base: Path | None, unit: Unit, attempt: int, kind: str) -> Path | None:
        if base is None:
            return None
        made = base / f"{kind}_{unit.key}_attempt_{attempt}"
        made.mkdir()
        return made

    def attempt_unit(unit: Unit, attempt: int) -> Result:
        scratch = folder(scratch_basedir, unit, attempt, "scratch")
        assert scratch is not None
        try:
            with Context(
                dag.key,
                unit.key,
                scratch,
                shared_storage,
                perm_storage,
                stderr=folder(stderr_basedir, unit, attempt, "stderr"),
                stdout=folder(stdout_basedir, unit, attempt, "stdout"),
            ) as context:
                inputs = {name: outputs[name] for name in unit.after}
                return execute_unit(unit, context, raise_error and attempt == n_retries, **inputs)
        finally:
            if not keep_scratch:
                shutil.rmtree(scratch)

    try:
        for unit in dag.units:
            for attempt in range(n_retries + 1):
                results.append(attempt_unit(unit, attempt))
                if results[-1].ok:
                    break
            if not results[-1].ok:
                break
            outputs[unit.key] = results[-1].outputs
    finally:
        if not keep_shared:
            clear_dag(shared_storage, dag.key, perm_storage)
    return results
