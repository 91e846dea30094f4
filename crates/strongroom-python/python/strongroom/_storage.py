"""Storages: a flat map from location to bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from . import _strongroom
from ._file import PIECE_SIZE, buffered
from ._operation import awaited
from ._strongroom import Metadata
from .errors import InvalidError, UnsupportedError

if TYPE_CHECKING:
    import io

    from typing_extensions import Buffer, Self

#: Where something is: a location such as ``campaign/unit-1/energies.csv``.
Location: TypeAlias = "str | os.PathLike[str]"
#: What to do where there is an object already: replace it, or refuse with :class:`~strongroom.AlreadyExistsError`.
Mode: TypeAlias = Literal["overwrite", "create"]
#: Digests by their names.
Algorithm: TypeAlias = Literal["blake3", "md5", "sha256"]
#: What is called while something goes on: how much of how much is done, in bytes. It is called on other threads.
Progress: TypeAlias = "Callable[[int, int], object]"
#: Content that comes in pieces: a binary file, or an iterable of ``bytes``.
Stream: TypeAlias = "IO[bytes] | Iterable[Buffer]"


def content(data: Buffer) -> bytes:
    """``bytes`` as they are, since nobody can write to them; a copy of everything else that has bytes."""
    if type(data) is bytes:
        return data
    view = memoryview(data)
    if "O" in view.format:
        raise TypeError("an array of objects has no bytes of its own, only addresses; pickle it, or give it another dtype")
    return bytes(view)


def pieces(stream: Stream) -> Iterator[bytes]:
    """What a file or an iterable gives."""
    read = getattr(stream, "read", None)
    if read is not None:
        return _read(read)
    return map(content, stream)


def _read(read: Callable[[int], Buffer]) -> Iterator[bytes]:
    while piece := content(read(PIECE_SIZE)):
        yield piece


def putting(
    mode: Mode,
    digests: Iterable[Algorithm],
    *,
    durable: bool = True,
    layout: str | None = None,
    attributes: dict[str, bytes] | None = None,
) -> Any:
    """How something is put, for the native part."""
    return {
        "mode": mode,
        "durable": durable,
        "digests": list(digests),
        "layout": layout,
        "attributes": attributes,
    }


class LocalFile:
    """A real local file with an object's content as it was, not to be written to.

    A path for whoever takes one (``open``, ``numpy.load``, a simulation code), and a context manager: the file goes when the
    block ends or this object goes, unless it is the storage's own.
    """

    def __init__(self, path: str, close: Callable[[], object]) -> None:
        self._path = path
        self._close = weakref.finalize(self, close)

    def __fspath__(self) -> str:
        return self._path

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self)

    def close(self) -> None:
        """From now on the file may go."""
        self._close()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<strongroom.LocalFile {self._path!r}>"


def _copied(name: str) -> tuple[LocalFile, str]:
    """A place for a copy, which goes with it."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise InvalidError(f"path {name!r}: a file's name is one segment of a location", "path", name)
    folder = tempfile.mkdtemp(prefix="strongroom-")
    path = os.path.join(folder, name)
    return LocalFile(path, lambda: shutil.rmtree(folder, ignore_errors=True)), path


