"""What content stores do besides."""

from __future__ import annotations

import pickle
from datetime import timedelta
from pathlib import Path

import pytest

import strongroom
from strongroom import Store


def test_a_store_that_is_not_there_is_missing_until_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        strongroom.open(tmp_path / "store")
    strongroom.create(tmp_path / "store").store_bytes("x", b"1")
    assert strongroom.open(tmp_path / "store").load("x") == b"1"
    assert strongroom.create(tmp_path / "store").load("x") == b"1"
    monkeypatch.setenv("STRONGROOM_STORE", str(tmp_path / "store"))
    assert strongroom.open().load("x") == b"1"
    monkeypatch.delenv("STRONGROOM_STORE")
    monkeypatch.chdir(tmp_path)
    strongroom.create().store_bytes("y", b"2")
    assert (tmp_path / ".strongroom").is_dir()


def test_a_store_is_made_as_asked(tmp_path: Path) -> None:
    store = strongroom.create(
        tmp_path / "store",
        layout="chunked",
        compression="none",
        digests=["md5"],
        grace=timedelta(hours=1),
        author="ada",
    )
    stored = store.store_bytes("x", b"1" * 2_000_000)
    assert "md5" in stored.digests
    assert store.metadata("x").kept == "chunked"
    assert store.log()[0].author == "ada"
    for wrong in ({"layout": "round"}, {"compression": "rar"}, {"digests": ["crc"]}, {"grace": timedelta(-1)}):
        with pytest.raises(ValueError):
            strongroom.create(tmp_path / "other", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "other").exists()


def test_the_same_content_is_kept_once(folder_store: Store, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8000
    folder_store.store_bytes("a", content)
    before = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    folder_store.store_bytes("b/c/d", content)
    after = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert after - before < 10_000
    assert folder_store.digest("a") == folder_store.digest("b/c/d")


def test_objects_are_found_by_their_digests(store: Store, tmp_path: Path) -> None:
    store.store_bytes("a/b/c", b"content")
    digest = store.digest("a/b/c")
    for name in (digest, digest[:12]):
        assert store.load(name) == b"content"
        assert store.load(name, 0, 3) == b"con"
        assert store.exists(name) and name in store
        assert store.metadata(name).size == 7
        with store.load_stream(name) as file:
            assert file.read() == b"content"
        assert store.load_path(name, tmp_path / "out") == 7
        with store.path(name, name="named.txt") as path:
            assert path.read_bytes() == b"content" and path.name == "named.txt"
    assert store.load_many([digest, "a/b/c", digest[:9]]) == [b"content"] * 3
    assert store.exists_many(["a/b/c", digest, "b3:0000", "d"]) == [True, True, False, False]
    with pytest.raises(FileNotFoundError, match="b3:0000"):
        store.load_many(["a/b/c", "b3:0000"])
    assert not store.exists("b3:0000")
    with pytest.raises(FileNotFoundError):
        store.load("b3:0000")
    with pytest.raises(ValueError, match="names content"):
        store.store_bytes(digest, b"1")
    store.store_bytes(f"./{digest}", b"1")
    assert store.load(f"./{digest}") == b"1"


def test_a_snapshot_reads_as_its_store_does(store: Store, tmp_path: Path) -> None:
    names = [f"data/set/{number}" for number in range(20)]
    with store.batch() as batch:
        for name in names:
            batch.store_bytes(name, name.encode())
    snapshot = store.snapshot("data/set")
    store.store_bytes(names[3], b"later")
    store.delete(names[4])
    assert snapshot.load_many(reversed(names)) == [name.encode() for name in reversed(names)]
    assert snapshot.load_path(names[3], tmp_path / "out") == len(names[3])
    assert (tmp_path / "out").read_bytes() == names[3].encode()
    assert snapshot.exists(names[4]) and names[4] in snapshot and not snapshot.exists("data/set/none")
    for none in ("x/y/z", "../x", "\ud800", 3):
        assert none not in snapshot and none not in store
    with pytest.raises(FileNotFoundError):
        snapshot.load_many([names[0], "data/set/none"])
    with pytest.raises(ValueError, match="a snapshot has names"):
        snapshot.load(store.digest(names[0]))


def test_tags_are_listed_and_removed(store: Store) -> None:
    store.store_bytes("a/b/c", b"1")
    store.store_bytes("a/b/c", b"2")
    store.store_bytes("x", b"3")
    store.tag("submitted", "a/b", 1)
    store.tag("submitted", "a/b", 1)
    store.tag("first", "", 1)
    assert store.tags() == [strongroom.Tag("first", "", 1), strongroom.Tag("submitted", "a/b", 1)]
    assert [tag.name for tag in store.tags("a/b")] == ["submitted"]
    with pytest.raises(FileExistsError, match="version 1 of namespace a/b has this tag"):
        store.tag("submitted", "a/b", 2)
    store.untag("submitted", "a/b")
    assert [tag.name for tag in store.tags()] == ["first"]
    with pytest.raises(FileNotFoundError):
        store.untag("submitted", "a/b")


def test_attributes_are_kept_beside_the_bytes(store: Store) -> None:
    store.store_bytes("x", b"1", attributes={"unit.temperature": b"300 K"})
    assert store.metadata("x").attributes == {"unit.temperature": b"300 K"}
    with pytest.raises(ValueError):
        store.store_bytes("y", b"1", attributes={"modified": b"now"})
    assert "y" not in store


def test_layouts_are_chosen_for_an_object(folder_store: Store) -> None:
    content = bytes(range(256)) * 8000
    folder_store.store_bytes("whole", content, layout="whole")
    folder_store.store_bytes("chunked", content + b"1", layout="chunked")
    assert folder_store.metadata("whole").kept == "whole"
    assert folder_store.metadata("chunked").kept == "chunked"
    assert folder_store.load("chunked") == content + b"1"


def test_a_path_is_a_real_file_whatever_the_layout(folder_store: Store) -> None:
    content = bytes(range(256)) * 8000
    folder_store.store_bytes("a/whole.npy", content, layout="whole")
    folder_store.store_bytes("a/small.npy", b"small")
    for location, expected in (("a/whole.npy", content), ("a/small.npy", b"small")):
        with folder_store.path(location) as path:
            assert path.read_bytes() == expected
            assert path.name == Path(location).name
        assert not path.exists()
    file = folder_store.path("a/small.npy")
    assert Path(file).read_bytes() == b"small"
    path = file.path
    del file
    assert not path.exists()


def test_a_batch_appears_at_its_end_in_one_commit(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from a file")
    with store.batch("first run") as batch:
        batch.store_bytes("c/run/notes", b"all is well")
        batch.store_path("c/run/file", tmp_path / "file")
        batch.store_stream("c/run/stream", [b"pie", b"ces"])
        assert list(store) == []
    assert batch.receipt is not None
    assert batch.receipt.versions == {"c/run": 1}
    assert [stored.location for stored in batch.receipt.stored] == ["c/run/notes", "c/run/file", "c/run/stream"]
    assert [store.load(f"c/run/{name}") for name in ("notes", "file", "stream")] == [
        b"all is well",
        b"from a file",
        b"pieces",
    ]
    log = store.log("c/run")
    assert [(commit.version, commit.message, commit.put, commit.removed) for commit in log] == [(1, "first run", 3, 0)]


def test_a_batch_that_fails_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), store.batch() as batch:
        batch.store_bytes("x", b"1")
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), store.batch() as batch:
        batch.store_bytes("x", b"1")
        batch.store_path("y", tmp_path / "none")
    with pytest.raises(FileNotFoundError), store.batch() as batch:
        batch.store_bytes("x", b"1")
        batch.delete("none")
    assert list(store) == [] and store.log() == []
    with pytest.raises(RuntimeError, match="over"):
        batch.store_bytes("x", b"1")


