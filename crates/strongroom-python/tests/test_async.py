"""The twins for ``async`` callers."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

import strongroom
from strongroom import Batch, Snapshot, Storage, Store

#: Calls that read or write nothing, or whose twin is another word.
WITHOUT_TWIN = {
    Storage: set[str](),
    Store: {"batch"},
    Batch: {"store_bytes", "store_path", "store_stream", "copy", "delete"},
    Snapshot: {"load_stream", "objects"},
}


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize("kind", WITHOUT_TWIN)
def test_every_call_has_a_twin_with_the_same_parameters(kind: type) -> None:
    calls = {name: call for name, call in vars(kind).items() if inspect.isfunction(call) and not name.startswith("_")}
    alone = {name for name in calls if not name.endswith("_async")} - WITHOUT_TWIN[kind]
    for name in alone:
        twin = calls[f"{name}_async"]
        assert inspect.signature(calls[name]).parameters == inspect.signature(twin).parameters, name
        assert twin.__doc__
    assert {name.removesuffix("_async") for name in calls} == {
        name for name in calls if not name.endswith("_async")
    }


def test_twins_do_the_same(storage: Storage, tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "in").write_bytes(b"file")
        await storage.store_bytes_async("a/bytes", b"bytes")
        await storage.store_path_async("a/path", tmp_path / "in")
        await storage.store_stream_async("a/stream", io.BytesIO(b"stream"))
        assert await storage.load_async("a/bytes", 1, 3) == b"yt"
        assert await storage.load_many_async(["a/path", "a/stream"]) == [b"file", b"stream"]
        assert await storage.load_path_async("a/bytes", tmp_path / "out") == 5
        with await storage.load_stream_async("a/bytes") as file:
            assert file.read() == b"bytes"
        with await storage.path_async("a/bytes", name="named") as path:
            assert path.read_bytes() == b"bytes"
        assert await storage.exists_async("a/bytes") and not await storage.exists_async("none")
        assert await storage.exists_many_async(["a/bytes", "none"]) == [True, False]
        assert (await storage.metadata_async("a/bytes")).size == 5
        assert await storage.hexdigest_async("a/bytes") == storage.hexdigest("a/bytes")
        assert await storage.digest_async("a/bytes") == storage.digest("a/bytes")
        assert {name async for name in storage.iter_contents_async("a/")} == {"a/bytes", "a/path", "a/stream"}
        await storage.delete_async("a/bytes")
        await storage.delete_many_async(["a/path", "a/stream", "none"])
        assert [name async for name in storage.iter_contents_async()] == []
        with pytest.raises(FileNotFoundError):
            await storage.load_async("none")

    run(work())


def test_stores_have_twins_too(url: str) -> None:
    async def work() -> None:
        with pytest.raises(FileNotFoundError):
            await strongroom.open_async(url)
        store = await strongroom.create_async(url)
        async with store.batch("why") as batch:
            batch.store_bytes("n/s/a", b"1")
        assert batch.receipt is not None and batch.receipt.versions == {"n/s": 1}
        with pytest.raises(ZeroDivisionError):
            async with store.batch() as batch:
                batch.store_bytes("n/s/b", b"1")
                raise ZeroDivisionError
        await store.tag_async("first", "n/s", 1)
        snapshot = await store.snapshot_async("n/s", "first")
        assert await snapshot.load_async("n/s/a") == b"1"
        assert (await snapshot.metadata_async("n/s/a")).size == 1
        assert [commit.message for commit in await store.log_async("n/s")] == ["why"]
        assert await store.namespaces_async() == ["n/s"]
        assert [found.location async for found in store.objects_async()] == ["n/s/a"]
        assert (await strongroom.open_async(url)).load("n/s/a") == b"1"

    run(work())


def test_many_go_on_at_once(store: Store) -> None:
    async def work() -> None:
        names = [f"n/s/{number}" for number in range(300)]
        await asyncio.gather(*(store.store_bytes_async(name, name.encode()) for name in names))
        loaded = await asyncio.gather(*(store.load_async(name) for name in names))
        assert loaded == [name.encode() for name in names]

    run(work())


def test_the_loop_goes_on_while_something_is_waited_for(store: Store) -> None:
    async def work() -> None:
        stop = asyncio.Event()

        async def pieces() -> int:
            ticks = 0
            while not stop.is_set():
                ticks += 1
                await asyncio.sleep(0)
            return ticks

        ticking = asyncio.ensure_future(pieces())
        await store.store_bytes_async("x", bytes(20_000_000))
        stop.set()
        assert await ticking > 1

    run(work())


def test_what_is_cancelled_leaves_nothing(store: Store) -> None:
    async def work() -> None:
        never = asyncio.Event()

        def endless() -> Any:
            while not never.is_set():
                yield b"1" * 100_000

        storing = asyncio.ensure_future(store.store_stream_async("x", endless()))
        await asyncio.sleep(0.05)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        never.set()
        assert not await store.exists_async("x")
        await store.store_bytes_async("x", b"1")

    run(work())


def test_a_loop_that_ends_with_work_under_way_is_no_error(store: Store) -> None:
    async def work() -> None:
        asyncio.ensure_future(store.store_bytes_async("x", bytes(5_000_000)))
        await asyncio.sleep(0)

    run(work())
    store.store_bytes("y", b"1")


def test_many_large_objects_are_loaded_at_once(store: Store) -> None:
    async def work() -> None:
        content = bytes(range(256)) * 5000
        await store.store_bytes_async("x", content)
        loaded = await asyncio.gather(*(store.load_async("x") for _ in range(200)))
        assert all(one == content for one in loaded)

    run(work())
