"""Many files into any storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from . import _source
from ._bases import ExternalStorage
from ._digest import md5_of
from .base import BaseStorage, LocalPath
from .stored import Stored


def store_files(storage: ExternalStorage, files: Mapping[str, LocalPath]) -> list[Stored]:
    """Stores copies of local files by location, in sorted order.

    One of ours leaves nothing that is new where one fails. A storage of somebody else is asked for nothing but to store, so what it
    has by then it keeps.

    :raises FileNotFoundError: if one of them is not there; then nothing was stored.
    """
    if isinstance(storage, BaseStorage):
        return storage.store_paths(files)
    for path in files.values():
        _source.look_at(path)
    stored: list[Stored] = []
    for location, path in sorted(files.items()):
        storage.store_path(location, Path(path))
        stored.append(_known(location, path))
    return stored


def _known(location: str, path: LocalPath) -> Stored:
    with open(path, "rb") as file:
        return Stored(location, os.fstat(file.fileno()).st_size, f"md5:{md5_of(file)}")
