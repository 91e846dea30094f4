"""What all storages do: sections 2.2, 3.1, 3.7 and 4 of the description of gufe.

The numbers in the names of tests are those of its sections; 4_7 is defect 7.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import threading
import types
from pathlib import Path
from unittest import mock

import pytest
from gufe_storages import load, md5, storage

import strongroom
from strongroom.gufe import (
    BaseStorage,
    ExternalStorage,
    MemoryStorage,
    Metadata,
    MissingExternalResourceError,
)
from strongroom.gufe.errors import (
    AlreadyExistsResourceError,
    ChangedExternalResourceError,
    ExternalResourceError,
    InvalidResourceError,
)

__all__ = ["storage"]

#: Names that mean nothing in any storage.
INVALID = ["", ".", "../x", "a/../../x", "/etc/passwd", "a\0b", "x" * 256, "a/" * 600 + "x", ".strongroom-tmp/x", "\ud800"]


def test_2_2_it_is_an_external_storage(storage: BaseStorage) -> None:
    assert isinstance(storage, ExternalStorage)


@pytest.mark.parametrize(
    "name", ["_iter_contents", "_store_bytes", "_store_path", "_exists", "_delete", "_get_filename", "_load_stream"]
)
def test_2_2_a_storage_without_one_of_the_seven_methods_is_abstract(name: str) -> None:
    methods = {
        other: lambda self, *arguments: None
        for other in ExternalStorage.__abstractmethods__
        if other != name
    }
    with pytest.raises(TypeError, match=name):
        type("Partial", (ExternalStorage,), methods)()


def test_2_2_metadata_is_compared_by_value_and_is_plain_data() -> None:
    assert Metadata(md5="ab") == Metadata(md5="ab") != Metadata(md5="cd")
    assert Metadata(md5="ab").to_dict() == {"md5": "ab"}
    with pytest.raises(TypeError):
        hash(Metadata(md5="ab"))


def test_2_2_store_path_returns_none(storage: BaseStorage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    result: object = storage.store_path("a", tmp_path / "source")  # type: ignore[func-returns-value]
    assert result is None


def test_3_1_stored_bytes_are_loaded(storage: BaseStorage) -> None:
    storage.store_bytes("dag/unit/a.csv", b"energy")
    assert load(storage, "dag/unit/a.csv") == b"energy"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_3_1_everything_that_has_bytes_can_be_stored(storage: BaseStorage, kind: type) -> None:
    storage.store_bytes("a", kind(b"energy"))
    assert load(storage, "a") == b"energy"


def test_3_1_stored_paths_are_loaded(storage: BaseStorage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"energy")
    storage.store_path("a/b", tmp_path / "source")
    assert load(storage, "a/b") == b"energy"


def test_3_1_what_is_there_is_replaced(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"long content")
    storage.store_bytes("a", b"short")
    assert load(storage, "a") == b"short"


def test_3_1_a_missing_object_raises_when_load_stream_is_called(storage: BaseStorage) -> None:
    with pytest.raises(MissingExternalResourceError):
        storage.load_stream("a")


def test_3_1_a_stream_can_be_entered_once(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"x")
    stream = storage.load_stream("a")
    with stream:
        pass
    with pytest.raises(ValueError, match="closed"):
        stream.__enter__()


def test_3_1_a_stream_is_a_file_without_with_too(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"xyz")
    stream = storage.load_stream("a")
    assert stream.read(1) == b"x"
    stream.close()


def test_3_2_a_stream_can_be_read_in_parts(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"0123456789")
    with storage.load_stream("a") as stream:
        assert stream.read(2) == b"01"
        assert stream.tell() == 2
        assert stream.seek(-1, os.SEEK_END) == 9
        assert stream.read() == b"9"


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", {"foo.txt", "foo_dir/a.txt", "other"}),
        ("foo", {"foo.txt", "foo_dir/a.txt"}),
        ("foo_dir/", {"foo_dir/a.txt"}),
        ("foo_dir/a", {"foo_dir/a.txt"}),
        ("x", set()),
    ],
)
def test_3_1_contents_are_listed_by_string_prefix(storage: BaseStorage, prefix: str, found: set[str]) -> None:
    for location in ("foo.txt", "foo_dir/a.txt", "other"):
        storage.store_bytes(location, b"")
    listed = list(storage.iter_contents(prefix))
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize(
    "prefix", ["/", "//", "./a", "a//b", "a/b.txt/", "..", "../", "nodir/x", "\0", "x" * 300 + "/"]
)
def test_3_2_and_4_10_any_string_is_a_prefix_and_these_match_nothing(storage: BaseStorage, prefix: str) -> None:
    storage.store_bytes("a/b.txt", b"")
    assert list(storage.iter_contents(prefix)) == []


@pytest.mark.parametrize("prefix", [None, Path("a"), b"a"])
def test_3_2_a_prefix_that_is_no_string_is_a_type_error(storage: BaseStorage, prefix: object) -> None:
    with pytest.raises(TypeError):
        storage.iter_contents(prefix)  # type: ignore[arg-type]


def test_3_7_11_iteration_is_iter_contents(storage: BaseStorage) -> None:
    for location in ("a", "b/c"):
        storage.store_bytes(location, b"")
    assert sorted(storage) == sorted(storage.iter_contents()) == ["a", "b/c"]


def test_3_1_metadata_is_the_md5_at_the_time_of_the_call(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"one")
    assert storage.get_metadata("a") == Metadata(md5=md5(b"one"))
    storage.store_bytes("a", b"two")
    assert storage.get_metadata("a") == Metadata(md5=md5(b"two"))


def test_3_2_metadata_of_a_missing_object_is_missing(storage: BaseStorage) -> None:
    with pytest.raises(MissingExternalResourceError):
        storage.get_metadata("a")


def test_3_1_md5_goes_through_hashlib_as_it_is_when_called(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.store_bytes("a", b"x")
    monkeypatch.setattr(hashlib, "md5", lambda content: types.SimpleNamespace(hexdigest=lambda: "deadbeef"))
    assert storage.get_metadata("a") == Metadata(md5="deadbeef")


def test_3_1_md5_may_be_a_mock(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"x")
    with mock.patch("hashlib.md5") as replaced:
        replaced.return_value.hexdigest.return_value = "deadbeef"
        assert storage.get_metadata("a").md5 == "deadbeef"


def test_4_13_md5_is_computed_in_bounded_memory(storage: BaseStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(3_500_000)
    storage.store_bytes("a", content)
    sizes = []

    class Recording:
        def __init__(self, piece: bytes) -> None:
            self.digest = hashlib.sha1(piece)
            sizes.append(len(piece))

        def update(self, piece: bytes) -> None:
            self.digest.update(piece)
            sizes.append(len(piece))

        def hexdigest(self) -> str:
            return self.digest.hexdigest()

    monkeypatch.setattr(hashlib, "md5", Recording)
    assert storage.get_metadata("a").md5 == hashlib.sha1(content).hexdigest()
    assert max(sizes) <= 1 << 20 < sum(sizes) == len(content)


def test_3_1_a_subclass_may_have_its_own_digest() -> None:
    class Quick(MemoryStorage):
        def _get_hexdigest(self, location: object) -> str:
            return f"of {location}"

    assert Quick().get_metadata("a") == Metadata(md5="of a")


def test_3_7_7_exists_is_a_real_bool(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"")
    assert storage.exists("a") is True
    assert storage.exists("b") is False


def test_4_6_only_objects_exist(storage: BaseStorage) -> None:
    storage.store_bytes("a/b/c", b"")
    assert not storage.exists("a")
    assert not storage.exists("a/b")
    assert not storage.exists("")


def test_3_7_4_storing_a_path_that_is_not_there_is_a_builtin_error(storage: BaseStorage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        storage.store_path("a/b", tmp_path / "none")
    assert not isinstance(caught.value, ExternalResourceError)
    assert caught.value.filename == str(tmp_path / "none")


def test_3_7_4_storing_a_folder_is_a_builtin_error(storage: BaseStorage, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        storage.store_path("a", tmp_path / "folder")


@pytest.mark.parametrize("kind", [str, Path])
def test_3_7_4_a_source_is_a_string_or_a_path(storage: BaseStorage, tmp_path: Path, kind: type) -> None:
    (tmp_path / "source").write_bytes(b"x")
    storage.store_path("a", kind(tmp_path / "source"))
    assert load(storage, "a") == b"x"


def test_3_2_a_symlink_as_a_source_stands_for_its_file(storage: BaseStorage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    (tmp_path / "link").symlink_to("source")
    storage.store_path("a", tmp_path / "link")
    assert load(storage, "a") == b"x"


def test_3_1_a_deleted_object_is_gone(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"")
    storage.delete("a")
    assert not storage.exists("a")
    assert list(storage) == []


def test_3_7_5_deleting_what_is_missing_says_so_in_both_ways(storage: BaseStorage) -> None:
    with pytest.raises(MissingExternalResourceError, match="Unable to delete") as caught:
        storage.delete("a")
    assert "does not exist" in str(caught.value)


def test_3_7_3_a_location_may_be_a_path(storage: BaseStorage) -> None:
    storage.store_bytes(Path("a") / "b", b"x")
    assert storage.exists(Path("a/b"))
    assert load(storage, "a/b") == b"x"
    assert list(storage) == ["a/b"]
    storage.delete(Path("a/b"))


@pytest.mark.parametrize("location", [None, b"a", 3])
def test_3_2_a_location_that_is_no_string_and_no_path_is_a_type_error(storage: BaseStorage, location: object) -> None:
    for call in (storage.exists, storage.load_stream, storage.delete, storage.get_metadata):
        with pytest.raises(TypeError):
            call(location)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        storage.store_bytes(location, b"")  # type: ignore[arg-type]


@pytest.mark.parametrize("location", INVALID)
def test_4_2_and_4_7_invalid_names_are_refused_and_do_not_exist(
    storage: BaseStorage, location: str, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"x")
    for call in (
        lambda: storage.store_bytes(location, b"x"),
        lambda: storage.store_path(location, tmp_path / "source"),
        lambda: storage.load_stream(location),
        lambda: storage.get_metadata(location),
        lambda: storage.delete(location),
    ):
        with pytest.raises(InvalidResourceError):
            call()
    assert storage.exists(location) is False
    assert location not in storage
    assert list(storage) == []


def test_4_2_a_refusal_is_an_error_of_gufe_of_strongroom_and_of_python(storage: BaseStorage) -> None:
    with pytest.raises(InvalidResourceError) as caught:
        storage.store_bytes("../x", b"")
    assert isinstance(caught.value, ExternalResourceError)
    assert isinstance(caught.value, strongroom.InvalidError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("spelling", ["a//b", "./a/b", "a/./b", "a/b/", "a/../a/b"])
def test_3_2_and_4_3_what_means_the_same_is_the_same_object(storage: BaseStorage, spelling: str) -> None:
    storage.store_bytes("a/b", b"x")
    assert storage.exists(spelling)
    assert load(storage, spelling) == b"x"
    storage.store_bytes(spelling, b"y")
    assert list(storage) == ["a/b"]
    assert load(storage, "a/b") == b"y"


@pytest.mark.parametrize(
    "location",
    ["a b", "ä/ö", "%41", "a%2Fb", "a\\b", "a?b#c", "a:b", "b3:00", "b3:zz/x", "~", "new\nline", "🧪", ".hidden", "*"],
)
def test_3_7_12_unusual_names_are_kept_as_they_are(storage: BaseStorage, location: str) -> None:
    storage.store_bytes(location, b"x")
    assert list(storage) == [location]
    assert storage.exists(location)
    assert load(storage, location) == b"x"
    assert list(storage.iter_contents(location[:2])) == [location]
    storage.delete(location)


@pytest.mark.parametrize("data", ["text", None, 3])
def test_4_8_a_store_that_fails_leaves_nothing(storage: BaseStorage, tmp_path: Path, data: object) -> None:
    with pytest.raises(TypeError):
        storage.store_bytes("a/b", data)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        storage.store_path("c/d", tmp_path / "none")
    assert list(storage) == []
    assert not storage.exists("a/b")
    assert not (tmp_path / "file" / "a").exists()
    assert not (tmp_path / "file" / "c").exists()


def test_4_9_a_buffer_may_be_changed_after_it_was_stored(storage: BaseStorage) -> None:
    data = bytearray(b"before")
    storage.store_bytes("a", data)
    data[:] = b"after!"
    assert load(storage, "a") == b"before"


def test_4_10_objects_may_come_and_go_while_they_are_listed(storage: BaseStorage) -> None:
    for number in range(20):
        storage.store_bytes(f"d/{number}", b"")
    for location in storage:
        storage.delete(location)
        storage.store_bytes(f"new/{location}", b"")
    assert all(location.startswith("new/") for location in storage)


def test_4_11_membership_is_a_look_up(storage: BaseStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.store_bytes("a/b", b"")
    monkeypatch.setattr(type(storage), "_iter_contents", mock.Mock(side_effect=AssertionError("listed")))
    assert "a/b" in storage
    assert "a" not in storage
    assert None not in storage
    assert 3 not in storage


def test_4_14_storages_are_hashable(storage: BaseStorage) -> None:
    assert {storage: 1}[storage] == 1


def test_4_15_a_source_that_changes_meanwhile_is_not_published(storage: BaseStorage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    size = 8 << 20
    source.write_bytes(b"0" * size)
    over = threading.Event()

    def write() -> None:
        with open(source, "r+b") as file:
            while not over.is_set():
                file.write(b"1")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while source.read_bytes()[:1] != b"1":
            pass
        with pytest.raises(ChangedExternalResourceError):
            for _ in range(50):
                storage.store_path("a", source)
    finally:
        over.set()
        writer.join()


def test_4_30_a_part_of_an_object_is_loaded(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"0123456789")
    assert storage.load_bytes("a") == b"0123456789"
    assert storage.load_bytes("a", 2, 4) == b"23"
    assert storage.load_bytes("a", 8) == b"89"
    assert storage.load_bytes("a", 4, 2) == b""


def test_4_30_the_size_of_an_object_is_known(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"0123456789")
    assert storage.size("a") == 10
    with pytest.raises(MissingExternalResourceError):
        storage.size("b")


def test_4_30_an_object_is_copied(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"x")
    storage.copy("a", "b/c")
    assert load(storage, "b/c") == b"x"
    with pytest.raises(MissingExternalResourceError):
        storage.copy("none", "d")


def test_4_30_an_object_is_created_once(storage: BaseStorage) -> None:
    storage.create_bytes("a", b"1")
    with pytest.raises(AlreadyExistsResourceError) as caught:
        storage.create_bytes("a", b"1")
    assert isinstance(caught.value, FileExistsError)
    assert load(storage, "a") == b"1"


def test_4_30_an_object_is_written_to_a_local_file(storage: BaseStorage, tmp_path: Path) -> None:
    storage.store_bytes("a", b"x")
    storage.load_path("a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"x"
    with pytest.raises(MissingExternalResourceError):
        storage.load_path("none", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_4_30_many_files_are_stored_together_or_not_at_all(storage: BaseStorage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        storage.store_paths({"d/u/a": tmp_path / "source", "d/u/b": tmp_path / "none"})
    assert list(storage) == []
    stored = storage.store_paths({"d/u/b": tmp_path / "source", "d/u/a": tmp_path / "source"})
    assert [(known.location, known.size, known.digest) for known in stored] == [
        (location, 1, storage.digest(location)) for location in ("d/u/a", "d/u/b")
    ]


def test_4_30_all_objects_with_a_prefix_are_removed(storage: BaseStorage) -> None:
    for location in ("d/u/a", "d/u/b", "du"):
        storage.store_bytes(location, b"")
    assert storage.delete_prefix("d/") == ["d/u/a", "d/u/b"]
    assert list(storage) == ["du"]


def test_2_8_the_private_names_that_alchemiscale_has_are_there(storage: BaseStorage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"y")
    storage._store_bytes("a", b"x")
    storage._store_path("b", tmp_path / "source")
    assert storage._exists("a")
    with storage._load_stream("b") as stream:
        assert stream.read() == b"y"
    storage._delete("a")
    assert list(storage._iter_contents()) == ["b"]


def test_3_1_a_storage_may_be_used_by_many_threads(storage: BaseStorage) -> None:
    def work(number: int) -> None:
        for step in range(5):
            storage.store_bytes(f"dag/{number}/{step}", str(number).encode())
            assert load(storage, f"dag/{number}/{step}") == str(number).encode()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(storage)) == 20


def test_a_storage_pickles_with_what_it_holds(storage: BaseStorage) -> None:
    storage.store_bytes("a", b"x")
    assert load(pickle.loads(pickle.dumps(storage)), "a") == b"x"


class Documented(ExternalStorage):
    """A storage as the documentation of gufe shows it: the private methods, and no digest."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def _store_bytes(self, location, byte_data):  # type: ignore[no-untyped-def]
        self.kept[location] = bytes(byte_data)

    def _store_path(self, location, path):  # type: ignore[no-untyped-def]
        self.kept[location] = path.read_bytes()

    def _load_stream(self, location):  # type: ignore[no-untyped-def]
        try:
            return io.BytesIO(self.kept[location])
        except KeyError as error:
            raise MissingExternalResourceError(str(error)) from error

    def _exists(self, location):  # type: ignore[no-untyped-def]
        return location in self.kept

    def _delete(self, location):  # type: ignore[no-untyped-def]
        try:
            del self.kept[location]
        except KeyError as error:
            raise MissingExternalResourceError(f"Unable to delete '{location}': it does not exist") from error

    def _get_filename(self, location):  # type: ignore[no-untyped-def]
        return f"kept:{location}"

    def _iter_contents(self, prefix=""):  # type: ignore[no-untyped-def]
        return (location for location in self.kept if location.startswith(prefix))


