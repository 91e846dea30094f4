"""Transactions of fsspec: all at the end, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom import Store

fsspec = pytest.importorskip("fsspec")

from strongroom.fsspec import StrongroomFileSystem  # noqa: E402
from strongroom.fsspec._spool import MEMORY_SIZE  # noqa: E402


@pytest.fixture
def fs(store: Store) -> StrongroomFileSystem:
    """A file system on a store with two objects."""
    fs = StrongroomFileSystem(store=store)
    fs.pipe({"c/r/old": b"old", "c/r/d/older": b"older"})
    return fs


def content(fs: StrongroomFileSystem) -> dict[str, bytes]:
    return {path: fs.cat_file(path) for path in fs.find("")}


def test_a_transaction_is_not_part_of_another(fs: StrongroomFileSystem) -> None:
    with pytest.raises(RuntimeError, match="under way"), fs.transaction:
        fs.pipe("n/a", b"1")
        with fs.transaction:
            fs.pipe("n/b", b"2")
    assert fs.find("n") == []
    with fs.transaction:
        fs.pipe("n/c", b"3")
    assert fs.find("n") == ["n/c"]


def test_everything_appears_at_the_end_in_one_commit(fs: StrongroomFileSystem, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/put").write_bytes(b"put")
    before = content(fs)
    with fs.transaction:
        with fs.open("c/r/opened", "wb") as file:
            file.write(b"opened")
        with fs.open("c/r/text.gz", "w", compression="gzip") as text:
            text.write("text")
        fs.pipe("c/r/piped", b"piped")
        fs.pipe({"c/r/1": b"1", "c/r/2": b"2"})
        fs.put(str(tmp_path / "tree"), "c/r/tree", recursive=True)
        fs.cp_file("c/r/old", "c/r/copied")
        fs.mv("c/r/d/older", "c/r/moved")
        fs.rm("c/r/old")
        fs.touch("c/r/touched")
        assert content(fs) == before
    assert fs.store.snapshot("c/r").version == 2
    with fs.open("c/r/text.gz", "r", compression="gzip") as text:
        assert text.read() == "text"
    fs.rm("c/r/text.gz")
    assert content(fs) == {
        "c/r/opened": b"opened",
        "c/r/piped": b"piped",
        "c/r/1": b"1",
        "c/r/2": b"2",
        "c/r/tree/put": b"put",
        "c/r/copied": b"old",
        "c/r/moved": b"older",
        "c/r/touched": b"",
    }


def test_nothing_appears_when_the_block_raises(fs: StrongroomFileSystem) -> None:
    before = content(fs)
    with pytest.raises(ZeroDivisionError), fs.transaction:
        with fs.open("c/r/opened", "wb") as file:
            file.write(b"x")
        fs.pipe("c/r/piped", b"x")
        fs.rm("c", recursive=True)
        1 / 0
    assert content(fs) == before and fs.store.snapshot("c/r").version == 1
    fs.pipe("c/r/piped", b"outside")
    assert fs.cat("c/r/piped") == b"outside"


def test_nothing_appears_when_the_commit_fails(fs: StrongroomFileSystem) -> None:
    before = content(fs)
    with pytest.raises(FileExistsError), fs.transaction:
        fs.pipe_file("c/r/new", b"x")
        fs.pipe_file("c/r/old", b"x", mode="create")
    assert content(fs) == before
    with fs.transaction:
        fs.pipe("c/r/next", b"x")
    assert fs.cat("c/r/next") == b"x"


def test_a_file_that_is_still_open_keeps_everything_from_being_stored(fs: StrongroomFileSystem) -> None:
    before = content(fs)
    with pytest.raises(ValueError, match="c/r/open is still open"), fs.transaction:
        fs.pipe("c/r/piped", b"x")
        fs.open("c/r/open", "wb").write(b"half")
    assert content(fs) == before


def test_a_file_whose_block_raises_is_left_out(fs: StrongroomFileSystem) -> None:
    with fs.transaction:
        fs.pipe("c/r/piped", b"x")
        with pytest.raises(ZeroDivisionError), fs.open("c/r/half", "wb") as file:
            file.write(b"half")
            1 / 0
    assert fs.exists("c/r/piped") and not fs.exists("c/r/half")


def test_later_calls_see_earlier_ones_where_they_go_on_with_them(fs: StrongroomFileSystem) -> None:
    with fs.transaction:
        fs.pipe("c/r/a", b"first")
        fs.cp_file("c/r/a", "c/r/b")
        fs.pipe("c/r/a", b"second")
        fs.mv("c/r/a", "c/r/a2")
        fs.cp_file("c/r/old", "c/r/old1")
        fs.cp_file("c/r/old1", "c/r/old2")
        fs.rm("c/r/old")
        fs.pipe_file("c/r/old", b"anew", mode="create")
        fs.pipe("c/r/gone/1", b"x")
        fs.rm("strongroom://c/r/gone", recursive=True)
        fs.pipe({"c/r/gone1": b"x", "c/r/gone2": b"x", "c/r/gone3": b"x"})
        fs.rm(["c/r/gone1", "c/r/gone2"])
        fs.rm("c/r/gone3", recursive=True)
        for line in ("one\n", "two\n"):
            with fs.open("c/r/log", "a") as log:
                log.write(line)
        with fs.open("c/r/d/older", "ab") as older:
            older.write(b" still")
    assert content(fs) == {
        "c/r/a2": b"second",
        "c/r/b": b"first",
        "c/r/old": b"anew",
        "c/r/old1": b"old",
        "c/r/old2": b"old",
        "c/r/log": b"one\ntwo\n",
        "c/r/d/older": b"older still",
    }


def test_what_goes_wrong_is_told_at_once(fs: StrongroomFileSystem) -> None:
    with fs.transaction:
        fs.pipe("c/r/new", b"x")
        fs.rm("c/r/old")
        for wrong in (lambda: fs.rm_file("none"), lambda: fs.cp_file("none", "x"), lambda: fs.rm_file("c/r/old")):
            with pytest.raises(FileNotFoundError):
                wrong()
        with pytest.raises(FileExistsError):
            fs.pipe_file("c/r/new", b"y", mode="create")
        for path in ("c/r/new", "c/r/d/older"):
            with pytest.raises(FileExistsError):
                fs.open(path, "xb")
        with fs.open("c/r/old", "xb") as file:
            file.write(b"anew")
    assert content(fs) == {"c/r/new": b"x", "c/r/old": b"anew", "c/r/d/older": b"older"}


def test_large_files_wait_on_the_disk(fs: StrongroomFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    large = bytes(MEMORY_SIZE + 1)
    for fails in (True, False):
        try:
            with fs.transaction:
                with fs.open("c/r/large", "wb") as file:
                    file.write(large)
                fs.cp_file("c/r/large", "c/r/copy")
                assert len(list((tmp_path / "tmp").iterdir())) == 1
                if fails:
                    raise KeyError
        except KeyError:
            assert not fs.exists("c/r/large")
        assert list((tmp_path / "tmp").iterdir()) == []
    assert fs.cat("c/r/large") == fs.cat("c/r/copy") == large


def test_transactions_can_be_begun_and_ended_by_calls(fs: StrongroomFileSystem) -> None:
    fs.start_transaction()
    fs.pipe("c/r/x", b"x")
    assert not fs.exists("c/r/x")
    fs.end_transaction()
    assert fs.cat("c/r/x") == b"x"
    with fs.transaction:
        pass
    assert fs.store.snapshot("c/r").version == 2


def test_touching_what_was_written_before_in_the_block_leaves_it(fs: StrongroomFileSystem) -> None:
    with fs.transaction:
        fs.pipe("n/s/x", b"data")
        fs.touch("n/s/x", truncate=False)
    assert fs.cat("n/s/x") == b"data"
