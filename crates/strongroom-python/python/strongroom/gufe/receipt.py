"""What a transfer stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ._bases import ChangedExternalResourceError, ExternalStorage
from .base import BaseStorage
from .handle import Handle


@dataclass(frozen=True)
class Entry:
    """One file of a transfer."""

    #: The file's name in scratch.
    name: str
    #: Where it is now.
    handle: Handle
    #: How many bytes.
    size: int
    #: ``b3:`` or ``md5:`` and the digest in hexadecimal.
    digest: str


@dataclass(frozen=True)
class Receipt:
    """What a transfer stored, sorted by name. Plain data: it pickles, and :meth:`to_dict` is for JSON."""

    entries: tuple[Entry, ...] = ()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def verify(self, storage: ExternalStorage) -> None:
        """Compares all files with what is in ``storage`` now.

        :raises ChangedExternalResourceError: if one has other content.
        :raises MissingExternalResourceError: if one is not there.
        """
        for entry in self.entries:
            found = _digest_of(storage, entry.handle, entry.digest)
            if found != entry.digest:
                raise ChangedExternalResourceError(
                    f"{entry.handle}: its content changed, from {entry.digest} to {found}"
                )

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "entries": [
                {"name": entry.name, "handle": entry.handle.to_dict(), "size": entry.size, "digest": entry.digest}
                for entry in self.entries
            ]
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Receipt:
        """What :meth:`to_dict` gave."""
        return cls(
            tuple(
                Entry(entry["name"], Handle.from_dict(entry["handle"]), entry["size"], entry["digest"])
                for entry in data["entries"]
            )
        )


def _digest_of(storage: ExternalStorage, location: str, recorded: str) -> str:
    if recorded.startswith("md5:") or not isinstance(storage, BaseStorage):
        return f"md5:{storage.get_metadata(location).md5}"
    return storage.digest(location)
