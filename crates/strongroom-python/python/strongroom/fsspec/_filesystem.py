"""A store as one of fsspec's file systems."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from fsspec.asyn import (  # type: ignore[import-untyped]
    AsyncFileSystem,
    _run_coros_in_chunks,
    get_loop,
    iothread,
    reset_lock,
    sync_wrapper,
)
from fsspec.callbacks import DEFAULT_CALLBACK, NoOpCallback  # type: ignore[import-untyped]
from fsspec.config import apply_config  # type: ignore[import-untyped]

from .._open import create as create_store
from .._open import located
from .._open import open as open_store
from .._storage import Mode, content
from .._store import Store
from .._strongroom import is_digest
from ..errors import InvalidError, MissingError
from . import _listing
from ._changes import Changes, missing
from ._listing import Info
from ._ranges import Part, Plan
from ._reader import StrongroomFile
from ._transaction import StrongroomTransaction
from ._writer import StrongroomWriter, TextWriter, compressed

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from typing_extensions import Buffer

_MAGIC = re.compile("[*?[]")
#: What file systems of fsspec take.
_OPTIONS = {"asynchronous", "batch_size", "listings_expiry_time", "loop", "max_paths", "use_listings_cache"}
_TEXT_OPTIONS = ("encoding", "errors", "newline")

#: The changes that calls of one file system gather for a call that does many things at once.
_gathering: ContextVar[tuple[object, Changes] | None] = ContextVar("_gathering", default=None)


class _ByStore(type(AsyncFileSystem)):  # type: ignore[misc]
    """File systems are shared by the store that is meant where one is asked for, however it is named."""

    def __call__(cls, *given: Any, **options: Any) -> Any:
        if given:
            given = (located(given[0]), *given[1:])
        else:
            options = apply_config(cls, options)
            options["store"] = located(options.get("store"))
        return super().__call__(*given, **options)


class StrongroomFileSystem(AsyncFileSystem, metaclass=_ByStore):  # type: ignore[misc]
    """Locations in a content store as files; folders are there by what is in them.

    :param store: the URL or path of a store, as :func:`strongroom.open` takes it, or a :class:`strongroom.Store`. Without it:
        ``STRONGROOM_STORE``, or ``.strongroom`` in this folder.
    :param create: whether to make the store if there is none.

    ``author``, ``cache``, ``cache_content`` and ``single_writer`` are those of :func:`strongroom.open`.

    ``put``, ``pipe``, ``copy``, ``mv`` and ``rm`` of many are one commit each: all of it appears at once, or nothing. So are
    all calls in ``with fs.transaction:``; this file system is shared by all who ask for one with the same options, unless
    they say ``skip_instance_cache=True``.
    """

    protocol = "strongroom"
    root_marker = ""
    transaction_type = StrongroomTransaction

    def __init__(
        self,
        store: str | os.PathLike[str] | Store | None = None,
        create: bool = False,
        *,
        author: str = "",
        cache: str | os.PathLike[str] | None = "auto",
        cache_content: int = 0,
        single_writer: bool | None = None,
        **options: Any,
    ) -> None:
        if unknown := options.keys() - _OPTIONS:
            raise TypeError(f"{type(self).__name__} has no option {min(unknown)!r}")
        _forget_the_loop_of_the_parent()
        super().__init__(**options)
        if not isinstance(store, Store):
            opening = create_store if create else open_store
            store = opening(
                store, author=author, cache=cache, cache_content=cache_content, single_writer=single_writer
            )
        self.store: Store = store

    @property
    def loop(self) -> AbstractEventLoop | None:
        """The event loop that does the work, another one after a fork."""
        if self._pid != os.getpid():
            self._pid: int = os.getpid()
            _forget_the_loop_of_the_parent()
            self._loop = None if self.asynchronous else get_loop()
        loop: AbstractEventLoop | None = self._loop
        return loop

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        segments = super()._strip_protocol(path).split("/")
        return "/".join(segment for segment in segments if segment not in ("", "."))

    # Looking.

    async def _info(self, path: str, **_: Any) -> Info:
        path = self._strip_protocol(path)
        if path == "":
            return _listing.folder(path)
        try:
            return _listing.file(path, await self.store.metadata_async(path))
        except MissingError:
            if is_digest(path) or not await self._has_below(path):
                raise
            return _listing.folder(path)

    async def _exists(self, path: str, **_: Any) -> bool:
        return await self._isfile(path) or await self._has_below(path)

    async def _isfile(self, path: str) -> bool:
        try:
            return await self.store.exists_async(self._strip_protocol(path))
        except InvalidError:
            # Nothing can have such a name.
            return False

    async def _isdir(self, path: str) -> bool:
        """Whether there are objects below it, and it is none itself: one that is both goes where files go."""
        path = self._strip_protocol(path)
        if not await self._has_below(path):
            return False
        changes = self._changes()
        return not ((changes is not None and path in changes) or await self._isfile(path))

    async def _has_below(self, path: str) -> bool:
        path = self._strip_protocol(path)
        return path == "" or await _listing.is_folder(self.store, path)

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        found = await (_listing.children if detail else _listing.child_names)(self.store, path)
        if found or path == "":
            return list(found)
        info = _listing.file(path, await self.store.metadata_async(path))
        return [info] if detail else [path]

    async def _find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        prefix: str = "",
        **_: Any,
    ) -> list[str] | dict[str, Info]:
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        path = self._strip_protocol(path)
        found = await _listing.descendants(self.store, path, prefix, maxdepth, withdirs, detail)
        if not found and not prefix and await self._isfile(path):
            found = {path: await self._info(path) if detail else {}}
        return found if detail else list(found)

    async def _du(
        self, path: str, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **_: Any
    ) -> int | dict[str, int]:
        found: Any = await self._find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: int(info["size"]) for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    async def _object_info(self, path: str) -> Info:
        info = await self._info(path)
        if info["type"] != "file":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return info

    async def _ukey(self, path: str) -> str:
        """The digest, ``b3:`` and hexadecimal, which is another one when the content is."""
        return str((await self._object_info(path))["digest"])

    async def _checksum(self, path: str) -> int:
        """The digest as a number, which is what fsspec has."""
        return int((await self._ukey(path)).removeprefix("b3:"), 16)

    async def _modified(self, path: str) -> datetime:
        """When it was stored."""
        stored = (await self._object_info(path))["mtime"]
        if stored is None:
            raise InvalidError(f"modified {path}: content has no time of its own; ask for a name", "modified", path)
        return datetime.fromtimestamp(stored, timezone.utc)

    ukey = sync_wrapper(_ukey)
    checksum = sync_wrapper(_checksum)
    modified = sync_wrapper(_modified)
    created = sync_wrapper(_modified)

    # Reading.

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        path = self._strip_protocol(path)
        if (start or 0) < 0 and end is None:
            return await self.store.load_async(path, start)
        if (start or 0) < 0 or (end or 0) < 0:
            size = (await self.store.metadata_async(path)).size
            start, end, _step = slice(start, end).indices(size)
        start = start or 0
        return await self._load(path, start, end if end is None else max(start, end))

    async def _load(self, path: str, start: int, end: int | None) -> bytes:
        try:
            return await self.store.load_async(path, start, end)
        except InvalidError:
            # As with a slice, there is nothing behind the end.
            if start == 0 or start <= (await self.store.metadata_async(path)).size:
                raise
            return b""

    async def _cat(
        self,
        path: str | list[str],
        recursive: bool = False,
        on_error: Literal["raise", "omit", "return"] = "raise",
        batch_size: int | None = None,
        **options: Any,
    ) -> Any:
        paths: list[str] = await self._expand_path(path, recursive=recursive)
        if recursive or any(map(_MAGIC.search, [path] if isinstance(path, str) else path)):
            # Folders are among them.
            there = await self.store.exists_many_async(paths)
            paths = [one for one, is_object in zip(paths, there) if is_object]
        loaded = await self._cat_all(paths, batch_size, **options)
        _raise_first(loaded if on_error == "raise" else [])
        if len(paths) == 1 and not isinstance(path, list) and paths[0] == self._strip_protocol(path):
            return loaded[0]
        return {
            one: data
            for one, data in zip(paths, loaded)
            if on_error != "omit" or not isinstance(data, BaseException)
        }

    async def _cat_all(self, paths: Sequence[str], batch_size: int | None, **options: Any) -> list[bytes | BaseException]:
        """All of these in one call if that goes well, and each by itself to tell what does not."""
        if len(paths) > 1 and not options:
            try:
                return list(await self.store.load_many_async(paths))
            except (OSError, ValueError):
                pass
        return await self._each([self._cat_file(path, **options) for path in paths], batch_size)

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: int | None | Sequence[int | None],
        ends: int | None | Sequence[int | None],
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: Literal["return", "raise"] = "return",
        **_: Any,
    ) -> list[bytes | BaseException]:
        if not isinstance(paths, list):
            raise TypeError(f"paths is a list, not {type(paths).__name__}")
        wanted = list(zip(self._strip_protocol(paths), _each_of(starts, paths), _each_of(ends, paths)))
        plan = Plan(wanted) if max_gap is None else Plan(wanted, max_gap)
        calls = [self._cat_file(*part) for part in plan.parts]
        loaded: dict[Part, bytes | BaseException] = dict(zip(plan.parts, await self._each(calls, batch_size)))
        for path, data in zip(plan.whole, await self._cat_all(plan.whole, batch_size)):
            loaded[path, None, None] = data
        results = plan.wanted(loaded)
        _raise_first(results if on_error == "raise" else [])
        return results

    async def _each(self, calls: Sequence[Any], batch_size: int | None) -> list[bytes | BaseException]:
        results: list[bytes | BaseException] = await _run_coros_in_chunks(
            calls, batch_size=batch_size or self.batch_size, nofiles=True, return_exceptions=True
        )
        return results

    async def _get_file(
        self, rpath: str, lpath: str | os.PathLike[str], callback: Any = DEFAULT_CALLBACK, **_: Any
    ) -> None:
        rpath = self._strip_protocol(rpath)

        def progress(done: int, total: int) -> None:
            callback.set_size(total)
            callback.absolute_update(done)

        os.makedirs(os.path.dirname(lpath) or ".", exist_ok=True)
        told = None if isinstance(callback, NoOpCallback) else progress
        try:
            size = await self.store.load_path_async(rpath, lpath, progress=told)
        except MissingError:
            if not await self._has_below(rpath):
                raise
            os.makedirs(lpath, exist_ok=True)
            return
        progress(size, size)

    # Writing.

    def _changes(self) -> Changes | None:
        """What calls are to add to, if not everything is a commit of its own."""
        if self._intrans:
            changes: Changes = self.transaction.changes
            return changes
        gathering = _gathering.get()
        return gathering[1] if gathering is not None and gathering[0] is self else None

    @asynccontextmanager
    async def _at_once(self) -> AsyncIterator[Changes]:
        """What is written in the block is committed at its end, or that of the transaction."""
        changes = self._changes()
        if changes is not None:
            yield changes
            return
        changes = Changes(self.store)
        token = _gathering.set((self, changes))
        try:
            yield changes
        finally:
            _gathering.reset(token)
        await changes.commit_async()

    async def _pipe_file(self, path: str, value: Buffer, mode: Mode = "overwrite", **_: Any) -> None:
        path = self._strip_protocol(path)
        changes = self._changes()
        if changes is None:
            await self.store.store_bytes_async(path, value, mode=mode)
        else:
            changes.put(path, content(value), mode)

    async def _pipe(self, path: str | dict[str, Buffer], value: Any = None, **options: Any) -> None:
        if isinstance(path, str):
            await self._pipe_file(path, value, **options)
            return
        async with self._at_once():
            await super()._pipe(path, **options)

    async def _put_file(
        self,
        lpath: str | os.PathLike[str],
        rpath: str,
        callback: Any = DEFAULT_CALLBACK,
        mode: Mode = "overwrite",
        **_: Any,
    ) -> None:
        if os.path.isdir(lpath):
            return
        rpath = self._strip_protocol(rpath)
        size = os.path.getsize(lpath)
        changes = self._changes()
        callback.set_size(size)
        if changes is None:
            await self.store.store_path_async(rpath, lpath, mode=mode)
        else:
            changes.put(rpath, os.path.abspath(lpath), mode)
        callback.absolute_update(size)

    async def _put(self, lpath: Any, rpath: Any, **options: Any) -> None:
        async with self._at_once():
            await super()._put(lpath, rpath, **options)

    async def _cp_file(self, path1: str, path2: str, mode: Mode = "overwrite", **_: Any) -> None:
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        async with self._at_once() as changes:
            if await self._is_there(path1, changes):
                changes.copy(path1, path2, mode)
            elif not await self._has_below(path1):
                raise missing(path1)

    async def _copy(self, path1: Any, path2: Any, **options: Any) -> None:
        async with self._at_once():
            await super()._copy(path1, path2, **options)

    async def _mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **_: Any) -> None:
        """Gives objects other names, without their bytes moving, at once."""
        if path1 == path2:
            return
        async with self._at_once() as changes:
            found: list[str] = await self._expand_path(path1, recursive=recursive, maxdepth=maxdepth)
            before = {path: changes.at(path) for path in found if await self._is_there(path, changes)}
            await self._copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise")
            # What was moved to where something else was moved from stays.
            changes.delete(path for path, change in before.items() if changes.at(path) is change)

    mv = sync_wrapper(_mv)

    async def _rm_file(self, path: str, **_: Any) -> None:
        path = self._strip_protocol(path)
        changes = self._changes()
        if changes is None:
            await self.store.delete_async(path)
        elif await self._is_there(path, changes):
            changes.delete([path])
        else:
            raise missing(path)

    async def _rm(
        self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None, **_: Any
    ) -> None:
        if isinstance(path, str) and not recursive and not _MAGIC.search(path):
            await self._rm_file(path)
            return
        async with self._at_once() as changes:
            given: list[str] = self._strip_protocol([path] if isinstance(path, str) else path)
            if recursive:
                pending = [location for one in given for location in changes.below(one)]
            else:
                pending = [one for one in given if not _MAGIC.search(one)]
                for one in pending:
                    if not await self._is_there(one, changes):
                        raise missing(one)
            changes.delete([*pending, *await self._expand_if_any(given, pending, recursive, maxdepth)])

    async def _expand_if_any(
        self, given: list[str], pending: list[str], recursive: bool, maxdepth: int | None
    ) -> list[str]:
        """What is in the store, of which there may be nothing if there is something pending."""
        try:
            return list(await self._expand_path(given, recursive=recursive, maxdepth=maxdepth))
        except FileNotFoundError:
            if not pending:
                raise
            return []

    async def _rmdir(self, path: str) -> None:
        """Refuses to remove a folder that is there, since then it is not empty."""
        if await self._isdir(path):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)

    rmdir = sync_wrapper(_rmdir)

    async def _touch(self, path: str, truncate: bool = True, **_: Any) -> None:
        """Makes an empty object; with ``truncate=False`` what is there stays as it is, also when it was stored."""
        if truncate or not await self._is_there_now(path):
            await self._pipe_file(path, b"")

    touch = sync_wrapper(_touch)

    async def _is_there_now(self, path: str) -> bool:
        """Whether it is an object, for whoever is in a transaction too."""
        changes = self._changes()
        return bool(await self._isfile(path)) if changes is None else await self._is_there(path, changes)

    async def _is_there(self, path: str, changes: Changes) -> bool:
        return path in changes or (not changes.removes(path) and await self.store.exists_async(path))

    def _store_now(self, path: str, source: bytes | str, mode: Mode) -> None:
        if isinstance(source, bytes):
            self.store.store_bytes(path, source, mode=mode)
        else:
            self.store.store_path(path, source, mode=mode)

    # Files.

    def open(self, path: str, mode: str = "rb", compression: str | None = None, **options: Any) -> Any:
        """A file. One that is written to is stored when it is closed, and not when its ``with`` block raises."""
        if "r" in mode:
            return super().open(path, mode, compression=compression, **options)
        text = {key: options.pop(key) for key in _TEXT_OPTIONS if key in options}
        file = super().open(path, mode.replace("b", "").replace("t", "") + "b", **options)
        if compression is not None:
            file = compressed(file, compression)
        return file if "b" in mode else TextWriter(file, **text)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        **options: Any,
    ) -> StrongroomFile | StrongroomWriter:
        if mode == "rb":
            return StrongroomFile(self, path, block_size=block_size or "default", **options)
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"mode is rb, wb, xb or ab, not {mode}")
        return StrongroomWriter(self, path, mode, autocommit)


def _forget_the_loop_of_the_parent() -> None:
    # Not all versions of fsspec do that by themselves.
    if iothread[0] is not None and not iothread[0].is_alive():
        reset_lock()


def _each_of(given: int | None | Sequence[int | None], paths: Sequence[str]) -> Sequence[int | None]:
    each = given if isinstance(given, Iterable) else [given] * len(paths)
    if len(each) != len(paths):
        raise ValueError(f"there are {len(paths)} paths and {len(each)} limits")
    return each


def _raise_first(results: Iterable[bytes | BaseException]) -> None:
    for result in results:
        if isinstance(result, BaseException):
            raise result
