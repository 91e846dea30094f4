"""Objects and folders, as fsspec is told of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any, TypeAlias

from .._operation import awaited
from .._store import Store
from .._strongroom import Metadata

#: What is known of an object or a folder.
Info: TypeAlias = dict[str, Any]


def file(path: str, metadata: Metadata) -> Info:
    """An object."""
    return {
        "name": path,
        "size": metadata.size,
        "type": "file",
        "digest": metadata.digest,
        "created": metadata.modified,
        "mtime": metadata.modified,
        "version": metadata.version,
    }


def folder(path: str) -> Info:
    """A folder."""
    return {"name": path, "size": 0, "type": "directory"}


def prefix_of(path: str) -> str:
    """What everything in a folder begins with."""
    return f"{path}/" if path else ""


async def is_folder(store: Store, path: str) -> bool:
    """Whether there is anything in it."""
    # One call; the rest of the listing is never asked for.
    first: list[Any] = await awaited(store._native.iter_contents(prefix_of(path)).next())
    return bool(first)


async def children(store: Store, path: str) -> list[Info]:
    """What is in a folder; an object and a folder there may have the same name."""
    prefix = prefix_of(path)
    found: dict[tuple[str, str], Info] = {}
    async for metadata in store.objects_async(prefix):
        name, slash, _ = metadata.location[len(prefix) :].partition("/")
        if not slash:
            found[name, slash] = file(prefix + name, metadata)
        elif (name, slash) not in found:
            found[name, slash] = folder(prefix + name)
    return [found[key] for key in sorted(found)]


async def child_names(store: Store, path: str) -> list[str]:
    """Their names only, of which the native part makes fewer."""
    objects, folders = await awaited(store._native.folder(prefix_of(path)))
    return sorted({location for location, _ in objects} | {below.rstrip("/") for below in folders})


async def descendants(
    store: Store, path: str, begin: str, maxdepth: int | None, with_folders: bool, detail: bool
) -> dict[str, Info]:
    """All that is below a folder and goes on with ``begin``, by name; without ``detail``, of objects the names only."""
    root = prefix_of(path)
    found: dict[str, Info] = {}
    async for location, metadata in _below(store, root + begin, detail):
        if with_folders:
            found.update((above, folder(above)) for above in _parents(location, root, maxdepth) if above not in found)
        if maxdepth is None or location.count("/", len(root)) < maxdepth:
            found[location] = {"name": location} if metadata is None else file(location, metadata)
    if with_folders and found and path:
        found[path] = folder(path)
    return {name: found[name] for name in sorted(found)}


async def _below(store: Store, prefix: str, detail: bool) -> AsyncGenerator[tuple[str, Metadata | None], None]:
    if detail:
        async for metadata in store.objects_async(prefix):
            yield metadata.location, metadata
    else:
        async for location in store.iter_contents_async(prefix):
            yield location, None


def _parents(location: str, root: str, maxdepth: int | None) -> Iterator[str]:
    """The folders that a location is in, from below ``root`` to ``maxdepth`` levels down."""
    segments = location[len(root) :].split("/")[:-1]
    for depth in range(1, len(segments[:maxdepth]) + 1):
        yield root + "/".join(segments[:depth])
