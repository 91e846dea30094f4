"""A store as a file system of fsspec: looking, reading and writing."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import subprocess
import sys
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import strongroom
from strongroom import Store

fsspec = pytest.importorskip("fsspec")

from strongroom.fsspec import StrongroomFileSystem  # noqa: E402
from strongroom.fsspec._spool import MEMORY_SIZE  # noqa: E402

TREE = {"c/r/a.csv": b"0123456789", "c/r/b.csv": b"bb", "c/r/d/e.csv": b"eee", "c/s/f.csv": b"f"}

#: fsspec does not close the files of its caches.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed file <_io.BufferedRandom:ResourceWarning")


class Counting:
    """The native part of a store, and how often each of its methods is called."""

    def __init__(self, native: Any) -> None:
        self.native = native
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.native, name)
        if callable(value):
            self.calls[name] += 1
        return value


@pytest.fixture
def fs(store: Store) -> StrongroomFileSystem:
    """A file system on an empty store."""
    return StrongroomFileSystem(store=store)


@pytest.fixture
def tree(store: Store) -> StrongroomFileSystem:
    """A file system on a store with some objects, put in one commit."""
    with store.batch() as batch:
        for location, data in TREE.items():
            batch.store_bytes(location, data)
    return StrongroomFileSystem(store=store)


def counted(fs: StrongroomFileSystem) -> tuple[StrongroomFileSystem, Counter[str]]:
    """The same file system, and the native calls that it makes from now on."""
    native = Counting(fs.store._native)
    return StrongroomFileSystem(store=Store(native), skip_instance_cache=True), native.calls


def versions(fs: StrongroomFileSystem, namespace: str) -> int:
    return fs.store.snapshot(namespace).version


# Opening.


def test_importing_strongroom_does_not_import_fsspec() -> None:
    code = "import sys, strongroom; sys.exit('fsspec' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fsspec_finds_it_by_its_protocol(url: str) -> None:
    fs = fsspec.filesystem("strongroom", store=url, create=True)
    assert type(fs) is StrongroomFileSystem and fs.store.url == url
    assert fsspec.filesystem("strongroom", store=url, create=True) is fs


def test_a_store_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        StrongroomFileSystem(store=tmp_path / "none")


def test_without_a_store_it_is_that_of_the_environment(folder_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_STORE", folder_store.url)
    assert StrongroomFileSystem(skip_instance_cache=True).store == folder_store


def test_urls_are_read_and_written_by_fsspec_open(url: str) -> None:
    with fsspec.open("strongroom://c/r/x.txt", "w", store=url, create=True) as file:
        file.write("Größe\n")
    with fsspec.open("strongroom://c/r/x.txt", "r", store=url) as file:
        assert file.read() == "Größe\n"


def test_paths_are_locations_however_they_are_written(tree: StrongroomFileSystem) -> None:
    for path in ("strongroom://c/r/a.csv", "strongroom:///c/r/a.csv", "c//r/./a.csv", "/c/r/a.csv", Path("c/r/a.csv")):
        assert tree.cat_file(path) == TREE["c/r/a.csv"]
        assert tree.info(path)["name"] == "c/r/a.csv"
    assert tree.unstrip_protocol("c/r/a.csv") == "strongroom://c/r/a.csv"


@UNCLOSED
def test_urls_can_be_chained_with_the_caches_of_fsspec(tree: StrongroomFileSystem, tmp_path: Path) -> None:
    for cache in ("simplecache", "filecache", "blockcache"):
        options = {"strongroom": {"store": tree.store}, cache: {"cache_storage": str(tmp_path / cache)}}
        for _ in range(2):
            with fsspec.open(f"{cache}::strongroom://c/r/a.csv", "rb", **options) as file:
                assert file.read() == TREE["c/r/a.csv"]


def test_a_mapper_has_its_keys(tree: StrongroomFileSystem) -> None:
    mapper = tree.get_mapper("c/r")
    assert sorted(mapper) == ["a.csv", "b.csv", "d/e.csv"] and mapper["d/e.csv"] == b"eee"
    mapper.setitems({"x": b"1", "y": b"2"})
    assert mapper.getitems(["x", "y", "none"], on_error="omit") == {"x": b"1", "y": b"2"}
    del mapper["x"]
    assert "x" not in mapper


# Names.


def test_an_object_that_has_others_below_it_is_a_file(fs: StrongroomFileSystem, tmp_path: Path) -> None:
    fs.pipe({"b/n": b"file", "b/n/x": b"below"})
    assert fs.isfile("b/n") and not fs.isdir("b/n") and fs.info("b/n")["type"] == "file"
    fs.cp("b/n", "b/copy")
    fs.get("b/n", str(tmp_path / "got"))
    assert fs.cat("b/copy") == (tmp_path / "got").read_bytes() == b"file"
    fs.mv("b/n", "b/moved")
    assert {path: fs.cat(path) for path in fs.find("b")} == {"b/copy": b"file", "b/moved": b"file", "b/n/x": b"below"}
    with fs.transaction:
        fs.pipe("b/n", b"new")
        fs.mv("b/n", "b/again")
    assert fs.cat("b/again") == b"new" and not fs.exists("b/n/n") and fs.isdir("b/n")


def test_file_systems_are_shared_by_the_store_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRONGROOM_STORE", raising=False)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        strongroom.create("store").store_bytes("x", name.encode())
        strongroom.create().store_bytes("x", b"default of " + name.encode())
        assert fsspec.filesystem("strongroom", store="store").cat("x") == name.encode()
        assert StrongroomFileSystem("store").cat("x") == name.encode()
        assert fsspec.filesystem("strongroom").cat("x") == b"default of " + name.encode()
    monkeypatch.setenv("STRONGROOM_STORE", str(tmp_path / "one/store"))
    assert fsspec.filesystem("strongroom").cat("x") == b"one"
    assert fsspec.filesystem("strongroom") is fsspec.filesystem("strongroom", store=str(tmp_path / "one/store"))


def test_an_option_that_there_is_not_is_refused(folder_store: Store) -> None:
    with pytest.raises(TypeError, match="'stor'"):
        fsspec.filesystem("strongroom", stor=folder_store)


# Looking.


def test_info_says_what_is_known(tree: StrongroomFileSystem) -> None:
    info = tree.info("c/r/a.csv")
    metadata = tree.store.metadata("c/r/a.csv")
    assert (info["name"], info["size"], info["type"]) == ("c/r/a.csv", 10, "file")
    assert (info["digest"], info["version"]) == (metadata.digest, 1)
    assert info["created"] == info["mtime"] == metadata.modified
    assert tree.info("c/r") == {"name": "c/r", "size": 0, "type": "directory"}
    assert tree.info("")["type"] == "directory"
    with pytest.raises(FileNotFoundError):
        tree.info("c/none")


def test_looking_makes_few_native_calls(tree: StrongroomFileSystem) -> None:
    fs, calls = counted(tree)
    for look, path, expected in [
        (fs.info, "c/r/a.csv", {"metadata": 1}),
        (fs.info, "c/r", {"metadata": 1, "iter_contents": 1}),
        (fs.info, "", {}),
        (fs.exists, "c/r/a.csv", {"exists": 1}),
        (fs.isfile, "c/r/a.csv", {"exists": 1}),
        (fs.isdir, "c/r", {"iter_contents": 1, "exists": 1}),
        (fs.isdir, "c/r/a.csv", {"iter_contents": 1}),
        (fs.ls, "c/r", {"objects": 1}),
        (fs.find, "c", {"iter_contents": 1}),
        (fs.glob, "c/r/*.csv", {"objects": 1}),
        (fs.du, "c", {"objects": 1}),
        (fs.ukey, "c/r/a.csv", {"metadata": 1}),
    ]:
        calls.clear()
        look(path)
        assert calls == expected, (look, path)


def test_folders_are_there_by_what_is_in_them(fs: StrongroomFileSystem) -> None:
    fs.mkdir("c/r")
    fs.makedirs("c/r/d", exist_ok=True)
    assert not fs.exists("c/r") and fs.ls("") == []
    fs.pipe("c/r/d/x", b"1")
    assert fs.isdir("c") and fs.isdir("c/r/d") and fs.isdir("c/r/d/") and not fs.isdir("c/r/d/x")
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir("c/r")
    fs.rm("c/r/d/x")
    assert not fs.exists("c/r/d")
    fs.rmdir("c/r")


def test_listings_have_objects_and_folders(tree: StrongroomFileSystem) -> None:
    assert tree.ls("c/r", detail=False) == ["c/r/a.csv", "c/r/b.csv", "c/r/d"]
    listed = tree.ls("c/r")
    assert [(info["name"], info["size"], info["type"]) for info in listed] == [
        ("c/r/a.csv", 10, "file"),
        ("c/r/b.csv", 2, "file"),
        ("c/r/d", 0, "directory"),
    ]
    assert listed[0] == tree.info("c/r/a.csv") and listed[2] == tree.info("c/r/d")
    assert tree.ls("", detail=False) == ["c"]
    assert tree.ls("c/r/a.csv") == [tree.info("c/r/a.csv")] and tree.ls("c/r/a.csv", detail=False) == ["c/r/a.csv"]
    for detail in (True, False):
        with pytest.raises(FileNotFoundError):
            tree.ls("c/none", detail=detail)


def test_find_agrees_with_the_one_of_fsspec(tree: StrongroomFileSystem) -> None:
    plain = fsspec.asyn.AsyncFileSystem._find
    for path in ("", "c", "c/r", "c/r/d", "c/r/a.csv", "none", "c/"):
        for maxdepth in (None, 1, 2, 3):
            for withdirs in (False, True):
                names = tree.find(path, maxdepth=maxdepth, withdirs=withdirs)
                expected = fsspec.asyn.sync(tree.loop, plain, tree, path, maxdepth=maxdepth, withdirs=withdirs)
                assert names == expected, (path, maxdepth, withdirs)
                assert list(tree.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)) == expected


def test_walk_and_glob_and_du_see_the_tree(tree: StrongroomFileSystem) -> None:
    assert list(tree.walk("c/r")) == [("c/r", ["d"], ["a.csv", "b.csv"]), ("c/r/d", [], ["e.csv"])]
    assert tree.glob("c/*/*.csv") == ["c/r/a.csv", "c/r/b.csv", "c/s/f.csv"]
    assert tree.glob("c/**/e.csv") == ["c/r/d/e.csv"]
    assert tree.du("c") == 16 and tree.du("c/r", total=False)["c/r/a.csv"] == 10


def test_an_object_and_a_folder_may_have_the_same_name(tree: StrongroomFileSystem) -> None:
    tree.pipe("c/r", b"an object")
    assert tree.info("c/r")["type"] == "file" and not tree.isdir("c/r")
    assert [info["type"] for info in tree.ls("c") if info["name"] == "c/r"] == ["file", "directory"]
    assert tree.ls("c", detail=False) == ["c/r", "c/s"]
    assert "c/r/d/e.csv" in tree.find("c/r")


def test_names_may_have_any_characters(fs: StrongroomFileSystem) -> None:
    for name in ("c/*", "c/[x]", "c/?", "c/a b#c%20", "c/ä\n", "c/http://x"):
        fs.pipe_file(name, name.encode())
        assert fs.cat_file(name) == name.encode() and fs.info(name)["size"] == len(name.encode())
        fs.rm_file(name)
    assert fs.find("") == []


def test_what_can_not_be_a_name_is_not_there(fs: StrongroomFileSystem) -> None:
    for name in ("../x", "x" * 300, "a\0b"):
        assert not fs.exists(name) and not fs.isfile(name) and not fs.isdir(name)
        with pytest.raises(ValueError):
            fs.pipe_file(name, b"1")


def test_the_digest_is_key_and_checksum(tree: StrongroomFileSystem) -> None:
    digest = tree.store.digest("c/r/a.csv")
    assert tree.ukey("c/r/a.csv") == digest and tree.checksum("c/r/a.csv") == int(digest[3:], 16)
    tree.pipe("c/r/a.csv", b"other")
    assert tree.ukey("c/r/a.csv") != digest
    for ask in (tree.ukey, tree.checksum, tree.modified, tree.created):
        with pytest.raises(IsADirectoryError):
            ask("c/r")


def test_times_are_those_of_storing(fs: StrongroomFileSystem) -> None:
    before = datetime.now(timezone.utc)
    fs.pipe("c/x", b"1")
    assert before.timestamp() - 1 <= fs.modified("c/x").timestamp() <= datetime.now(timezone.utc).timestamp() + 1
    assert fs.created("c/x") == fs.modified("c/x")
    with pytest.raises(ValueError, match="no time"):
        fs.modified(fs.ukey("c/x"))


def test_links_for_others_are_not_offered(tree: StrongroomFileSystem) -> None:
    with pytest.raises(NotImplementedError):
        tree.sign("c/r/a.csv")


# Reading.


def test_ranges_are_slices(tree: StrongroomFileSystem) -> None:
    data = TREE["c/r/a.csv"]
    limits = [None, 0, 1, 5, 9, 10, 11, 100, -1, -4, -10, -11, -100]
    wanted = [(start, end) for start in limits for end in limits]
    for start, end in wanted:
        assert tree.cat_file("c/r/a.csv", start, end) == data[slice(start, end)], (start, end)
    parts = tree.cat_ranges(["c/r/a.csv"] * len(wanted), *map(list, zip(*wanted)))
    assert parts == [data[slice(start, end)] for start, end in wanted]


def test_ranges_of_what_is_not_there_are_errors(tree: StrongroomFileSystem) -> None:
    for limits in ((0, 0), (5, None), (-5, -1), (None, None), (3, 4)):
        with pytest.raises(FileNotFoundError):
            tree.cat_file("none", *limits)
    parts = tree.cat_ranges(["c/r/a.csv", "none", "none"], [0, 0, None], [2, 2, None])
    assert parts[0] == b"01" and all(isinstance(part, FileNotFoundError) for part in parts[1:])
    with pytest.raises(FileNotFoundError):
        tree.cat_ranges(["c/r/a.csv", "none"], 0, 2, on_error="raise")


def test_cat_ranges_makes_no_more_native_calls_than_needed(tree: StrongroomFileSystem) -> None:
    tree.pipe("c/large", bytes(1000) * 1000)
    fs, calls = counted(tree)
    starts = list(range(0, 100_000, 1000))
    assert [len(part) for part in fs.cat_ranges(["c/large"] * 100, starts, [start + 10 for start in starts])] == [10] * 100
    assert calls == {"load": 1}
    calls.clear()
    fs.cat_ranges(["c/large"] * 3, [0, 500_000, 500_000], [10, 500_010, 500_020])
    assert calls == {"load": 2}
    calls.clear()
    fs.cat_ranges(["c/large"] * 2, [0, 20], [10, 30], max_gap=5)
    assert calls == {"load": 2}
    calls.clear()
    assert fs.cat_ranges(list(TREE) * 2, None, None) == list(TREE.values()) * 2
    assert calls == {"load_many": 1}


def test_cat_of_many_is_one_native_call(tree: StrongroomFileSystem) -> None:
    fs, calls = counted(tree)
    assert fs.cat(list(TREE)) == TREE
    assert calls == {"load_many": 1}
    assert fs.cat("c", recursive=True) == TREE
    assert fs.cat("c/r/*") == {"c/r/a.csv": TREE["c/r/a.csv"], "c/r/b.csv": b"bb"}
    assert fs.cat("c/r/b.csv") == b"bb" and fs.cat(["c/r/b.csv"]) == {"c/r/b.csv": b"bb"}


def test_cat_tells_what_is_not_there(tree: StrongroomFileSystem) -> None:
    paths = ["c/r/a.csv", "none"]
    with pytest.raises(FileNotFoundError):
        tree.cat(paths)
    assert tree.cat(paths, on_error="omit") == {"c/r/a.csv": TREE["c/r/a.csv"]}
    assert isinstance(tree.cat(paths, on_error="return")["none"], FileNotFoundError)


def test_content_is_read_by_its_digest(tree: StrongroomFileSystem, tmp_path: Path) -> None:
    digest = tree.store.digest("c/r/a.csv")
    for path in (digest, digest[:12], f"strongroom://{digest}"):
        assert tree.cat_file(path) == TREE["c/r/a.csv"] and tree.cat_file(path, -3) == b"789"
        assert tree.info(path)["size"] == 10 and tree.ukey(path) == digest
        assert tree.exists(path) and tree.isfile(path) and not tree.isdir(path)
        with tree.open(path) as file:
            assert file.read() == TREE["c/r/a.csv"]
    assert list(tree.cat([digest, "c/r/b.csv"]).values()) == [TREE["c/r/a.csv"], b"bb"]
    tree.get(digest, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == TREE["c/r/a.csv"]
    tree.cp_file(digest, "c/copy")
    assert tree.cat("c/copy") == TREE["c/r/a.csv"]
    for write in (lambda: tree.pipe_file(digest, b"x"), lambda: tree.rm_file(digest)):
        with pytest.raises(ValueError, match="names content"):
            write()
    with pytest.raises(FileNotFoundError):
        tree.info("b3:00000000")


@pytest.mark.parametrize("cache_type", ["none", "readahead", "bytes", "blockcache", "all", "mmap", "first", "background"])
@UNCLOSED
def test_files_are_read_through_every_cache(fs: StrongroomFileSystem, cache_type: str) -> None:
    data = bytes(range(256)) * 4096
    fs.pipe("c/x", data)
    with fs.open("c/x", "rb", cache_type=cache_type, block_size=1 << 16) as file:
        assert file.size == len(data)
        file.seek(-1000, 2)
        assert file.read() == data[-1000:]
        file.seek(70_000)
        assert file.read(100_000) == data[70_000:170_000]
        file.seek(0)
        assert file.read() == data
    fs.pipe("c/lines", b"a\nb\n")
    with fs.open("c/lines", "r", cache_type=cache_type) as lines:
        assert list(lines) == ["a\n", "b\n"]


def test_a_file_that_is_open_keeps_its_version(tree: StrongroomFileSystem) -> None:
    with tree.open("c/r/a.csv", "rb", cache_type="none") as file:
        assert file.read(3) == b"012"
        tree.pipe("c/r/a.csv", b"replaced by more than there was")
        assert file.read() == b"3456789"


def test_opening_a_file_is_one_native_call(tree: StrongroomFileSystem) -> None:
    fs, calls = counted(tree)
    with fs.open("c/r/a.csv") as file:
        assert file.read() == TREE["c/r/a.csv"]
    assert calls == {"open": 1}
    with pytest.raises(FileNotFoundError):
        fs.open("none")


def test_files_are_gotten(tree: StrongroomFileSystem, tmp_path: Path) -> None:
    tree.get("c/r", str(tmp_path / "copy"), recursive=True)
    assert (tmp_path / "copy/d/e.csv").read_bytes() == b"eee"
    tree.get_file("c/r/a.csv", tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == TREE["c/r/a.csv"]
    tree.get_file("c/r/b.csv", tmp_path / "new" / "folder" / "b.csv")
    assert (tmp_path / "new" / "folder" / "b.csv").read_bytes() == b"bb"
    with pytest.raises(FileNotFoundError):
        tree.get_file("none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


# Writing.


def test_pipe_puts_many_in_one_commit(fs: StrongroomFileSystem) -> None:
    fs.pipe({f"c/r/{number}": b"%d" % number for number in range(50)})
    assert versions(fs, "c/r") == 1 and fs.cat("c/r/49") == b"49"
    fs.pipe_file("c/r/x", memoryview(b"view"))
    fs.pipe("c/r/y", bytearray(b"array"))
    assert fs.cat("c/r/x") == b"view" and fs.cat("c/r/y") == b"array"


def test_what_must_be_new_is_not_replaced(tree: StrongroomFileSystem, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        tree.pipe_file("c/r/a.csv", b"x", mode="create")
    with pytest.raises(FileExistsError):
        tree.pipe({"c/r/new": b"x", "c/r/a.csv": b"x"}, mode="create")
    with pytest.raises(FileExistsError):
        tree.open("c/r/a.csv", "xb")
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(FileExistsError):
        tree.put_file(tmp_path / "x", "c/r/a.csv", mode="create")
    assert tree.cat("c", recursive=True) == TREE


def test_exclusive_files_lose_to_whoever_was_faster(fs: StrongroomFileSystem) -> None:
    file = fs.open("c/x", "xb")
    file.write(b"slow")
    fs.pipe("c/x", b"fast")
    with pytest.raises(FileExistsError):
        file.close()
    assert file.closed and fs.cat("c/x") == b"fast"


def test_put_takes_a_tree_in_one_commit(fs: StrongroomFileSystem, tmp_path: Path) -> None:
    (tmp_path / "tree/d").mkdir(parents=True)
    for name in ("a", "b", "d/c"):
        (tmp_path / "tree" / name).write_text(name)
    fs.put(str(tmp_path / "tree"), "c/r", recursive=True)
    assert fs.find("c") == ["c/r/a", "c/r/b", "c/r/d/c"] and versions(fs, "c/r") == 1
    fs.put_file(tmp_path / "tree/a", "c/r/again")
    assert fs.cat("c/r/again") == b"a"
    with pytest.raises(FileNotFoundError):
        fs.put([str(tmp_path / "tree/a"), str(tmp_path / "none")], ["c/x", "c/y"])
    assert not fs.exists("c/x")


def test_rm_of_a_tree_is_one_commit(tree: StrongroomFileSystem) -> None:
    fs, calls = counted(tree)
    fs.rm("c/r", recursive=True)
    assert tree.find("c") == ["c/s/f.csv"] and versions(tree, "c/r") == 2
    assert calls == {"iter_contents": 1, "batch": 1}
    with pytest.raises(FileNotFoundError):
        fs.rm("c/r", recursive=True)
    with pytest.raises(FileNotFoundError):
        fs.rm("c/r")
    with pytest.raises(FileNotFoundError):
        fs.rm(["c/s/f.csv", "c/none"])
    fs.rm(["strongroom://c/s/f.csv"])
    assert fs.find("") == []


def test_rm_takes_patterns_and_one_file_is_one_call(tree: StrongroomFileSystem) -> None:
    fs, calls = counted(tree)
    fs.rm("c/s/f.csv")
    assert calls == {"delete": 1}
    fs.rm("c/r/*.csv")
    assert fs.find("c") == ["c/r/d/e.csv"]


def test_copies_move_no_bytes(tree: StrongroomFileSystem) -> None:
    fs, calls = counted(tree)
    fs.cp_file("c/r/a.csv", "c/t/a.csv")
    assert not calls.keys() & {"load", "load_many", "open", "store_bytes"}
    fs.copy("c/r/", "c/u/", recursive=True)
    assert fs.find("c/u") == ["c/u/a.csv", "c/u/b.csv", "c/u/d/e.csv"] and versions(tree, "c/u") == 1
    assert fs.ukey("c/u/a.csv") == fs.ukey("c/t/a.csv") == tree.ukey("c/r/a.csv")
    with pytest.raises(FileNotFoundError):
        fs.cp_file("none", "c/v")


def test_mv_is_one_commit(tree: StrongroomFileSystem) -> None:
    tree.mv("c/r/a.csv", "c/r/z.csv")
    assert versions(tree, "c/r") == 2 and tree.cat("c/r/z.csv") == TREE["c/r/a.csv"] and not tree.exists("c/r/a.csv")
    tree.mv("c/r/d", "c/r/moved", recursive=True)
    assert tree.find("c/r") == ["c/r/b.csv", "c/r/moved/e.csv", "c/r/z.csv"]
    tree.mv("c/r/b.csv", "c/r/b.csv")
    tree.mv("c/r", "c/r/below", recursive=True)
    assert tree.find("c/r") == ["c/r/below/b.csv", "c/r/below/moved/e.csv", "c/r/below/z.csv"]
    with pytest.raises(FileNotFoundError):
        tree.mv("none", "c/x")


def test_what_was_moved_to_where_something_was_moved_from_stays(fs: StrongroomFileSystem) -> None:
    fs.pipe({"c/a": b"a", "c/b": b"b"})
    fs.mv(["c/a", "c/b"], ["c/b", "c/d"])
    assert fs.cat("c/b") == b"a" and not fs.exists("c/a")


def test_files_are_stored_when_they_are_closed(fs: StrongroomFileSystem) -> None:
    with fs.open("c/x", "wb") as file:
        assert file.write(b"half") == 4 and file.tell() == 4 and file.writable() and not file.readable()
        file.flush()
        assert not fs.exists("c/x")
        with pytest.raises(io.UnsupportedOperation):
            file.read()
        file.write(memoryview(b" and half"))
        file.seek(0)
        file.write(b"H")
    assert fs.cat("c/x") == b"Half and half" and versions(fs, "c") == 1
    for use in (lambda: file.write(b"x"), file.tell):
        with pytest.raises(ValueError):
            use()


def test_large_files_go_by_way_of_the_disk(fs: StrongroomFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    piece = bytes(range(256)) * 4096
    with fs.open("c/large", "wb") as file:
        for _ in range(2 * MEMORY_SIZE // len(piece)):
            file.write(piece)
        assert len(list((tmp_path / "tmp").iterdir())) == 1
        file.seek(3)
        file.write(b"!")
    assert fs.du("c/large") == 2 * MEMORY_SIZE and fs.cat_file("c/large", 0, 5) == b"\0\1\2!\4"
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("mode", ["wb", "w", "xb", "x", "ab", "a"])
@pytest.mark.parametrize("compression", [None, "gzip", "bz2"])
def test_nothing_is_stored_when_the_block_raises(fs: StrongroomFileSystem, mode: str, compression: str | None) -> None:
    data: Any = b"half" if "b" in mode else "half"
    with pytest.raises(ZeroDivisionError), fs.open("c/x", mode, compression=compression) as file:
        file.write(data)
        1 / 0
    assert not fs.exists("c/x")
    with fs.open("c/x", mode, compression=compression) as file:
        file.write(data)
    with fs.open("c/x", mode.replace(mode[0], "r"), compression=compression) as file:
        assert file.read() == data


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_file_that_is_dropped_is_not_stored(fs: StrongroomFileSystem, mode: str, compression: str | None) -> None:
    with pytest.warns(ResourceWarning, match="c/x was not closed"):
        fs.open("c/x", mode, compression=compression).write(b"half" if mode == "wb" else "half")
        gc.collect()
    assert not fs.exists("c/x")


def test_discarded_files_are_not_stored(fs: StrongroomFileSystem) -> None:
    file = fs.open("c/x", "wb")
    file.write(b"half")
    file.discard()
    file.close()
    assert file.closed and not fs.exists("c/x")


def test_files_without_autocommit_wait_for_it(fs: StrongroomFileSystem) -> None:
    with fs.open("c/x", "wb", autocommit=False) as file:
        file.write(b"x")
    assert not fs.exists("c/x")
    file.commit()
    assert fs.cat("c/x") == b"x"


def test_append_goes_on_with_what_is_there(fs: StrongroomFileSystem) -> None:
    for line in ("one\n", "two\n"):
        with fs.open("c/log", "a") as file:
            file.write(line)
    assert fs.cat("c/log") == b"one\ntwo\n"


def test_append_does_not_lose_what_another_wrote_meanwhile(fs: StrongroomFileSystem) -> None:
    for name, error in (("c/new", FileExistsError), ("c/old", strongroom.ChangedError)):
        if name == "c/old":
            fs.pipe(name, b"before")
        file = fs.open(name, "ab")
        file.write(b"mine")
        fs.pipe(name, b"another's")
        with pytest.raises(error):
            file.close()
        assert fs.cat(name) == b"another's"


def test_modes_that_can_not_be_are_refused(tree: StrongroomFileSystem) -> None:
    for mode in ("r+b", "w+b", "ub"):
        with pytest.raises(ValueError):
            tree.open("c/r/a.csv", mode)


def test_touch_makes_empty_objects(tree: StrongroomFileSystem) -> None:
    tree.touch("c/x")
    tree.touch("c/r/a.csv", truncate=False)
    assert tree.cat("c/x") == b"" and tree.cat("c/r/a.csv") == TREE["c/r/a.csv"]
    tree.touch("c/r/a.csv")
    assert tree.cat("c/r/a.csv") == b""


def test_progress_is_told(fs: StrongroomFileSystem, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    callback = fsspec.callbacks.Callback()
    fs.put_file(tmp_path / "x", "c/x", callback=callback)
    assert (callback.size, callback.value) == (5, 5)
    callback = fsspec.callbacks.Callback()
    fs.get_file("c/x", tmp_path / "y", callback=callback)
    assert (callback.size, callback.value) == (5, 5)


# In an event loop.


def test_it_works_in_an_event_loop_of_its_user(store: Store) -> None:
    async def use() -> None:
        fs = StrongroomFileSystem(store=store, asynchronous=True)
        await asyncio.gather(*(fs._pipe_file(f"c/{number}", b"%d" % number) for number in range(20)))
        assert len(await fs._ls("c", detail=False)) == 20
        assert await fs._cat_ranges(["c/7", "c/12"], 0, 1) == [b"7", b"1"]
        assert (await fs._info("c/12"))["size"] == 2
        await fs._mv("c/7", "d/7")
        await fs._rm("c", recursive=True)
        assert await fs._find("") == ["d/7"] and await fs._exists("d")

    asyncio.run(use())


def test_text_of_which_the_end_can_not_be_written_is_not_stored(fs: StrongroomFileSystem) -> None:
    file = fs.open("n/s/x", "w")
    file.write("a" * 100_000)
    file.flush()
    file.write("the end")

    def full(data: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    file._writer._spool.write = full
    with pytest.raises(OSError, match="full"):
        file.close()
    assert not fs.exists("n/s/x")