def test_3_7_13_a_storage_written_as_documented_works(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"y")
    custom = Documented()
    custom.store_bytes("a", b"x")
    custom.store_path("b", tmp_path / "source")
    with custom.load_stream("b") as stream:
        assert stream.read() == b"y"
    assert custom.exists("a") and not custom.exists("c")
    assert custom.get_metadata("a") == Metadata(md5=md5(b"x"))
    assert custom.get_filename("a") == "kept:a"
    assert sorted(custom.iter_contents()) == ["a", "b"]
    assert list(custom.iter_contents("b")) == ["b"]
    custom.delete("a")
    assert not custom.exists("a")
    with pytest.raises(MissingExternalResourceError):
        custom.load_stream("a")


@pytest.mark.skipif(not hasattr(ExternalStorage, "__iter__"), reason="the gufe that is installed has no __iter__ yet")
def test_3_7_13_a_storage_written_as_documented_can_be_iterated() -> None:
    custom = Documented()
    custom.store_bytes("a", b"x")
    assert list(custom) == ["a"]
    assert "a" in custom


def test_3_7_13_a_storage_may_have_a_digest_of_its_own() -> None:
    class Quick(Documented):
        def _get_hexdigest(self, location):  # type: ignore[no-untyped-def]
            return "quick"

    assert Quick().get_metadata("a") == Metadata(md5="quick")
