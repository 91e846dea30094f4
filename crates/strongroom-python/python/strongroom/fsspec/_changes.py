"""What is to happen at once."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from .._storage import Mode
from .._store import Batch, Store
from ..errors import AlreadyExistsError
from ._listing import prefix_of


@dataclass(frozen=True)
class _Put:
    """Bytes, or the path of a file."""

    source: bytes | str
    mode: Mode

    def add(self, batch: Batch, location: str) -> None:
        if isinstance(self.source, bytes):
            batch.store_bytes(location, self.source, mode=self.mode)
        else:
            batch.store_path(location, self.source, mode=self.mode)


@dataclass(frozen=True)
class _Copy:
    """What is in the store elsewhere."""

    source: str
    mode: Mode

    def add(self, batch: Batch, location: str) -> None:
        batch.copy(self.source, location, mode=self.mode)


class _Delete:
    def add(self, batch: Batch, location: str) -> None:
        batch.delete(location, missing_ok=True)


class Changes:
    """Puts, copies and removals in the order in which they were asked for, which become one batch.

    A batch does not say what a later call in it sees of an earlier one. Here a copy of what was put is that, and of several
    changes to a location the last counts.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[str, _Put | _Copy | _Delete] = {}

    def __contains__(self, location: str) -> bool:
        """Whether there will be something through these changes."""
        return isinstance(self._pending.get(location), (_Put, _Copy))

    def removes(self, location: str) -> bool:
        """Whether there will be nothing through these changes."""
        return isinstance(self._pending.get(location), _Delete)

    def at(self, location: str) -> object | None:
        """The change to a location, if there is one."""
        return self._pending.get(location)

    def below(self, path: str) -> list[str]:
        """Where there will be something through these changes, of an object and what is in the folder of that name."""
        prefix = prefix_of(path)
        return [at for at in self._pending if at in self and (at == path or at.startswith(prefix))]

    def open(self, location: str) -> IO[bytes]:
        """What will be there."""
        change = self._pending[location]
        if isinstance(change, _Copy):
            return self._store.load_stream(change.source)
        if isinstance(change, _Put):
            return io.BytesIO(change.source) if isinstance(change.source, bytes) else open(change.source, "rb")
        raise missing(location)

    def put(self, location: str, source: bytes | str, mode: Mode) -> None:
        """Puts bytes, or a file as it is in the end."""
        self._pending[location] = _Put(source, self._mode(location, mode))

    def copy(self, source: str, location: str, mode: Mode) -> None:
        """Gives what is or will be at ``source`` another name."""
        mode = self._mode(location, mode)
        change = self._pending.get(source)
        if isinstance(change, _Delete):
            raise missing(source)
        if isinstance(change, _Put):
            self._pending[location] = _Put(change.source, mode)
        else:
            self._pending[location] = _Copy(source if change is None else change.source, mode)

    def delete(self, locations: Iterable[str]) -> None:
        """Removes what is or would be there."""
        self._pending.update((location, _Delete()) for location in locations)

    def commit(self) -> None:
        """Does all of it."""
        if self._pending:
            self._batch().commit()

    async def commit_async(self) -> None:
        """:meth:`commit` for ``async`` callers."""
        if self._pending:
            await self._batch().commit_async()

    def _batch(self) -> Batch:
        batch = self._store.batch()
        for location, change in self._pending.items():
            change.add(batch, location)
        return batch

    def _mode(self, location: str, mode: Mode) -> Mode:
        """How it is put in the end, so that what had to be new when it was asked for first still has to be."""
        before = self._pending.get(location)
        if before is None:
            return mode
        if isinstance(before, _Delete):
            return "overwrite"
        if mode == "create":
            raise AlreadyExistsError(f"store {location}: it is in this transaction already", "store", location)
        return before.mode


def missing(path: str) -> FileNotFoundError:
    """That there is nothing."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
