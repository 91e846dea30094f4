"""From a URL to a storage."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from . import _strongroom
from ._operation import awaited
from ._storage import Algorithm, Storage
from ._store import Layout, Store
from ._strongroom import Operation

#: How long what was superseded stays for certain.
GRACE = timedelta(hours=36)

_Url = str | os.PathLike[str]


def open(
    url: _Url | None = None,
    *,
    author: str = "",
    cache: _Url | None = "auto",
    cache_content: int = 0,
    single_writer: bool | None = None,
) -> Store:
    """Opens the content store at ``url``.

    :param url: a path, ``file:///path``, ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``,
        ``https://host/prefix`` to read only, or ``memory://name`` for this process only; credentials come from the usual
        environment variables. Without it: ``STRONGROOM_STORE``, or ``.strongroom`` in this folder.
    :param author: who commits, as it stands in the history.
    :param cache: a local folder for what was computed or learned once, which may be deleted at any time. By default
        ``STRONGROOM_CACHE``, or ``~/.cache/strongroom``; ``None`` for none.
    :param cache_content: how many bytes of content the cache may keep of a store that is not local.
    :param single_writer: the promise that no other process writes to the store, for services that replace what should be
        new. By default what ``STRONGROOM_SINGLE_WRITER`` says.
    :raises MissingError: if there is no store; :func:`create` makes one.
    """
    return Store(_opening(url, None, author, cache, cache_content, single_writer).wait())


async def open_async(
    url: _Url | None = None,
    *,
    author: str = "",
    cache: _Url | None = "auto",
    cache_content: int = 0,
    single_writer: bool | None = None,
) -> Store:
    """:func:`open` for ``async`` callers."""
    return Store(await awaited(_opening(url, None, author, cache, cache_content, single_writer)))


def create(
    url: _Url | None = None,
    *,
    layout: Layout = "auto",
    compression: Literal["auto", "none", "zstd"] = "auto",
    digests: Iterable[Algorithm] = (),
    grace: timedelta = GRACE,
    author: str = "",
    cache: _Url | None = "auto",
    cache_content: int = 0,
    single_writer: bool | None = None,
) -> Store:
    """Makes a content store at ``url``, or opens the one that is there, whose own settings then hold.

    :param layout: how large objects are kept: ``whole`` files, ``chunked``, or by ``auto`` whole in local folders and chunked
        elsewhere.
    :param compression: whether chunks are compressed; by ``auto`` where a sample says it pays.
    :param digests: which to compute of everything that is stored, besides BLAKE3.
    :param grace: how long a superseded version stays for certain.

    The others are those of :func:`open`.
    """
    config = _config(layout, compression, digests, grace)
    return Store(_opening(url, config, author, cache, cache_content, single_writer).wait())


async def create_async(
    url: _Url | None = None,
    *,
    layout: Layout = "auto",
    compression: Literal["auto", "none", "zstd"] = "auto",
    digests: Iterable[Algorithm] = (),
    grace: timedelta = GRACE,
    author: str = "",
    cache: _Url | None = "auto",
    cache_content: int = 0,
    single_writer: bool | None = None,
) -> Store:
    """:func:`create` for ``async`` callers."""
    config = _config(layout, compression, digests, grace)
    return Store(await awaited(_opening(url, config, author, cache, cache_content, single_writer)))


def open_storage(url: _Url) -> Storage:
    """The plain storage at ``url``: objects under their own names, as any other program sees them. See :func:`open` for URLs."""
    return Storage(_strongroom.Storage.open_plain(os.fspath(url)).wait())


def located(store: _Url | Store | None) -> str | Store:
    """The same store, by a name that means it wherever it is used from."""
    return store if isinstance(store, Store) else _strongroom.absolute_url(_url_of(store))


def _url_of(url: _Url | None) -> str:
    return os.environ.get("STRONGROOM_STORE") or ".strongroom" if url is None else os.fspath(url)


def _config(layout: str, compression: str, digests: Iterable[str], grace: timedelta) -> _strongroom._Config:
    return {
        "layout": layout,
        "compression": compression,
        "digests": list(digests),
        "grace": grace.total_seconds(),
    }


def _opening(
    url: _Url | None,
    config: _strongroom._Config | None,
    author: str,
    cache: _Url | None,
    cache_content: int,
    single_writer: bool | None,
) -> Operation[_strongroom.Storage]:
    if single_writer is None:
        single_writer = os.environ.get("STRONGROOM_SINGLE_WRITER", "").lower() in ("1", "true", "yes", "on")
    folder = _strongroom.cache_folder() if cache == "auto" else cache
    kept = None if folder is None else os.fspath(folder)
    return _strongroom.Storage.open_content(_url_of(url), config, author, kept, cache_content, single_writer)
