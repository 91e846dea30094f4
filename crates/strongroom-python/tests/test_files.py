"""Objects as files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import strongroom
from strongroom import Storage, Store

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture(params=["whole", "chunked", "packed", "plain"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An object ``x`` kept in each of the ways."""
    if request.param == "plain":
        plain = strongroom.open_storage(tmp_path / "plain")
        plain.store_bytes("x", CONTENT)
        return plain
    store = strongroom.create(tmp_path / "store")
    store.store_bytes("x", CONTENT, layout="chunked" if request.param == "chunked" else "whole")
    return store


def test_all_of_it_is_read(opened: Storage) -> None:
    with opened.load_stream("x") as file:
        assert file.read() == CONTENT
        assert file.read() == b""


def test_pieces_of_any_size_are_read(opened: Storage) -> None:
    for size in (1000, 1 << 20):
        with opened.load_stream("x") as file:
            assert b"".join(iter(lambda: file.read(size), b"")) == CONTENT


def test_it_is_read_from_anywhere(opened: Storage) -> None:
    with opened.load_stream("x") as file:
        assert file.seekable() and file.readable() and not file.writable()
        assert file.seek(1000) == 1000
        assert file.read(10) == CONTENT[1000:1010] and file.tell() == 1010
        file.seek(-5, io.SEEK_END)
        assert file.read() == CONTENT[-5:]
        file.seek(5)
        file.seek(3, io.SEEK_CUR)
        assert file.read(2) == CONTENT[8:10]
        assert file.seek(len(CONTENT) + 100) and file.read() == b""
        with pytest.raises(ValueError):
            file.seek(-1)


def test_it_is_read_into_a_buffer(opened: Storage) -> None:
    with opened.load_stream("x") as file:
        buffer = bytearray(300_000)
        assert file.readinto(buffer) == 300_000
        assert buffer == CONTENT[:300_000]


def test_a_closed_file_is_not_read(opened: Storage) -> None:
    file = opened.load_stream("x")
    file.close()
    for call in (file.read, file.tell):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(ValueError):
        file.raw.seek(0)


def test_it_is_not_written(opened: Storage) -> None:
    with opened.load_stream("x") as file, pytest.raises(io.UnsupportedOperation):
        file.write(b"1")


def test_lines_are_read(store: Store) -> None:
    store.store_bytes("x", b"one\ntwo\n")
    with store.load_stream("x") as file:
        assert list(file) == [b"one\n", b"two\n"]
    with io.TextIOWrapper(store.load_stream("x")) as text:
        assert text.read() == "one\ntwo\n"


def test_an_empty_object_is_read(store: Store) -> None:
    store.store_bytes("x", b"")
    with store.load_stream("x") as file:
        assert file.read() == b""


def test_an_open_file_is_of_the_version_that_was_there(store: Store) -> None:
    store.store_bytes("x", CONTENT)
    with store.load_stream("x") as file:
        assert file.read(1000) == CONTENT[:1000]
        store.store_bytes("x", b"new")
        file.seek(400_000)
        assert file.read() == CONTENT[400_000:]
    with store.load_stream("x") as file:
        assert file.read() == b"new"


def test_damage_is_an_error_and_never_other_bytes(tmp_path: Path) -> None:
    store = strongroom.create(tmp_path / "store")
    store.store_bytes("x", CONTENT, layout="whole")
    (kept,) = (path for path in (tmp_path / "store").rglob("*") if path.is_file() and path.stat().st_size == len(CONTENT))
    kept.chmod(0o644)
    damaged = bytearray(CONTENT)
    damaged[3_000_000] ^= 1
    kept.write_bytes(damaged)
    store = strongroom.open(tmp_path / "store")
    with pytest.raises(strongroom.CorruptError) as raised:
        store.load("x")
    assert isinstance(raised.value, OSError) and "x" in str(raised.value)
    with pytest.raises(strongroom.CorruptError), store.load_stream("x") as file:
        file.read()


def test_large_and_small_reads_and_jumps_go_together(opened: Storage) -> None:
    with opened.load_stream("x") as file:
        file.read(1 << 20)
        file.read(10)
        file.seek(100)
        assert file.read(10) == CONTENT[100:110] and file.tell() == 110


def test_a_plain_object_that_is_replaced_while_it_is_read_is_told(tmp_path: Path) -> None:
    plain = strongroom.open_storage("memory://replaced-while-read")
    plain.store_bytes("x", CONTENT)
    with plain.load_stream("x") as file:
        assert file.read(1000) == CONTENT[:1000]
        plain.store_bytes("x", b"other")
        file.seek(1_000_000)
        with pytest.raises(strongroom.ChangedError):
            file.read(1000)
