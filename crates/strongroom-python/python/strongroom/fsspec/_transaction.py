"""A transaction, which is one commit of each namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec.transaction import Transaction  # type: ignore[import-untyped]

from ._changes import Changes

if TYPE_CHECKING:
    from ._filesystem import StrongroomFileSystem


class StrongroomTransaction(Transaction):  # type: ignore[misc]
    """Everything that is written, copied and removed in the block appears at its end, or nothing of it.

    Until then all that is read is what was there before. Local files that are put are taken as they are at the end.
    """

    def __init__(self, fs: StrongroomFileSystem, **options: Any) -> None:
        super().__init__(fs, **options)
        self.changes = Changes(fs.store)

    def start(self) -> None:
        """Begins.

        :raises RuntimeError: if there is one under way: one is not part of another.
        """
        if self.fs._intrans:
            raise RuntimeError("a transaction of this file system is under way already")
        super().start()
        self.changes = Changes(self.fs.store)

    def complete(self, commit: bool = True) -> None:
        """Ends: commits, or gives up."""
        try:
            if commit:
                self._check_closed()
                self.changes.commit()
        finally:
            # What was written is in the store, or not wanted.
            super().complete(commit=False)

    def _check_closed(self) -> None:
        for file in self.files:
            if not file.closed:
                raise ValueError(f"{file.path} is still open at the end of the transaction, and so nothing is stored")