def test_a_batch_removes_and_copies_without_moving_bytes(store: Store) -> None:
    store.store_bytes("n/s/a", b"1")
    with store.batch() as batch:
        batch.copy("n/s/a", "n/s/b")
        batch.copy(store.digest("n/s/a"), "n/s/c")
        batch.delete("n/s/a")
        batch.delete("n/s/none", missing_ok=True)
    assert sorted(store) == ["n/s/b", "n/s/c"]
    assert store.load_many(["n/s/b", "n/s/c"]) == [b"1", b"1"]


def test_a_batch_shows_progress_in_bytes(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 70_000)
    seen: list[tuple[int, int]] = []
    with store.batch(progress=lambda done, total: seen.append((done, total))) as batch:
        batch.store_bytes("a", b"1" * 30_000)
        batch.store_path("b", tmp_path / "file")
    assert seen[-1] == (100_000, 100_000)
    assert all(total == 100_000 for _, total in seen)


def test_loading_shows_progress_in_bytes(store: Store, tmp_path: Path) -> None:
    store.store_bytes("a", b"1" * 30_000)
    store.store_bytes("b", b"2" * 70_000)
    seen: list[tuple[int, int]] = []
    store.load_many(["a", "b"], progress=lambda *told: seen.append(told))
    assert seen[-1] == (100_000, 100_000) and len(seen) == 2
    seen.clear()
    store.load_path("b", tmp_path / "b", progress=lambda *told: seen.append(told))
    assert seen[-1] == (70_000, 70_000) and (tmp_path / "b").read_bytes() == b"2" * 70_000


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_callable_that_raises_ends_nothing(store: Store) -> None:
    told = []

    def failing(done: int, total: int) -> None:
        told.append(done)
        raise ZeroDivisionError

    with store.batch(progress=failing) as batch:
        batch.store_bytes("a", b"1")
        batch.store_bytes("b", b"2")
    assert store.load_many(["a", "b"], progress=failing) == [b"1", b"2"]
    assert len(told) == 2


