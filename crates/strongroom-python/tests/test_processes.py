"""Threads, other processes, and Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import strongroom
from strongroom import Store


def read(store: Store, name: str) -> bytes:
    return store.load(name)


def write(store: Store, number: int) -> int:
    store.store_bytes(f"w/{number % 4}/{number}", str(number).encode())
    return number


def test_stores_are_pickled_by_their_place(folder_store: Store, tmp_path: Path) -> None:
    folder_store.store_bytes("x", b"1")
    again = pickle.loads(pickle.dumps(folder_store))
    assert type(again) is Store and again == folder_store and again.load("x") == b"1"
    plain = strongroom.open_storage(tmp_path / "plain")
    plain.store_bytes("x", b"2")
    again = pickle.loads(pickle.dumps(plain))
    assert type(again) is strongroom.Storage and again.load("x") == b"2"


def test_a_pool_is_told_that_there_is_no_store(tmp_path: Path) -> None:
    store = strongroom.create(tmp_path / "store")
    snapshot = store.snapshot("n")
    shutil.rmtree(tmp_path / "store")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for call in (store.load, snapshot.load):
            with pytest.raises(FileNotFoundError):
                pool.apply_async(call, ("n/x",)).get(60)


def test_what_calls_return_is_pickled_too(folder_store: Store) -> None:
    with folder_store.batch("why") as batch:
        batch.store_bytes("n/s/x", b"1", attributes={"a.b": b"c"})
    folder_store.store_bytes("n/s/x", b"2")
    for known in (folder_store.metadata("n/s/x"), folder_store.log("n/s")[0], batch.receipt):
        again = pickle.loads(pickle.dumps(known))
        assert type(again) is type(known) and again == known and repr(again) == repr(known)
    snapshot = pickle.loads(pickle.dumps(folder_store.snapshot("n/s", 1)))
    assert snapshot == folder_store.snapshot("n/s", 1) and snapshot.load("n/s/x") == b"1"
    assert snapshot != folder_store.snapshot("n/s") and len({snapshot, folder_store.snapshot("n/s", 1)}) == 1
    before = pickle.dumps(folder_store.snapshot("none/yet"))
    folder_store.store_bytes("none/yet/x", b"1")
    again = pickle.loads(before)
    assert again.version == 0 and list(again) == []


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_started_anew_use_it(folder_store: Store, method: str) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(write, [folder_store] * 8, range(8))) == list(range(8))
    assert folder_store.load("w/3/7") == b"7"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forks_use_what_their_parent_has_opened(folder_store: Store) -> None:
    """As the loaders of torch do."""
    folder_store.store_bytes("x", b"of the parent")
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        assert list(pool.map(read, [folder_store] * 9, ["x"] * 9)) == [b"of the parent"] * 9
        assert list(pool.map(write, [folder_store] * 20, range(20))) == list(range(20))
    assert sorted(folder_store.iter_contents("w/")) == sorted(f"w/{number % 4}/{number}" for number in range(20))
    folder_store.store_bytes("x", b"the parent goes on")


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_amid_work_of_other_threads_goes_on(folder_store: Store) -> None:
    folder_store.store_bytes("data/set/x", b"as it was")
    snapshot = folder_store.snapshot("data/set")
    folder_store.store_bytes("data/set/x", b"as it is")
    stop = threading.Event()

    def busy(number: int) -> None:
        while not stop.is_set():
            folder_store.store_bytes(f"busy/{number}/x", os.urandom(1000))
            folder_store.load(f"busy/{number}/x")
            snapshot.load("data/set/x")

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(10):
            child = os.fork()
            if child == 0:
                try:
                    folder_store.store_bytes(f"child/{number}/x", b"1")
                    os._exit(int(snapshot.load("data/set/x") != b"as it was" or list(snapshot) != ["data/set/x"]))
                finally:
                    os._exit(1)
            deadline = time.monotonic() + 60
            while True:
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    break
                assert time.monotonic() < deadline, "the child waits for ever"
                time.sleep(0.01)
            assert status == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(list(folder_store.iter_contents("child/"))) == 10


def test_threads_share_a_store(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, [store] * 200, range(200))) == list(range(200))
        assert set(pool.map(read, [store] * 200, (f"w/{n % 4}/{n}" for n in range(200)))) == {
            str(number).encode() for number in range(200)
        }


def test_other_threads_of_python_go_on_meanwhile(store: Store) -> None:
    counted, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted[0]
        store.store_bytes("x", bytes(100_000_000))
        assert counted[0] > before
    finally:
        stop.set()
        thread.join()


INTERRUPTED = """
import os, signal, sys, threading
import strongroom

# Whoever starts the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
store = strongroom.create(sys.argv[1])

def endless():
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    while True:
        yield b"1" * 1000

try:
    store.store_stream("x", endless())
except KeyboardInterrupt:
    print("interrupted", store.exists("x"), flush=True)
    os._exit(0)
"""


def test_ctrl_c_ends_a_long_call_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "store")], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("interrupted False\n", 0), done.stderr


def test_a_program_ends_while_something_is_under_way(tmp_path: Path) -> None:
    program = f"""
import asyncio, strongroom
store = strongroom.create({str(tmp_path / "store")!r})
async def main():
    asyncio.ensure_future(store.store_bytes_async("x", bytes(50_000_000)))
    await asyncio.sleep(0)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_handler_of_signals_is_called_during_a_call(store: Store) -> None:
    called = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: called.set())
    try:

        def pieces() -> object:
            os.kill(os.getpid(), signal.SIGUSR1)
            for _ in range(200):
                if called.is_set():
                    return
                time.sleep(0.05)
                yield b"1"

        store.store_stream("x", pieces())  # type: ignore[arg-type]
        assert called.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)
