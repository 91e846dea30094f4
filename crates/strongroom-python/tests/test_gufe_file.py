"""Objects as plain files: sections 2.3, 3.2 and 3.7 of the description of gufe, and its defects 1, 2, 5, 12."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gufe_storages import load, md5

import strongroom
from strongroom.gufe import FileStorage, MemoryStorage, MissingExternalResourceError
from strongroom.gufe.errors import (
    ConflictResourceError,
    DeniedResourceError,
    ExternalResourceError,
    InvalidResourceError,
)

GENERATIONS = {"A": {}, "C": {"exist_ok": True}}


@pytest.fixture(params=sorted(GENERATIONS))
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStorage:
    """The storage of each generation."""
    return FileStorage(tmp_path / "root", **GENERATIONS[request.param])


@pytest.fixture
def plain(tmp_path: Path) -> FileStorage:
    """That of the generations A and B."""
    return FileStorage(tmp_path / "root")


# 3.2.1, the folder.


def test_3_2_1_nothing_is_made_before_the_first_write(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "campaign" / "root")
    assert list(storage) == []
    assert not storage.exists("a")
    assert list(tmp_path.iterdir()) == []
    storage.store_bytes("a", b"x")
    assert (tmp_path / "campaign" / "root" / "a").read_bytes() == b"x"


def test_3_2_1_a_warehouse_on_a_new_folder_leaves_it_empty(tmp_path: Path) -> None:
    for name in ("setup", "result", "shared"):
        FileStorage(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [str, Path])
def test_3_2_1_the_folder_is_a_path_that_is_not_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = FileStorage(kind("x"))
    assert isinstance(storage.root_dir, Path)
    assert storage.root_dir == Path("x")
    assert storage != FileStorage(tmp_path / "x")


def test_a_relative_folder_stays_where_it_was_when_the_storage_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = FileStorage("x")
    storage.store_bytes("a", b"x")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    storage.store_bytes("b", b"y")
    assert sorted(storage) == ["a", "b"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_3_7_9_equality_is_that_of_class_and_folder(tmp_path: Path) -> None:
    one = FileStorage(tmp_path / "x")
    assert one == FileStorage(tmp_path / "x")
    assert hash(one) == hash(FileStorage(tmp_path / "x"))
    assert one != FileStorage(tmp_path / "y")
    assert one != MemoryStorage()
    assert one != str(tmp_path / "x")
    assert one != type("Other", (FileStorage,), {})(tmp_path / "x")


def test_a_pipe_is_no_object(files: FileStorage) -> None:
    files.store_bytes("a/x", b"1")
    os.mkfifo(files.root_dir / "a/pipe")
    assert list(files) == ["a/x"] and not files.exists("a/pipe") and "a/pipe" not in files
    with pytest.raises(ExternalResourceError):
        files.store_bytes("a/pipe", b"1")
    with pytest.raises(MissingExternalResourceError):
        files.delete("a/pipe")
    assert (files.root_dir / "a/pipe").is_fifo()


def test_3_2_1_it_pickles(files: FileStorage) -> None:
    files.store_bytes("a", b"x")
    again = pickle.loads(pickle.dumps(files))
    assert again == files
    assert load(again, "a") == b"x"


def test_a_folder_whose_name_looks_like_a_url_is_a_folder(tmp_path: Path) -> None:
    storage = FileStorage(f"{tmp_path}/s3://bucket/a%20b?c")
    storage.store_bytes("a", b"x")
    assert load(storage, "a") == b"x"
    assert (tmp_path / "s3:" / "bucket" / "a%20b?c" / "a").is_file()


# 2.3 and 3.7.2: real files.


def test_2_3_a_location_is_a_real_file_and_nothing_else_is_there(files: FileStorage, tmp_path: Path) -> None:
    files.store_bytes("dag/unit/a.csv", b"x")
    files.store_bytes("dag/unit/a.csv", b"y")
    assert [path for path in files.root_dir.rglob("*") if path.is_file()] == [files.root_dir / "dag/unit/a.csv"]
    assert (files.root_dir / "dag/unit/a.csv").read_bytes() == b"y"
    assert not (files.root_dir / "dag/unit/a.csv").is_symlink()


def test_3_7_2_files_of_others_are_seen(files: FileStorage) -> None:
    (files.root_dir / "d").mkdir(parents=True)
    (files.root_dir / "d" / "theirs").write_bytes(b"x")
    assert files.exists("d/theirs")
    assert load(files, "d/theirs") == b"x"
    assert files.get_metadata("d/theirs").md5 == md5(b"x")
    assert list(files) == ["d/theirs"]
    files.delete("d/theirs")
    assert not (files.root_dir / "d" / "theirs").exists()


def test_3_7_2_writing_to_the_source_does_not_change_the_object(files: FileStorage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"before")
    files.store_path("a", source)
    with open(source, "r+b") as file:
        file.write(b"after!")
    assert load(files, "a") == b"before"


def test_3_7_2_writing_to_one_object_in_place_does_not_change_another(files: FileStorage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"before")
    files.store_path("a", tmp_path / "source")
    files.store_path("b", tmp_path / "source")
    with open(files.root_dir / "a", "r+b") as file:
        file.write(b"after!")
    assert load(files, "b") == b"before"
    assert (tmp_path / "source").read_bytes() == b"before"


def test_3_7_3_an_absolute_path_inside_the_folder_means_the_location(files: FileStorage) -> None:
    inside = files.root_dir.resolve() / "d" / "a"
    files.store_bytes(inside, b"x")
    assert list(files) == ["d/a"]
    assert files.exists(inside) and files.exists(str(inside))
    assert load(files, str(inside)) == b"x"
    files.delete(inside)
    assert not files.exists("d/a")


def test_3_7_3_an_absolute_path_by_a_symlink_to_the_folder_means_the_location(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for root in ("real", "link"):
        storage = FileStorage(tmp_path / root)
        storage.store_bytes(tmp_path / "real" / "a", b"x")
        assert list(storage) == ["a"]


def test_4_2_nothing_outside_the_folder_is_touched(files: FileStorage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs")
    for location in ("../outside", str(outside), "d/../../outside", "../root/../outside", f"{tmp_path}/root2/x"):
        assert not files.exists(location)
        with pytest.raises(InvalidResourceError):
            files.store_bytes(location, b"ours")
        with pytest.raises(InvalidResourceError):
            files.delete(location)
        with pytest.raises(InvalidResourceError):
            files.load_stream(location)
    assert outside.read_bytes() == b"theirs"


def test_3_2_1_the_filename_is_a_string_whether_it_is_there_or_not(files: FileStorage) -> None:
    assert files.get_filename("d/a") == str(files.root_dir / "d/a")


def test_4_2_there_is_no_filename_outside_the_folder(files: FileStorage) -> None:
    with pytest.raises(InvalidResourceError):
        files.get_filename("../a")


# 2.2 and 3.2.1, storing.


def test_2_2_storing_gives_none(files: FileStorage) -> None:
    result: object = files.store_bytes("a", b"x")
    assert result is None


def test_3_2_1_a_source_that_is_the_object_itself_stays_as_it_is(files: FileStorage) -> None:
    files.store_bytes("a", b"x")
    before = (files.root_dir / "a").stat()
    files.store_path("a", files.root_dir / "a")
    assert (files.root_dir / "a").stat() == before


def test_3_2_1_neither_the_mode_nor_the_times_of_a_source_are_kept(files: FileStorage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    source.chmod(0o700)
    os.utime(source, (1, 1))
    files.store_path("a", source)
    stored = (files.root_dir / "a").stat()
    assert stored.st_mode & 0o100 == 0
    assert stored.st_mtime > 1000


def test_3_2_1_an_object_and_something_below_it_is_a_conflict(files: FileStorage) -> None:
    files.store_bytes("a", b"x")
    with pytest.raises(FileExistsError) as caught:
        files.store_bytes("a/b", b"y")
    assert isinstance(caught.value, ConflictResourceError)
    assert isinstance(caught.value.__cause__, strongroom.ConflictError)
    assert load(files, "a") == b"x"


def test_3_2_1_an_object_above_another_is_a_conflict(files: FileStorage) -> None:
    files.store_bytes("a/b", b"x")
    with pytest.raises(IsADirectoryError) as caught:
        files.store_bytes("a", b"y")
    assert isinstance(caught.value, ConflictResourceError)
    assert list(files) == ["a/b"]


def test_3_2_1_a_name_of_255_bytes_is_stored_and_one_of_256_is_not(files: FileStorage) -> None:
    files.store_bytes("x" * 255, b"")
    assert files.exists("x" * 255)
    for name in ("x" * 256, "ä" * 128):
        with pytest.raises(InvalidResourceError):
            files.store_bytes(name, b"")
        assert not files.exists(name)


# 4.1: readers and crashes.


def test_4_1_readers_see_the_old_object_or_the_new_one(files: FileStorage) -> None:
    contents = {bytes([letter]) * 200_000 for letter in b"ab"}
    files.store_bytes("a", min(contents))
    over = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not over.is_set():
            seen.add(load(files, "a"))
            seen.add((files.root_dir / "a").read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        for content in contents:
            files.store_bytes("a", content)
    over.set()
    reader.join()
    assert seen <= contents


def test_4_1_an_open_reader_keeps_what_it_opened(files: FileStorage) -> None:
    files.store_bytes("a", b"before")
    with files.load_stream("a") as stream:
        files.store_bytes("a", b"after")
        assert stream.read() == b"before"


def test_4_1_a_process_that_is_killed_leaves_no_half_object(tmp_path: Path) -> None:
    program = (
        "import sys; from strongroom.gufe import FileStorage\n"
        "storage = FileStorage(sys.argv[1], durable=False)\n"
        "print('ready', flush=True)\n"
        "while True: storage.store_bytes('a', b'0' * 20_000_000)\n"
    )
    storage = FileStorage(tmp_path)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while not storage.exists("a"):
                pass
            process.send_signal(signal.SIGKILL)
        assert list(storage) == ["a"]
        assert storage.size("a") == 20_000_000
        storage.delete("a")


@pytest.mark.parametrize("durable", [True, False])
def test_4_1_it_is_durable_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    storage = FileStorage(tmp_path / "root") if durable else FileStorage(tmp_path / "root", durable=False)
    (tmp_path / "source").write_bytes(b"x")
    asked = []
    for name in ("store_bytes", "store_path"):
        done = getattr(storage.native, name)

        def record(*arguments: object, done=done, **options: object) -> object:  # type: ignore[no-untyped-def]
            asked.append(options["durable"])
            return done(*arguments, **options)

        monkeypatch.setattr(storage.native, name, record)
    storage.store_bytes("a", b"x")
    storage.create_bytes("b", b"x")
    storage.store_path("c", tmp_path / "source")
    storage.store_paths({"d": tmp_path / "source"})
    assert asked == [durable] * 4


# 3.2.1, looking and removing.


def test_3_2_1_a_folder_is_missing_and_can_not_be_deleted(files: FileStorage) -> None:
    files.store_bytes("d/a", b"")
    with pytest.raises(MissingExternalResourceError):
        files.load_stream("d")
    with pytest.raises(IsADirectoryError) as caught:
        files.delete("d")
    assert isinstance(caught.value, MissingExternalResourceError)
    assert list(files) == ["d/a"]


def test_3_2_1_below_a_file_everything_is_missing(files: FileStorage) -> None:
    files.store_bytes("a", b"")
    assert not files.exists("a/b")
    for call in (files.load_stream, files.delete):
        with pytest.raises(MissingExternalResourceError):
            call("a/b")
    assert list(files.iter_contents("a/")) == []


def test_3_2_1_what_is_missing_has_the_error_of_strongroom_as_its_cause(files: FileStorage) -> None:
    for call in (files.load_stream, files.delete, files.get_metadata, files.size, files.digest):
        with pytest.raises(MissingExternalResourceError) as caught:
            call("a")
        assert isinstance(caught.value.__cause__, strongroom.MissingError)
        assert not isinstance(caught.value, (KeyError, FileNotFoundError))


def test_3_2_1_the_message_of_a_failed_deletion_names_the_file(files: FileStorage) -> None:
    with pytest.raises(MissingExternalResourceError) as caught:
        files.delete("d/a")
    assert str(caught.value) == f"Unable to delete '{files.root_dir / 'd/a'}': File does not exist"


def test_3_2_1_empty_folders_stay_and_are_invisible(files: FileStorage) -> None:
    files.store_bytes("d/a", b"")
    files.delete("d/a")
    assert (files.root_dir / "d").is_dir()
    assert list(files) == []


def test_3_2_1_of_a_symlink_the_link_is_removed(files: FileStorage) -> None:
    files.store_bytes("a", b"x")
    (files.root_dir / "link").symlink_to("a")
    assert files.exists("link")
    assert load(files, "link") == b"x"
    assert sorted(files) == ["a", "link"]
    files.delete("link")
    assert list(files) == ["a"]


def test_3_2_1_a_dangling_symlink_is_listed_and_missing(files: FileStorage) -> None:
    files.root_dir.mkdir(exist_ok=True)
    (files.root_dir / "link").symlink_to("nowhere")
    assert list(files) == ["link"]
    assert not files.exists("link")
    for call in (files.load_stream, files.delete):
        with pytest.raises(MissingExternalResourceError):
            call("link")


def test_3_2_1_symlinks_to_folders_are_not_followed_by_listings(files: FileStorage) -> None:
    files.store_bytes("d/a", b"x")
    (files.root_dir / "link").symlink_to("d")
    assert list(files) == ["d/a"]
    assert files.exists("link/a")


def test_3_2_1_the_stream_is_a_buffered_binary_file(files: FileStorage) -> None:
    files.store_bytes("a", b"x")
    with files.load_stream("a") as stream:
        assert isinstance(stream, io.BufferedReader)


def test_3_2_1_files_with_names_that_are_not_utf_8_are_listed_and_loaded(plain: FileStorage) -> None:
    plain.root_dir.mkdir()
    try:
        with open(os.fsencode(plain.root_dir) + b"/\xff", "wb") as file:
            file.write(b"x")
    except OSError:
        pytest.skip("this file system has no such names")
    (location,) = plain
    assert plain.exists(location)
    assert load(plain, location) == b"x"


def test_3_2_1_hidden_files_are_listed(plain: FileStorage) -> None:
    for location in (".a", "d/.b", ".d/c"):
        plain.store_bytes(location, b"")
    assert sorted(plain) == [".a", ".d/c", "d/.b"]


def test_4_1_unfinished_files_are_never_objects(files: FileStorage) -> None:
    (files.root_dir / ".strongroom-tmp").mkdir(parents=True)
    (files.root_dir / ".strongroom-tmp" / "x").write_bytes(b"half")
    assert list(files) == list(files.iter_contents(".strongroom-tmp/")) == []
    assert not files.exists(".strongroom-tmp/x")


# 4.5: other errors.


@pytest.fixture
def forbidden(files: FileStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileStorage]:
    """A storage with an object ``d/a`` whose folder may not be entered."""
    files.store_bytes("d/a", b"x")
    if os.geteuid() != 0:
        (files.root_dir / "d").chmod(0)
        yield files
        (files.root_dir / "d").chmod(0o700)
        return
    # Nothing is forbidden to the superuser, so it is said.
    denied = PermissionError(13, "Permission denied")
    refusal = strongroom.DeniedError("load d/a: permission is lacking", "load", "d/a")

    def refuse(error: Exception):  # type: ignore[no-untyped-def]
        def call(*arguments: object, **options: object) -> None:
            raise error

        return call

    with monkeypatch.context() as patch:
        native = files.native
        for name in ("exists", "load_stream", "delete", "store_bytes", "hexdigest"):
            patch.setattr(native, name, refuse(refusal))
        patch.setattr(os, "stat", refuse(denied))
        patch.setattr(os, "scandir", refuse(denied))
        patch.setattr("builtins.open", refuse(denied))
        yield files


@pytest.mark.parametrize(
    "call",
    [
        lambda storage: storage.load_stream("d/a"),
        lambda storage: storage.exists("d/a"),
        lambda storage: storage.delete("d/a"),
        lambda storage: storage.store_bytes("d/a", b""),
        lambda storage: storage.get_metadata("d/a"),
        lambda storage: list(storage.iter_contents("d/")),
    ],
    ids=["load_stream", "exists", "delete", "store_bytes", "get_metadata", "iter_contents"],
)
def test_4_5_what_is_forbidden_is_not_missing(forbidden: FileStorage, call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeniedResourceError) as caught:
        call(forbidden)
    assert isinstance(caught.value, ExternalResourceError)
    assert isinstance(caught.value, PermissionError)
    assert not isinstance(caught.value, MissingExternalResourceError)


# 4.12: listings.


def test_4_12_only_folders_that_can_match_are_read(files: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for location in ("d1/e/a", "d1/f/b", "d10/c", "d2/d"):
        files.store_bytes(location, b"")
    read = []
    scandir = os.scandir

    def record(path: str) -> object:
        read.append(os.path.relpath(path, files.root_dir.resolve()))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", record)
    assert sorted(files.iter_contents("d1/")) == ["d1/e/a", "d1/f/b"]
    assert sorted(read) == ["d1", "d1/e", "d1/f"]
    read.clear()
    assert sorted(files.iter_contents("d1")) == ["d1/e/a", "d1/f/b", "d10/c"]
    assert sorted(read) == [".", "d1", "d1/e", "d1/f", "d10"]


def test_4_12_a_deep_tree_is_listed(plain: FileStorage) -> None:
    location = "/".join("d" * 400)
    plain.store_bytes(location, b"")
    assert list(plain) == [location]


# 4.13.


def test_4_13_the_native_digest_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FileStorage(tmp_path, native_digest=True)
    storage.store_bytes("a", b"x")
    expected = md5(b"x")
    monkeypatch.setattr(hashlib, "md5", None)
    assert storage.get_metadata("a").md5 == expected
    with pytest.raises(MissingExternalResourceError):
        storage.get_metadata("b")


# 3.2.2.


def test_3_2_2_the_folder_is_resolved_and_made_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = FileStorage("x", exist_ok=False)
    assert storage.root_dir == tmp_path.resolve() / "x"
    assert (tmp_path / "x").is_dir()
    assert storage == FileStorage(tmp_path / "x", exist_ok=True)


def test_3_2_2_a_folder_that_is_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match=tmp_path.name):
        FileStorage(tmp_path, exist_ok=False)


def test_3_2_2_exist_ok_takes_a_folder_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert list(FileStorage(tmp_path, True)) == ["a"]


@pytest.mark.parametrize("exist_ok", [True, False])
def test_3_2_2_the_folder_of_the_folder_must_be_there(tmp_path: Path, exist_ok: bool) -> None:
    with pytest.raises(FileNotFoundError):
        FileStorage(tmp_path / "none" / "x", exist_ok=exist_ok)


def test_3_2_2_hidden_files_are_not_listed_and_hidden_folders_are_walked(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "root", exist_ok=False)
    for location in (".a", "d/.b", ".d/c"):
        storage.store_bytes(location, b"x")
    assert list(storage) == [".d/c"]
    assert list(storage.iter_contents("d/.")) == []
    assert storage.exists(".a")
    assert load(storage, "d/.b") == b"x"


def test_3_2_2_a_pickle_does_not_make_the_folder_again(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "root", exist_ok=False)
    storage.store_bytes(".a", b"")
    again = pickle.loads(pickle.dumps(storage))
    assert again == storage
    assert list(again) == []


def test_4_16_a_transfer_that_fails_midway_loses_nothing_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new")
    storage = FileStorage(tmp_path / "root")
    storage.store_bytes("d/u/a", b"old")
    storage.store_bytes("d/u/c", b"in the way")
    with pytest.raises(OSError):
        storage.store_paths({f"d/u/{name}": tmp_path / "source" for name in ("a", "b", "c/x")})
    assert sorted(storage) == ["d/u/a", "d/u/c"]
