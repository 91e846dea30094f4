"""Content stores: storages with versions, that keep everything once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from . import _html, _strongroom
from ._file import buffered
from ._operation import awaited
from ._storage import Algorithm, Location, Mode, Progress, Storage, Stream, content, pieces, putting
from ._strongroom import Commit, Metadata, Receipt
from .errors import InvalidError, MissingError

if TYPE_CHECKING:
    import io

    from typing_extensions import Buffer, Self

#: How an object is kept: as the store's policy says, as a file of its own, or in chunks that versions of a file share.
Layout: TypeAlias = Literal["auto", "whole", "chunked"]
#: A version of a namespace: a number, or a tag's name.
At: TypeAlias = "int | str"

#: What a fork has of its parent and does not use.
_of_parents: list[tuple[int, _strongroom.Snapshot]] = []


class Tag(NamedTuple):
    """A name for a version of a namespace, which is kept for ever by it."""

    name: str
    namespace: str
    version: int


class Store(Storage):
    """A content store: everything is kept once, by content, under names that are never half-written.

    Made by :func:`strongroom.open` or :func:`strongroom.create`. The first two segments of a location are its *namespace*;
    each has a history of its own, in which every commit is a version. Where one location is read, ``b3:`` and as many digits of a
    digest as are unique will do.
    """

    def store_bytes(
        self,
        location: Location,
        data: Buffer,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> Metadata:
        """Stores bytes, durably, in a commit of their own. :meth:`batch` stores many in one.

        :param durable: for other storages; here everything always is.
        :param attributes: small values to keep beside the bytes, by keys that have a ``.`` in them.
        :raises AlreadyExistsError: with ``mode="create"``, if there is an object.
        """
        how = putting(mode, digests, durable=durable, layout=layout, attributes=_plain(attributes))
        return self._native.store_bytes(location, content(data), how).wait()

    async def store_bytes_async(
        self,
        location: Location,
        data: Buffer,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> Metadata:
        """:meth:`store_bytes` for ``async`` callers. What tasks store at the same time shares packs and commits."""
        how = putting(mode, digests, durable=durable, layout=layout, attributes=_plain(attributes))
        return await awaited(self._native.store_bytes(location, content(data), how))

    def store_path(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> Metadata:
        """Stores a copy of a local file, durably, in a commit of its own."""
        how = putting(mode, digests, durable=durable, layout=layout, attributes=_plain(attributes))
        return self._native.store_path(location, path, how).wait()

    async def store_path_async(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> Metadata:
        """:meth:`store_path` for ``async`` callers."""
        how = putting(mode, digests, durable=durable, layout=layout, attributes=_plain(attributes))
        return await awaited(self._native.store_path(location, path, how))

    def store_stream(
        self,
        location: Location,
        stream: Stream,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> Metadata:
        """Stores what a binary file or an iterable gives, in bounded memory."""
        how = putting(mode, digests, durable=durable, layout=layout, attributes=_plain(attributes))
        return self._native.store_stream(location, pieces(stream), how).wait()

    async def store_stream_async(
        self,
        location: Location,
        stream: Stream,
        *,
        mode: Mode = "overwrite",
        durable: bool = True,
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> Metadata:
        """:meth:`store_stream` for ``async`` callers. ``stream`` is read on other threads."""
        how = putting(mode, digests, durable=durable, layout=layout, attributes=_plain(attributes))
        return await awaited(self._native.store_stream(location, pieces(stream), how))

    def batch(self, message: str = "", *, progress: Progress | None = None) -> Batch:
        """Puts and removals that appear together when the block ends well, and not at all when it raises::

            with store.batch("first run") as batch:
                batch.store_bytes("campaign/run-1/notes.txt", b"all is well")
                batch.store_path("campaign/run-1/trajectory.dcd", "scratch/trajectory.dcd")

        Those of one namespace are one commit. ``async with`` does the same. ``progress(done, total)`` is called with bytes, after
        each object that was taken in.
        """
        return Batch(self._native.batch(), message, progress)

    def snapshot(self, namespace: str = "", at: At | None = None) -> Snapshot:
        """A namespace as it is, or as it was at a version or tag.

        :raises MissingError: if there is no such version or tag, or it was collected.
        """
        return self._snapshot(self._native.snapshot(namespace, _version(at)).wait())

    async def snapshot_async(self, namespace: str = "", at: At | None = None) -> Snapshot:
        """:meth:`snapshot` for ``async`` callers."""
        return self._snapshot(await awaited(self._native.snapshot(namespace, _version(at))))

    def _snapshot(self, native: _strongroom.Snapshot) -> Snapshot:
        return Snapshot(self, native.namespace, native.version, native)

    def log(self, namespace: str = "", limit: int | None = None) -> list[Commit]:
        """The commits of a namespace, the newest first."""
        return self._native.log(namespace, limit).wait()

    async def log_async(self, namespace: str = "", limit: int | None = None) -> list[Commit]:
        """:meth:`log` for ``async`` callers."""
        return await awaited(self._native.log(namespace, limit))

    def tag(self, name: str, namespace: str, version: int, *, mode: Mode = "create") -> None:
        """Gives a version of a namespace a name, by which it is kept for ever.

        :raises AlreadyExistsError: with ``mode="create"``, if another version has it.
        """
        self._native.tag(namespace, version, name, mode).wait()

    async def tag_async(self, name: str, namespace: str, version: int, *, mode: Mode = "create") -> None:
        """:meth:`tag` for ``async`` callers."""
        await awaited(self._native.tag(namespace, version, name, mode))

    def tags(self, namespace: str | None = None) -> list[Tag]:
        """All tags, or those of a namespace."""
        return [Tag(*tag) for tag in self._native.tags(namespace).wait()]

    async def tags_async(self, namespace: str | None = None) -> list[Tag]:
        """:meth:`tags` for ``async`` callers."""
        return [Tag(*tag) for tag in await awaited(self._native.tags(namespace))]

    def untag(self, name: str, namespace: str) -> None:
        """Removes a tag; its version may then be collected as others are.

        :raises MissingError: if there is none.
        """
        self._native.untag(namespace, name).wait()

    async def untag_async(self, name: str, namespace: str) -> None:
        """:meth:`untag` for ``async`` callers."""
        await awaited(self._native.untag(namespace, name))

    def namespaces(self, prefix: str = "") -> list[str]:
        """The namespaces that begin with the string ``prefix``, in order."""
        return self._native.namespaces(prefix).wait()

    async def namespaces_async(self, prefix: str = "") -> list[str]:
        """:meth:`namespaces` for ``async`` callers."""
        return await awaited(self._native.namespaces(prefix))

    def objects(self, prefix: str = "") -> Iterator[Metadata]:
        """What is known of all objects whose location begins with the string ``prefix``."""
        return _listed(self._native.objects(prefix))

    def objects_async(self, prefix: str = "") -> AsyncIterator[Metadata]:
        """:meth:`objects` for ``async for``."""
        return _listed_async(self._native.objects(prefix))

    def _repr_html_(self) -> str:
        return _html.of_store(self)


class Batch:
    """Puts and removals that appear together; made by :meth:`Store.batch`.

    Nothing is read or written before the end of the block. Where a location is named twice, the last counts.
    """

    #: What the batch did, when it is over.
    receipt: Receipt | None = None

    def __init__(self, native: _strongroom.Batch, message: str, progress: Progress | None) -> None:
        self._native = native
        self._message = message
        self._progress = progress
        self._bytes = 0

    def store_bytes(
        self,
        location: Location,
        data: Buffer,
        *,
        mode: Mode = "overwrite",
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> None:
        """Puts bytes."""
        taken = content(data)
        how = putting(mode, digests, layout=layout, attributes=_plain(attributes))
        self._native.store_bytes(location, taken, how)
        self._bytes += len(taken)

    def store_path(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> None:
        """Puts a local file, as it is when the batch ends."""
        path = os.path.abspath(path)
        how = putting(mode, digests, layout=layout, attributes=_plain(attributes))
        self._native.store_path(location, path, how)
        if self._progress is not None and os.path.isfile(path):
            self._bytes += os.path.getsize(path)

    def store_stream(
        self,
        location: Location,
        stream: Stream,
        *,
        mode: Mode = "overwrite",
        digests: Iterable[Algorithm] = (),
        layout: Layout | None = None,
        attributes: Mapping[str, bytes] | None = None,
    ) -> None:
        """Puts what a binary file or an iterable gives when the batch ends."""
        how = putting(mode, digests, layout=layout, attributes=_plain(attributes))
        self._native.store_stream(location, pieces(stream), how)

    def copy(self, source: Location, location: Location, *, mode: Mode = "overwrite") -> None:
        """Gives an object of this store another name, without its bytes moving.

        The object is what the store has at ``source`` when the batch ends, whatever the batch puts there.
        """
        self._native.copy(source, location, mode)

    def delete(self, location: Location, *, missing_ok: bool = False) -> None:
        """Removes an object; if there is none, the batch fails with :class:`~strongroom.MissingError`."""
        self._native.delete(location, missing_ok)

    def commit(self) -> Receipt:
        """Ends the batch before its block does. Everything is durable and visible when this returns."""
        self.receipt = self._commit().wait()
        return self.receipt

    async def commit_async(self) -> Receipt:
        """:meth:`commit` for ``async`` callers."""
        self.receipt = await awaited(self._commit())
        return self.receipt

    def _commit(self) -> _strongroom.Operation[Receipt]:
        return self._native.commit(self._message, self._bytes, self._progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.receipt is None:
            self.commit()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.receipt is None:
            await self.commit_async()


class Snapshot:
    """A namespace at one version, whatever is committed meanwhile; made by :meth:`Store.snapshot`.

    It stays readable for the store's grace period after the version was superseded, and for ever if it has a tag.
    """

    #: Of which store.
    store: Store
    #: Which namespace.
    namespace: str
    #: Which version; 0 if nothing was ever committed.
    version: int

    def __init__(self, store: Store, namespace: str, version: int, native: _strongroom.Snapshot | None = None) -> None:
        self.store, self.namespace, self.version = store, namespace, version
        self._opened = None if native is None else (os.getpid(), native)

    @property
    def _native(self) -> _strongroom.Snapshot:
        opened, process = self._opened, os.getpid()
        if opened is None or opened[0] != process:
            if opened is not None:
                # In a fork, what the parent has opened may be locked for ever, for whoever would drop it too.
                _of_parents.append(opened)
            native = self.store._native.snapshot(self.namespace, str(self.version)).wait()
            opened = self._opened = process, native
        return opened[1]

    def load(self, location: Location, start: int | None = None, end: int | None = None) -> bytes:
        """As :meth:`Storage.load`."""
        return self._native.load(location, start, end).wait()

    async def load_async(self, location: Location, start: int | None = None, end: int | None = None) -> bytes:
        """As :meth:`Storage.load_async`."""
        return await awaited(self._native.load(location, start, end))

    def load_many(self, locations: Iterable[Location], *, progress: Progress | None = None) -> list[bytes]:
        """As :meth:`Storage.load_many`."""
        return self._native.load_many(locations, progress).wait()

    async def load_many_async(self, locations: Iterable[Location], *, progress: Progress | None = None) -> list[bytes]:
        """As :meth:`Storage.load_many_async`."""
        return await awaited(self._native.load_many(locations, progress))

    def load_path(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        progress: Progress | None = None,
    ) -> int:
        """As :meth:`Storage.load_path`."""
        return self._native.load_path(location, path, mode, progress).wait()

    async def load_path_async(
        self,
        location: Location,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "overwrite",
        progress: Progress | None = None,
    ) -> int:
        """As :meth:`Storage.load_path_async`."""
        return await awaited(self._native.load_path(location, path, mode, progress))

    def load_stream(self, location: Location) -> io.BufferedReader:
        """As :meth:`Storage.load_stream`."""
        return buffered(self._native.open(location).wait(), os.fspath(location))

    def exists(self, location: Location) -> bool:
        """As :meth:`Storage.exists`."""
        try:
            self.metadata(location)
        except MissingError:
            return False
        return True

    async def exists_async(self, location: Location) -> bool:
        """As :meth:`Storage.exists_async`."""
        try:
            await self.metadata_async(location)
        except MissingError:
            return False
        return True

    def metadata(self, location: Location) -> Metadata:
        """As :meth:`Storage.metadata`."""
        return self._native.metadata(location).wait()

    async def metadata_async(self, location: Location) -> Metadata:
        """As :meth:`Storage.metadata_async`."""
        return await awaited(self._native.metadata(location))

    def objects(self, prefix: str = "") -> Iterator[Metadata]:
        """What is known of all objects whose name in the namespace begins with the string ``prefix``, in order."""
        return _listed(self._native.objects(prefix).wait())

    def __iter__(self) -> Iterator[str]:
        return (found.location for found in self.objects())

    def __contains__(self, location: object) -> bool:
        try:
            return isinstance(location, (str, os.PathLike)) and self.exists(location)
        except (InvalidError, UnicodeError):
            return False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return False
        mine, others = ((each.store, each.namespace, each.version) for each in (self, other))
        return mine == others

    def __hash__(self) -> int:
        return hash((self.store, self.namespace, self.version))

    def __reduce__(self) -> tuple[object, ...]:
        # Opened when it is first used: pools of processes hang where an OSError is raised while they are given something.
        return Snapshot, (self.store, self.namespace, self.version)

    def __repr__(self) -> str:
        return f"<strongroom.Snapshot of {self.namespace or '.'!r} at {self.version}>"

    def _repr_html_(self) -> str:
        return _html.of_snapshot(self)


def _plain(attributes: Mapping[str, bytes] | None) -> dict[str, bytes] | None:
    return None if attributes is None else dict(attributes)


def _version(at: At | None) -> str | None:
    return None if at is None else str(at)


def _listed(listing: _strongroom.Listing) -> Iterator[Metadata]:
    while found := listing.next().wait():
        yield from found


async def _listed_async(listing: _strongroom.Listing) -> AsyncIterator[Metadata]:
    while found := await awaited(listing.next()):
        for metadata in found:
            yield metadata
