"""File systems in other processes."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from strongroom import Store

fsspec = pytest.importorskip("fsspec")

from strongroom.fsspec import StrongroomFileSystem  # noqa: E402

_SHARED: dict[str, Any] = {}


@pytest.fixture
def fs(folder_store: Store) -> StrongroomFileSystem:
    """A file system on a store in a folder with an object."""
    fs = StrongroomFileSystem(store=folder_store.url)
    fs.pipe("c/x", b"of the parent")
    return fs


def use(fs: StrongroomFileSystem, number: int) -> bytes:
    fs.pipe(f"c/{number}", b"%d" % number)
    assert fs.exists(f"c/{number}")
    data: bytes = fs.cat("c/x")
    return data


def use_shared(number: int) -> bytes:
    return use(_SHARED["fs"], number) + bytes(_SHARED["file"].read(3))


def test_file_systems_are_pickled(fs: StrongroomFileSystem, store: Store) -> None:
    assert pickle.loads(pickle.dumps(fs)) is fs
    assert StrongroomFileSystem.from_json(fs.to_json()) is fs
    assert json.loads(fs.to_json())["store"] == fs.store.url
    of_object = StrongroomFileSystem(store=store)
    of_object.pipe("c/x", b"x")
    dumped = pickle.dumps(of_object)
    StrongroomFileSystem.clear_instance_cache()
    assert pickle.loads(dumped).cat("c/x") == b"x"


def test_open_files_are_pickled(fs: StrongroomFileSystem) -> None:
    with fs.open("c/x", "rb") as file:
        file.seek(3)
        with pickle.loads(pickle.dumps(file)) as again:
            assert again.read() == b"the parent"
    late = fsspec.open("strongroom://c/x", "rb", store=fs.store.url)
    with pickle.loads(pickle.dumps(late)) as file:
        assert file.read() == b"of the parent"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_started_anew_use_it(fs: StrongroomFileSystem, method: str) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(use, [fs] * 4, range(4))) == [b"of the parent"] * 4


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forks_use_what_their_parent_has_opened(fs: StrongroomFileSystem) -> None:
    with fs.open("c/x", "rb", cache_type="none") as file:
        _SHARED.update(fs=fs, file=file)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            assert list(pool.map(use, [fs] * 4, range(4))) == [b"of the parent"] * 4
            assert {data[:13] for data in pool.map(use_shared, range(4, 8))} == {b"of the parent"}
        assert file.read() == b"of the parent"
    assert fs.cat("c/7") == b"7"
    fs.pipe("c/x", b"the parent goes on")


def test_threads_share_it(fs: StrongroomFileSystem) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda number: use(fs, number), range(40))) == [b"of the parent"] * 40
    assert len(fs.ls("c")) == 41
