"""What our storages have in common."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from ._bases import ExternalStorage, Metadata, MissingExternalResourceError
from ._digest import md5_of
from .stored import Stored

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Where something is: ``dag/unit/energies.csv``.
Location: TypeAlias = "str | os.PathLike[str]"
#: A local file or folder.
LocalPath: TypeAlias = "str | os.PathLike[str]"


class BaseStorage(ExternalStorage):
    """An :class:`ExternalStorage` that refuses what leaves its root, and that can do more than the interface asks for.

    Locations mean the same everywhere: ``a//b`` and ``./a/b`` are ``a/b``. A write is whole or did not happen.
    """

    # gufe's own methods, for strings and paths.

    def store_bytes(self, location: Location, byte_data: Buffer) -> Any:
        """Stores bytes, replacing what is there.

        :raises InvalidResourceError: if the location is none.
        :raises ConflictResourceError: if it can't be used beside what is there.
        """
        return self._store_bytes(location, byte_data)

    def store_path(self, location: Location, path: LocalPath) -> None:
        """Stores a copy of a local file.

        :raises FileNotFoundError: if there is no such file.
        :raises IsADirectoryError: if it is a folder.
        :raises ChangedExternalResourceError: if it changes meanwhile; then nothing is stored.
        """
        self._store_path(location, path)

    def load_stream(self, location: Location) -> IO[bytes]:
        """An object as a binary file, open already, and a context manager.

        :raises MissingExternalResourceError: if there is none.
        """
        return self._load_stream(location)

    def exists(self, location: Location) -> bool:
        """Whether there is an object. A folder is none, and what is no location has none."""
        return self._exists(location)

    def delete(self, location: Location) -> None:
        """Removes an object.

        :raises MissingExternalResourceError: if there is none.
        """
        self._delete(location)

    def get_metadata(self, location: Location) -> Metadata:
        """The MD5 of an object as it is now.

        :raises MissingExternalResourceError: if there is none.
        """
        return Metadata(md5=self._get_hexdigest(location))

    def get_filename(self, location: Location) -> str | None:
        """What the storage itself calls an object, there or not; ``None`` if it has no such name."""
        return self._get_filename(location)

    def iter_contents(self, prefix: str = "") -> Iterator[str]:
        """The locations that begin with the string ``prefix``, in no particular order. They may be removed meanwhile.

        :raises TypeError: if ``prefix`` is no string.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"a prefix is a str, not {type(prefix).__name__}")
        return self._iter_contents(prefix)

    def __iter__(self) -> Iterator[str]:
        return self.iter_contents()

    def __contains__(self, location: object) -> bool:
        return isinstance(location, (str, os.PathLike)) and self.exists(location)

    # What gufe has not.

    def load_bytes(self, location: Location, start: int = 0, end: int | None = None) -> bytes:
        """The bytes of an object from ``start`` to before ``end``.

        :raises MissingExternalResourceError: if there is none.
        """
        with self.load_stream(location) as stream:
            stream.seek(start)
            return stream.read(-1 if end is None else max(end - start, 0))

    def load_path(self, location: Location, path: LocalPath) -> None:
        """Writes an object to a local file, whole or not at all.

        :raises MissingExternalResourceError: if there is none.
        """
        with self.load_stream(location) as stream:
            write_whole(stream, path)

    def copy(self, source: Location, location: Location) -> None:
        """Stores an object under another location as well.

        :raises MissingExternalResourceError: if there is none at ``source``.
        """
        self.store_bytes(location, self.load_bytes(source))

    @abstractmethod
    def create_bytes(self, location: Location, byte_data: Buffer) -> None:
        """Stores bytes where nothing is yet.

        :raises AlreadyExistsResourceError: if something is.
        """

    @abstractmethod
    def store_paths(self, files: Mapping[str, LocalPath]) -> list[Stored]:
        """Stores copies of local files by location, in sorted order: all, or none.

        :raises FileNotFoundError: if one of them is not there.
        """

    @abstractmethod
    def size(self, location: Location) -> int:
        """How many bytes an object has.

        :raises MissingExternalResourceError: if there is none.
        """

    def digest(self, location: Location) -> str:
        """The name of an algorithm, ``:`` and the digest of an object in hexadecimal, as receipts have it.

        :raises MissingExternalResourceError: if there is none.
        """
        return f"md5:{self.get_metadata(location).md5}"

    def delete_prefix(self, prefix: str) -> list[str]:
        """Removes all objects whose location begins with the string ``prefix``, and says which."""
        removed = sorted(self.iter_contents(prefix))
        for location in removed:
            try:
                self.delete(location)
            except MissingExternalResourceError:
                # Somebody else was faster.
                continue
        return removed

    # With locations as they are given, paths too.

    @abstractmethod
    def _store_bytes(self, location: Location, byte_data: Buffer) -> Any: ...

    @abstractmethod
    def _store_path(self, location: Location, path: LocalPath) -> None: ...

    @abstractmethod
    def _load_stream(self, location: Location) -> IO[bytes]: ...

    @abstractmethod
    def _exists(self, location: Location) -> bool: ...

    @abstractmethod
    def _delete(self, location: Location) -> None: ...

    @abstractmethod
    def _get_filename(self, location: Location) -> str | None: ...

    @abstractmethod
    def _iter_contents(self, prefix: str = "") -> Iterator[str]: ...

    def _get_hexdigest(self, location: Location) -> str:
        with self._load_stream(location) as stream:
            return md5_of(stream)


def write_whole(stream: IO[bytes], path: LocalPath) -> None:
    """Writes what a binary file gives to a local file, whole or not at all."""
    folder, name = os.path.split(os.path.abspath(path))
    with tempfile.TemporaryDirectory(prefix=f".{name[:64]}.", dir=folder) as temporary:
        unfinished = os.path.join(temporary, name)
        with open(unfinished, "xb") as file:
            shutil.copyfileobj(stream, file)
        os.replace(unfinished, path)