def test_an_old_version_stays_as_it_was(store: Store) -> None:
    store.store_bytes("n/s/a", b"first")
    store.tag("submitted", "n/s", 1)
    with store.batch() as batch:
        batch.store_bytes("n/s/a", b"second")
        batch.store_bytes("n/s/b", b"new")
    first, now = store.snapshot("n/s", 1), store.snapshot("n/s")
    assert (first.namespace, first.version, now.version) == ("n/s", 1, 2)
    assert (list(first), list(now)) == (["n/s/a"], ["n/s/a", "n/s/b"])
    assert (first.load("n/s/a"), now.load("n/s/a", 0, 3)) == (b"first", b"sec")
    assert "n/s/a" in first and "n/s/b" not in first and 7 not in first
    assert first.metadata("n/s/a").version == 1
    with first.load_stream("n/s/a") as file:
        assert file.read() == b"first"
    assert store.snapshot("n/s", "submitted").load("n/s/a") == b"first"
    with pytest.raises(strongroom.AlreadyExistsError):
        store.tag("submitted", "n/s", 2)
    for unknown in (3, "none"):
        with pytest.raises(FileNotFoundError):
            store.snapshot("n/s", unknown)
    assert [commit.version for commit in store.log("n/s", limit=1)] == [2]


def test_namespaces_and_objects_are_listed(store: Store) -> None:
    for name in ("a/b/1", "a/b/2", "a/c/3"):
        store.store_bytes(name, name.encode())
    assert store.namespaces() == ["a/b", "a/c"] and store.namespaces("a/c") == ["a/c"]
    assert {found.location: found.size for found in store.objects("a/b/")} == {"a/b/1": 5, "a/b/2": 5}


def test_a_plain_storage_has_no_history(tmp_path: Path) -> None:
    with pytest.raises(strongroom.UnsupportedError, match="no versions"):
        strongroom.open_storage(tmp_path)._native.batch()


def test_a_notebook_shows_stores_and_snapshots(store: Store) -> None:
    for number in range(25):
        store.store_bytes(f"<n>/{number:02}/x", b"1" * 3000)
    shown = store._repr_html_()
    assert "&lt;n&gt;/00" in shown and "<n>" not in shown and "and more" in shown
    shown = store.snapshot("<n>/00")._repr_html_()
    assert "&lt;n&gt;/00/x" in shown and "2.9 KiB" in shown and "and more" not in shown
    assert repr(store) == f"<strongroom.Store {store.url!r}>"
    assert repr(store.snapshot("<n>/00")) == "<strongroom.Snapshot of '<n>/00' at 1>"


def test_the_cache_is_where_it_is_told_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = strongroom.create(tmp_path / "store", cache=tmp_path / "here")
    store.store_bytes("x", b"1" * 100_000)
    store.hexdigest("x")
    assert any((tmp_path / "here").rglob("*"))
    monkeypatch.setenv("STRONGROOM_CACHE", str(tmp_path / "there"))
    strongroom.open(tmp_path / "store").hexdigest("x")
    assert any((tmp_path / "there").rglob("*"))
    monkeypatch.delenv("STRONGROOM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    strongroom.open(tmp_path / "store").hexdigest("x")
    assert any((tmp_path / "caches/strongroom").rglob("*"))


def test_of_several_steps_at_a_location_the_last_counts(store: Store) -> None:
    store.store_bytes("y", b"old")
    with store.batch() as batch:
        batch.copy("y", "z")
        batch.store_bytes("z", b"new")
        batch.copy("y", "w")
        batch.delete("w", missing_ok=True)
        batch.store_bytes("v", b"new")
        batch.copy("y", "v")
    assert {name: store.load(name) for name in store} == {"y": b"old", "z": b"new", "v": b"old"}


def test_a_name_for_a_path_is_one_segment(store: Store, tmp_path: Path) -> None:
    store.store_bytes("k", b"1")
    for name in ("../escaped", "a/b", "..", ""):
        with pytest.raises(ValueError):
            store.path("k", name=name)


def test_a_place_stays_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"here")
    (tmp_path / "elsewhere/file").write_bytes(b"there")
    store = strongroom.create("store")
    store.store_bytes("x", b"1")
    batch = store.batch()
    batch.store_path("y", "file")
    pickled = pickle.dumps(store)
    monkeypatch.chdir(tmp_path / "elsewhere")
    batch.commit()
    again = pickle.loads(pickled)
    assert again.load("x") == b"1" and again.load("y") == b"here"
    same = [strongroom.open(place) for place in ("../store", tmp_path / "store", (tmp_path / "store").as_uri(), f"{tmp_path}/store/")]
    assert {*same, again} == {store}
