"""What every storage does, whether it keeps content or plain files."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
import time
from pathlib import Path, PurePosixPath

import pytest

import strongroom
from strongroom import Storage


def test_what_was_stored_is_loaded(storage: Storage) -> None:
    stored = storage.store_bytes("a/b/c.txt", b"hello")
    assert (stored.location, stored.size) == ("a/b/c.txt", 5)
    assert storage.load("a/b/c.txt") == b"hello"
    assert "a/b/c.txt" in storage and storage.exists("a/b/c.txt") is True
    assert "a/b" not in storage and 7 not in storage
    assert list(storage) == ["a/b/c.txt"]


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"xabc")[1:], b"abc"], ids=lambda data: type(data).__name__)
def test_anything_with_bytes_is_content(storage: Storage, data: bytes) -> None:
    storage.store_bytes("x", data)
    assert storage.load("x") == b"abc"


def test_content_is_let_go_of_when_it_is_stored(storage: Storage) -> None:
    data = bytes(1_000_000)
    before = sys.getrefcount(data)
    storage.store_bytes("x", data)
    # What is kept in memory is the very same.
    storage.delete("x")
    for _ in range(1000):
        storage.exists("x")
        if sys.getrefcount(data) == before:
            return
        time.sleep(0.01)
    pytest.fail(f"{sys.getrefcount(data) - before} references are left")


def test_an_array_is_content(storage: Storage) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(12, dtype="<i4").reshape(3, 4)
    storage.store_bytes("x", array)
    assert storage.load("x") == array.tobytes()


def test_a_buffer_that_changes_after_the_call_was_copied(store: strongroom.Store) -> None:
    data = bytearray(b"before")
    with store.batch() as batch:
        batch.store_bytes("x", data)
        data[:] = b"after!"
    assert store.load("x") == b"before"


@pytest.mark.parametrize("data", ["text", 5, None], ids=repr)
def test_what_has_no_bytes_is_refused_and_nothing_is_stored(storage: Storage, data: object) -> None:
    with pytest.raises(TypeError):
        storage.store_bytes("x", data)  # type: ignore[arg-type]
    assert list(storage) == []


def test_locations_are_text_or_paths(storage: Storage) -> None:
    storage.store_bytes(PurePosixPath("a/b"), b"1")
    assert storage.load(Path("a/b")) == storage.load("a/b") == b"1"
    with pytest.raises(TypeError, match="a str or a path"):
        storage.load(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a str or a path"):
        storage.load(b"a/b")  # type: ignore[arg-type]


@pytest.mark.parametrize("location", ["", "../a", "/a", "a/../b", "a\0b"])
def test_a_location_that_is_none_is_a_value_error(storage: Storage, location: str) -> None:
    with pytest.raises(ValueError) as raised:
        storage.store_bytes(location, b"1")
    assert isinstance(raised.value, strongroom.InvalidError)


def test_ranges_are_pythons(storage: Storage) -> None:
    storage.store_bytes("x", b"0123456789")
    assert storage.load("x", 2, 5) == b"234"
    assert storage.load("x", 7) == b"789"
    assert storage.load("x", -3) == b"789"
    assert storage.load("x", None, 2) == b"01"
    assert storage.load("x", -30) == b"0123456789"
    for start, end in [(5, 2), (-3, -1), (0, -1)]:
        with pytest.raises(ValueError):
            storage.load("x", start, end)


def test_many_are_loaded_in_the_order_of_their_names(storage: Storage) -> None:
    names = [f"n/{number % 7}/{number}" for number in range(100)]
    for name in names:
        storage.store_bytes(name, name.encode())
    assert storage.load_many(reversed(names)) == [name.encode() for name in reversed(names)]
    assert storage.exists_many(["n/0/0", "n/0/1", "n/1/1"]) == [True, False, True]
    with pytest.raises(strongroom.MissingError, match="n/0/1"):
        storage.load_many(["n/0/0", "n/0/1"])


def test_what_is_no_file_is_not_replaced_by_one(storage: Storage, tmp_path: Path) -> None:
    storage.store_bytes("x", b"1")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "folder/"):
        with pytest.raises(strongroom.ConflictError):
            storage.load_path("x", f"{tmp_path}/{name}")
    for none in ("", ".", "/"):
        with pytest.raises(ValueError, match="no file"):
            storage.load_path("x", none)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "private").touch(0o600)
    storage.load_path("x", tmp_path / "private")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_addresses_of_objects_are_no_content(storage: Storage) -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match="objects"):
        storage.store_bytes("x", numpy.array(["a", "b"], dtype=object))
    storage.store_bytes("x", numpy.arange(3, dtype="u1"))
    assert storage.load("x") == bytes(range(3))


def test_files_go_in_and_come_out(storage: Storage, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"x" * 100_000)
    assert storage.store_path("a/file", source).size == 100_000
    assert storage.load_path("a/file", target) == 100_000
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(FileExistsError):
        storage.load_path("a/file", target, mode="create")
    with pytest.raises(FileNotFoundError):
        storage.store_path("a/none", tmp_path / "none")
    with pytest.raises(ValueError):
        storage.store_path("a/folder", tmp_path)


def test_streams_go_in(storage: Storage) -> None:
    storage.store_stream("file", io.BytesIO(b"ab" * 5_000_000))
    storage.store_stream("pieces", (bytes([piece]) * 3 for piece in range(3)))
    assert storage.load("file") == b"ab" * 5_000_000
    assert storage.load("pieces") == b"\0\0\0\1\1\1\2\2\2"


def test_what_a_stream_raises_is_raised_and_nothing_is_stored(storage: Storage) -> None:
    def failing() -> object:
        yield b"some"
        raise ZeroDivisionError("in the middle")

    with pytest.raises(ZeroDivisionError, match="in the middle"):
        storage.store_stream("x", failing())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        storage.store_stream("x", ["text"])  # type: ignore[list-item]
    assert list(storage) == []


def test_what_must_be_new_replaces_nothing(storage: Storage) -> None:
    storage.store_bytes("x", b"1", mode="create")
    with pytest.raises(FileExistsError) as raised:
        storage.store_bytes("x", b"2", mode="create")
    assert isinstance(raised.value, strongroom.AlreadyExistsError)
    assert storage.load("x") == b"1"
    storage.store_bytes("x", b"2")
    assert storage.load("x") == b"2"
    with pytest.raises(ValueError, match="'overwrite' or 'create'"):
        storage.store_bytes("x", b"3", mode="append")  # type: ignore[arg-type]


def test_what_is_not_there_is_a_file_not_found_error(storage: Storage, tmp_path: Path) -> None:
    for call in (
        lambda: storage.load("a/none"),
        lambda: storage.load_stream("a/none"),
        lambda: storage.load_path("a/none", tmp_path / "none"),
        lambda: storage.path("a/none"),
        lambda: storage.metadata("a/none"),
        lambda: storage.hexdigest("a/none"),
        lambda: storage.delete("a/none"),
    ):
        with pytest.raises(FileNotFoundError, match="a/none") as raised:
            call()
        assert isinstance(raised.value, strongroom.MissingError)
    assert storage.exists("a/none") is False


def test_prefixes_are_strings(storage: Storage) -> None:
    for name in ["foo.txt", "foo_dir/a.txt", "other", "foo_dir/b/c"]:
        storage.store_bytes(name, b"")
    assert sorted(storage.iter_contents("foo")) == ["foo.txt", "foo_dir/a.txt", "foo_dir/b/c"]
    assert sorted(storage.iter_contents("foo_dir/")) == ["foo_dir/a.txt", "foo_dir/b/c"]
    for nothing in ["/", "../", "foo//", "x"]:
        assert list(storage.iter_contents(nothing)) == []


def test_a_listing_is_of_any_length(plain: Storage) -> None:
    names = {f"n/{number}" for number in range(2500)}
    for name in names:
        plain.store_bytes(name, b"", durable=False)
    assert set(plain) == names


def test_digests_are_those_of_everybody(storage: Storage) -> None:
    content = b"some content" * 1000
    storage.store_bytes("x", content)
    assert storage.hexdigest("x") == hashlib.md5(content).hexdigest()
    assert storage.hexdigest("x", "sha256") == hashlib.sha256(content).hexdigest()
    # As `b3sum` prints it.
    storage.store_bytes("empty", b"")
    assert storage.digest("empty") == "b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    with pytest.raises(ValueError, match="'blake3', 'md5' or 'sha256'"):
        storage.hexdigest("x", "crc")  # type: ignore[arg-type]


def test_digests_that_are_asked_for_when_storing_are_known(storage: Storage) -> None:
    stored = storage.store_bytes("x", b"1", digests=["md5", "sha256"])
    assert stored.digests["md5"] == hashlib.md5(b"1").hexdigest()
    assert stored.digests["sha256"] == hashlib.sha256(b"1").hexdigest()


def test_what_is_deleted_is_gone(storage: Storage) -> None:
    for name in "abcd":
        storage.store_bytes(name, b"1")
    storage.delete("a")
    storage.delete_many(["b", "c", "none"])
    assert list(storage) == ["d"]


def test_metadata_says_how_large_and_when(storage: Storage) -> None:
    storage.store_bytes("x", b"12345")
    metadata = storage.metadata("x")
    assert (metadata.location, metadata.size) == ("x", 5)
    assert metadata.modified is None or metadata.modified > 1_700_000_000


def test_plain_files_are_files_under_their_own_names(tmp_path: Path) -> None:
    plain = strongroom.open_storage(tmp_path / "plain")
    plain.store_bytes("a/b.txt", b"1")
    assert (tmp_path / "plain/a/b.txt").read_bytes() == b"1"
    (tmp_path / "plain/c").write_bytes(b"2")
    assert plain.load("c") == b"2"
    assert plain.local_root == tmp_path / "plain"


def test_what_only_content_stores_know_a_plain_storage_says_so(tmp_path: Path) -> None:
    plain = strongroom.open_storage(tmp_path)
    with pytest.raises(strongroom.UnsupportedError, match="content store"):
        plain.load("b3:00")
    for many in (plain.load_many, plain.exists_many):
        with pytest.raises(strongroom.UnsupportedError, match="content store"):
            many(["a", "b3:00"])
    with pytest.raises(io.UnsupportedOperation):
        plain.load("b3:00")


def test_storages_are_equal_by_kind_and_place(tmp_path: Path) -> None:
    one, other = strongroom.open_storage(tmp_path), strongroom.open_storage(tmp_path)
    assert one == other and len({one, other}) == 1
    assert one != strongroom.create(tmp_path) and one != strongroom.open_storage(tmp_path / "b") and one != 7
    with one as entered:
        assert entered is one


def test_storages_in_memory_are_those_of_their_name() -> None:
    strongroom.open_storage("memory://by-name").store_bytes("x", b"1")
    assert strongroom.open_storage("memory://by-name").load("x") == b"1"
    assert list(strongroom.open_storage("memory://another-name")) == []


def test_a_url_that_is_none_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="scheme is unknown"):
        strongroom.open_storage("ftp://host/path")


def test_what_is_no_location_is_not_in_it(storage: Storage) -> None:
    assert "" not in storage and "../a" not in storage


def test_a_stream_that_stops_in_its_own_way_is_an_error(storage: Storage) -> None:
    class Odd(io.RawIOBase):
        read_once = False

        def read(self, size: int = -1, /) -> bytes:
            if self.read_once:
                raise StopIteration
            self.read_once = True
            return b"some"

    with pytest.raises(RuntimeError):
        storage.store_stream("x", Odd())  # type: ignore[arg-type]
    assert list(storage) == []
