"""Objects in a content store: defects 13, 16, 27 and 29 of the description of gufe."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from gufe_storages import load, md5

import strongroom
from strongroom.gufe import (
    ContentStorage,
    ExternalResourceError,
    MemoryStorage,
    MissingExternalResourceError,
    clear_dag,
)
from strongroom.gufe.errors import ChangedExternalResourceError, CorruptResourceError


@pytest.fixture
def content(tmp_path: Path) -> ContentStorage:
    """An empty one."""
    return ContentStorage(tmp_path / "store")


def corrupt_all(folder: Path) -> None:
    """Turns round the last byte of every file that has content in it."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size >= 100_000:
            path.chmod(0o600)
            with open(path, "r+b") as file:
                file.seek(50_000)
                byte = file.read(1)
                file.seek(50_000)
                file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_store_is_made_where_there_is_none_and_opened_where_there_is_one(tmp_path: Path, kind: type) -> None:
    ContentStorage(kind(tmp_path / "store")).store_bytes("a", b"x")
    assert load(ContentStorage(kind(tmp_path / "store")), "a") == b"x"


def test_an_open_store_may_be_given(tmp_path: Path) -> None:
    store = strongroom.create(tmp_path / "store")
    assert ContentStorage(store).native is store


def test_a_store_may_be_in_memory() -> None:
    storage = ContentStorage("memory://gufe-content")
    storage.store_bytes("dag/unit/a", b"x")
    assert load(ContentStorage("memory://gufe-content"), "dag/unit/a") == b"x"


def test_equality_is_that_of_the_store(tmp_path: Path, content: ContentStorage) -> None:
    assert content == ContentStorage(tmp_path / "store")
    assert hash(content) == hash(ContentStorage(tmp_path / "store"))
    assert content != ContentStorage(tmp_path / "other")
    assert content != MemoryStorage()


def test_it_pickles(content: ContentStorage) -> None:
    content.store_bytes("a", b"x")
    again = pickle.loads(pickle.dumps(content))
    assert again == content
    assert load(again, "a") == b"x"


def test_the_author_stands_in_the_history(tmp_path: Path) -> None:
    storage = ContentStorage(tmp_path / "store", author="worker-1")
    storage.store_bytes("dag/unit/a", b"x")
    assert storage.native.log("dag/unit")[0].author == "worker-1"


def test_the_filename_is_a_url(tmp_path: Path, content: ContentStorage) -> None:
    assert content.get_filename("a/b") == f"{tmp_path}/store/a/b"


def test_3_3_a_name_may_be_above_another(content: ContentStorage) -> None:
    content.store_bytes("a/b/c", b"x")
    content.store_bytes("a/b", b"y")
    content.store_bytes("a", b"z")
    assert sorted(content) == ["a", "a/b", "a/b/c"]


def test_what_is_missing_has_the_error_of_strongroom_as_its_cause(content: ContentStorage) -> None:
    for call in (content.load_stream, content.delete, content.get_metadata, content.size, content.load_bytes):
        with pytest.raises(MissingExternalResourceError) as caught:
            call("a")
        assert isinstance(caught.value.__cause__, strongroom.MissingError)


def test_4_13_a_recorded_md5_is_read_from_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = ContentStorage(tmp_path / "store", native_digest=True)
    (tmp_path / "source").write_bytes(b"y")
    storage.store_bytes("d/u/a", b"x")
    storage.store_path("d/u/b", tmp_path / "source")
    storage.store_paths({"d/u/c": tmp_path / "source"})
    monkeypatch.setattr(storage, "_load_stream", None)
    assert [storage.get_metadata(f"d/u/{name}").md5 for name in "abc"] == [md5(b"x"), md5(b"y"), md5(b"y")]
    assert storage.native.metadata("d/u/a").digests["md5"] == md5(b"x")


def test_4_13_an_md5_that_was_not_recorded_is_computed(tmp_path: Path, content: ContentStorage) -> None:
    content.store_bytes("a", b"x")
    assert ContentStorage(tmp_path / "store", native_digest=True).get_metadata("a").md5 == md5(b"x")


def test_4_16_many_files_are_one_commit(tmp_path: Path, content: ContentStorage) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    content.store_paths({f"dag/unit/{name}": tmp_path / name for name in ("a", "b")})
    assert [commit.put for commit in content.native.log("dag/unit")] == [2]


def test_4_29_the_same_content_is_kept_once(tmp_path: Path, content: ContentStorage) -> None:
    data = os.urandom(1_000_000)
    for number in range(10):
        content.store_bytes(f"dag/unit-{number}/a", data)
    used = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert used < 1_500_000


def test_4_27_reads_are_verified(tmp_path: Path, content: ContentStorage) -> None:
    content.store_bytes("dag/unit/a", os.urandom(1_000_000))
    corrupt_all(tmp_path / "store")
    fresh = ContentStorage(tmp_path / "store")
    with pytest.raises(ChangedExternalResourceError) as caught, fresh.load_stream("dag/unit/a") as stream:
        stream.read()
    assert isinstance(caught.value, CorruptResourceError)
    assert isinstance(caught.value, ExternalResourceError)
    assert isinstance(caught.value.__cause__, strongroom.CorruptError)


def test_4_27_parts_whole_objects_and_copies_are_verified_too(tmp_path: Path, content: ContentStorage) -> None:
    content.store_bytes("dag/unit/a", os.urandom(1_000_000))
    corrupt_all(tmp_path / "store")
    fresh = ContentStorage(tmp_path / "store")
    with pytest.raises(ChangedExternalResourceError):
        fresh.load_bytes("dag/unit/a")
    with pytest.raises(ChangedExternalResourceError):
        fresh.load_bytes("dag/unit/a", 49_999, 50_001)
    with pytest.raises(ChangedExternalResourceError):
        fresh.get_metadata("dag/unit/a")
    with pytest.raises(ChangedExternalResourceError):
        fresh.load_path("dag/unit/a", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_4_27_the_whole_store_is_verified(tmp_path: Path, content: ContentStorage) -> None:
    content.store_bytes("dag/unit/sound", b"x")
    assert content.verify() == []
    content.store_bytes("dag/unit/a", os.urandom(1_000_000))
    corrupt_all(tmp_path / "store")
    assert ContentStorage(tmp_path / "store").verify() == ["dag/unit/a"]


def test_4_20_nothing_is_cleared_where_shared_is_the_permanent_storage_by_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shared, permanent = ContentStorage("store"), ContentStorage(f"{tmp_path}/store/")
    permanent.store_bytes("dag/u/result", b"1")
    assert clear_dag(shared, "dag", permanent) == []
    assert permanent.exists("dag/u/result")
