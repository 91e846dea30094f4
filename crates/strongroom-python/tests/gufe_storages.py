"""The three storages, for tests that are about all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.gufe import BaseStorage, ContentStorage, ExternalStorage, FileStorage, MemoryStorage

MAKERS: dict[str, Callable[[Path], BaseStorage]] = {
    "file": lambda folder: FileStorage(folder / "file"),
    "memory": lambda folder: MemoryStorage(),
    "content": lambda folder: ContentStorage(folder / "content"),
}


@pytest.fixture(params=sorted(MAKERS))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    """Each of the three, empty."""
    return MAKERS[request.param](tmp_path)


def load(storage: ExternalStorage, location: str) -> bytes:
    """The content of an object, as callers of gufe load it."""
    with storage.load_stream(location) as stream:
        return stream.read()


def md5(content: bytes) -> str:
    """What gufe's metadata has of some content."""
    return hashlib.md5(content).hexdigest()