class Storage:
    """A flat map from location to bytes: a folder, a bucket, this process's memory.

    Made by :func:`strongroom.open_storage`. Every object is whole or absent, also for whoever reads while it is replaced, and
    durable when a call returns. All calls let other threads go on, end on Ctrl-C, and have a twin with ``_async`` at its end.

    A storage can be pickled, and used after a fork: it is opened anew by its URL.
    """

    def __init__(self, native: _strongroom.Storage) -> None:
        self._native = native

    @property
    def url(self) -> str:
        """The URL or path that it was opened by."""
        return self._native.url

    @property
    def local_root(self) -> Path | None:
        """The local folder that it is in, if it is in one."""
        return self._native.local_root

    # Storing.

    def store_bytes(
        self,
        location: Location,
        data: Buffer,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
    ) -> Metadata:
        """Stores bytes, replacing what is there. With ``durable=False`` a crash of the machine may lose them.

        :raises AlreadyExistsError: with ``mode="create"``, if there is an object.
        :raises ConflictError: if the location can't be used beside another object.
        :raises InvalidError: if it is no location.
        """
        how = putting(mode, digests, durable=durable)
        return self._native.store_bytes(location, content(data), how).wait()

    async def store_bytes_async(
        self,
        location: Location,
        data: Buffer,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
    ) -> Metadata:
        """:meth:`store_bytes` for ``async`` callers."""
        how = putting(mode, digests, durable=durable)
        return await awaited(self._native.store_bytes(location, content(data), how))

    def store_path(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
    ) -> Metadata:
        """Stores a copy of a local file.

        :raises MissingError: if there is no such file.
        :raises InvalidError: if it is a folder.
        :raises ChangedError: if it changes meanwhile; then nothing is stored.
        """
        how = putting(mode, digests, durable=durable)
        return self._native.store_path(location, path, how).wait()

    async def store_path_async(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
    ) -> Metadata:
        """:meth:`store_path` for ``async`` callers."""
        how = putting(mode, digests, durable=durable)
        return await awaited(self._native.store_path(location, path, how))

    def store_stream(
        self,
        location: Location,
        stream: Stream,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
    ) -> Metadata:
        """Stores what a binary file or an iterable gives, in bounded memory. What it raises is raised, and nothing is stored."""
        how = putting(mode, digests, durable=durable)
        return self._native.store_stream(location, pieces(stream), how).wait()

    async def store_stream_async(
        self,
        location: Location,
        stream: Stream,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
    ) -> Metadata:
        """:meth:`store_stream` for ``async`` callers. ``stream`` is read on other threads."""
        how = putting(mode, digests, durable=durable)
        return await awaited(self._native.store_stream(location, pieces(stream), how))

    # Loading.

    def load(self, location: Location, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of an object, or those from ``start`` to before ``end``; ``start=-n`` means the last ``n``.

        :raises MissingError: if there is no object.
        :raises CorruptError: if its bytes are not those that were stored.
        :raises InvalidError: if the range begins behind the object's end.
        """
        return self._native.load(location, start, end).wait()

    async def load_async(self, location: Location, start: int | None = None, end: int | None = None) -> bytes:
        """:meth:`load` for ``async`` callers."""
        return await awaited(self._native.load(location, start, end))

    def load_many(self, locations: Iterable[Location], *, progress: Progress | None = None) -> list[bytes]:
        """The bytes of many objects, in the order of ``locations``; what lies together is read together.

        :param progress: called with how much of how much is read, by stores.
        :raises MissingError: if one of them is not there.
        """
        return self._native.load_many(locations, progress).wait()

    async def load_many_async(
        self, locations: Iterable[Location], *, progress: Progress | None = None
    ) -> list[bytes]:
        """:meth:`load_many` for ``async`` callers."""
        return await awaited(self._native.load_many(locations, progress))

    def load_stream(self, location: Location) -> io.BufferedReader:
        """An object as a binary file: buffered, seekable, a context manager.

        In a store it is always of the version that was there when it was opened, and so in a folder. A plain bucket, or memory, is
        read as it is at the time; if the object has another size by then, that is a :class:`~strongroom.ChangedError`.

        :raises MissingError: if there is no object.
        """
        return buffered(self._native.open(location).wait(), os.fspath(location))

    async def load_stream_async(self, location: Location) -> io.BufferedReader:
        """:meth:`load_stream` for ``async`` callers. Reading the file blocks."""
        return buffered(await awaited(self._native.open(location)), os.fspath(location))

    def load_path(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        progress: Progress | None = None,
    ) -> int:
        """Writes an object to a local file, verified, all or nothing; returns its size.

        :raises MissingError: if there is no object.
        :raises AlreadyExistsError: with ``mode="create"``, if there is a file.
        """
        return self._native.load_path(location, path, mode, progress).wait()

    async def load_path_async(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        progress: Progress | None = None,
    ) -> int:
        """:meth:`load_path` for ``async`` callers."""
        return await awaited(self._native.load_path(location, path, mode, progress))

    def path(self, location: Location, *, name: str | None = None) -> LocalFile:
        """A real local file with an object's content, not to be written to, for programs that want a path.

        The storage's own where the object is kept as one, and a copy in the folder for temporary files where not. It is called
        ``name``, or else like the last part of the location, unless it is the storage's own and nothing could be linked to it.

        :raises MissingError: if there is no object.
        """
        try:
            native = self._native.path(location, name).wait()
        except UnsupportedError:
            file, path = _copied(PurePosixPath(location).name if name is None else name)
            self.load_path(location, path)
            return file
        return LocalFile(native.__fspath__(), native.close)

    async def path_async(self, location: Location, *, name: str | None = None) -> LocalFile:
        """:meth:`path` for ``async`` callers."""
        try:
            native = await awaited(self._native.path(location, name))
        except UnsupportedError:
            file, path = _copied(PurePosixPath(location).name if name is None else name)
            await self.load_path_async(location, path)
            return file
        return LocalFile(native.__fspath__(), native.close)

    # Looking.

    def exists(self, location: Location) -> bool:
        """Whether there is an object. An object that can't be looked at is not absent: that is an error."""
        return self._native.exists(location).wait()

    async def exists_async(self, location: Location) -> bool:
        """:meth:`exists` for ``async`` callers."""
        return await awaited(self._native.exists(location))

    def exists_many(self, locations: Iterable[Location]) -> list[bool]:
        """:meth:`exists` for many, in the order of ``locations``."""
        return self._native.exists_many(locations).wait()

    async def exists_many_async(self, locations: Iterable[Location]) -> list[bool]:
        """:meth:`exists_many` for ``async`` callers."""
        return await awaited(self._native.exists_many(locations))

    def iter_contents(self, prefix: str = "") -> Iterator[str]:
        """The locations that begin with the string ``prefix``, each once, in no particular order."""
        listing = self._native.iter_contents(prefix)
        while found := listing.next().wait():
            yield from found

    async def iter_contents_async(self, prefix: str = "") -> AsyncIterator[str]:
        """:meth:`iter_contents` for ``async for``."""
        listing = self._native.iter_contents(prefix)
        while found := await awaited(listing.next()):
            for location in found:
                yield location

    def metadata(self, location: Location) -> Metadata:
        """What is known of an object without reading it.

        :raises MissingError: if there is no object.
        """
        return self._native.metadata(location).wait()

    async def metadata_async(self, location: Location) -> Metadata:
        """:meth:`metadata` for ``async`` callers."""
        return await awaited(self._native.metadata(location))

    def hexdigest(self, location: Location, algorithm: Algorithm = "md5") -> str:
        """A digest of an object in hexadecimal: from the record, or else by reading it."""
        return self._native.digests(location, [algorithm]).wait()[algorithm]

    async def hexdigest_async(self, location: Location, algorithm: Algorithm = "md5") -> str:
        """:meth:`hexdigest` for ``async`` callers."""
        return (await awaited(self._native.digests(location, [algorithm])))[algorithm]

    def digest(self, location: Location) -> str:
        """The object's name by content, ``b3:`` and its BLAKE3 in hexadecimal; what ``b3sum`` prints."""
        return f"b3:{self.hexdigest(location, 'blake3')}"

    async def digest_async(self, location: Location) -> str:
        """:meth:`digest` for ``async`` callers."""
        return f"b3:{await self.hexdigest_async(location, 'blake3')}"

    # Removing.

    def delete(self, location: Location) -> None:
        """Removes an object.

        :raises MissingError: if there is none.
        """
        self._native.delete(location).wait()

    async def delete_async(self, location: Location) -> None:
        """:meth:`delete` for ``async`` callers."""
        await awaited(self._native.delete(location))

    def delete_many(self, locations: Iterable[Location]) -> None:
        """Removes many objects; those that are not there are passed over."""
        self._native.delete_many(locations).wait()

    async def delete_many_async(self, locations: Iterable[Location]) -> None:
        """:meth:`delete_many` for ``async`` callers."""
        await awaited(self._native.delete_many(locations))

    # Python.

    def __contains__(self, location: object) -> bool:
        try:
            return isinstance(location, (str, os.PathLike)) and self.exists(location)
        except (InvalidError, UnicodeError):
            return False

    def __iter__(self) -> Iterator[str]:
        return self.iter_contents()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Storage) and other._place == self._place

    def __hash__(self) -> int:
        return hash((type(self), self._place))

    @property
    def _place(self) -> str:
        """The same for the same place, however it was named."""
        folder = self.local_root
        return self.url.rstrip("/") if folder is None else os.path.realpath(folder)

    def __reduce__(self) -> tuple[type[Self], tuple[_strongroom.Storage]]:
        return type(self), (self._native,)

    def __repr__(self) -> str:
        return f"<strongroom.{type(self).__name__} {self.url!r}>"
