"""What gufe would have given, for programs that run without it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ExternalResourceError(Exception):
    """Anything that a storage could not do."""


class MissingExternalResourceError(ExternalResourceError):
    """What was to be loaded or deleted is not there."""


class ChangedExternalResourceError(ExternalResourceError):
    """Content is not what its record says."""


@dataclass
class Metadata:
    """What is known of stored content."""

    #: The MD5 of the content, in hexadecimal.
    md5: str

    def to_dict(self) -> dict[str, str]:
        """The same as plain data, for JSON."""
        return asdict(self)


class ExternalStorage(ABC):
    """Content by location strings. A storage defines the abstract methods; callers use those without an underscore."""

    def store_bytes(self, location: str, byte_data: Buffer) -> Any:
        """Stores bytes, replacing what is there."""
        return self._store_bytes(location, byte_data)

    def store_path(self, location: str, path: str | os.PathLike[str]) -> None:
        """Stores a copy of a local file."""
        self._store_path(location, path)

    def load_stream(self, location: str) -> AbstractContextManager[IO[bytes]]:
        """What ``with`` makes a binary file of.

        :raises MissingExternalResourceError: at the call, if there is nothing.
        """
        return self._load_stream(location)

    def exists(self, location: str) -> bool:
        """Whether there is something to load."""
        return self._exists(location)

    def delete(self, location: str) -> None:
        """Removes what is there.

        :raises MissingExternalResourceError: if there is nothing.
        """
        self._delete(location)

    def get_metadata(self, location: str) -> Metadata:
        """The digest of the content as it is now.

        :raises MissingExternalResourceError: if there is nothing.
        """
        return Metadata(md5=self._get_hexdigest(location))

    def get_filename(self, location: str) -> str | None:
        """What the storage itself calls it, there or not."""
        return self._get_filename(location)

    def iter_contents(self, prefix: str = "") -> Iterator[str]:
        """The locations that begin with the string ``prefix``, in no particular order."""
        return self._iter_contents(prefix)

    def __iter__(self) -> Iterator[str]:
        return self.iter_contents()

    def _get_hexdigest(self, location: str) -> str:
        from ._digest import md5_of

        with self.load_stream(location) as stream:
            return md5_of(stream)

    @abstractmethod
    def _iter_contents(self, prefix: str = "") -> Iterator[str]: ...

    @abstractmethod
    def _store_bytes(self, location: str, byte_data: Buffer) -> Any: ...

    @abstractmethod
    def _store_path(self, location: str, path: str | os.PathLike[str]) -> None: ...

    @abstractmethod
    def _exists(self, location: str) -> bool: ...

    @abstractmethod
    def _delete(self, location: str) -> None: ...

    @abstractmethod
    def _get_filename(self, location: str) -> str | None: ...

    @abstractmethod
    def _load_stream(self, location: str) -> AbstractContextManager[IO[bytes]]: ...


class FileStorage(ExternalStorage):
    """Stands for gufe's class of this name in ``isinstance``."""

    root_dir: Path


class MemoryStorage(ExternalStorage):
    """Stands for gufe's class of this name in ``isinstance``."""


class StorageManager:
    """Stands for gufe's class of this name in ``isinstance``."""
