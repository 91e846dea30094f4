"""A unit's files: sections 2.5, 2.9 and 3.4 of the description of gufe, and its defects 2, 3, 16 to 27 and 32."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gufe_storages import load, md5, storage

from strongroom.gufe import (
    BaseStorage,
    ChangedExternalResourceError,
    ContentStorage,
    ExternalStorage,
    FileStorage,
    Handle,
    MemoryStorage,
    MissingExternalResourceError,
    Receipt,
    StorageManager,
    clear_dag,
)
from strongroom.gufe.errors import InvalidResourceError

__all__ = ["storage"]


class Recording(ExternalStorage):
    """A storage of somebody else, that writes down what it is asked, and fails where a location ends with ``fail``."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.kept: dict[str, bytes] = {}

    def _store_bytes(self, location, byte_data):  # type: ignore[no-untyped-def]
        raise AssertionError("no file")

    def _store_path(self, location, path):  # type: ignore[no-untyped-def]
        self.calls.append(f"store_path {location}")
        if location.endswith("fail"):
            raise OSError("the storage is full")
        self.kept[location] = path.read_bytes()

    def _load_stream(self, location):  # type: ignore[no-untyped-def]
        self.calls.append(f"load_stream {location}")
        return io.BytesIO(self.kept[location])

    def _exists(self, location):  # type: ignore[no-untyped-def]
        self.calls.append(f"exists {location}")
        return location in self.kept

    def _delete(self, location):  # type: ignore[no-untyped-def]
        self.calls.append(f"delete {location}")
        del self.kept[location]

    def _get_filename(self, location):  # type: ignore[no-untyped-def]
        return None

    def _iter_contents(self, prefix=""):  # type: ignore[no-untyped-def]
        return (location for location in list(self.kept) if location.startswith(prefix))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A unit's folder."""
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture
def manager(scratch: Path, storage: BaseStorage) -> StorageManager:
    """A manager with nothing registered, over each of the three."""
    return StorageManager(scratch, storage, "dag", "unit")


def write(scratch: Path, **files: bytes) -> None:
    """Writes files whose names have two underscores for a slash."""
    for name, content in files.items():
        path = scratch / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# 2.5.


def test_2_5_the_attributes_are_as_given(manager: StorageManager, scratch: Path, storage: BaseStorage) -> None:
    assert manager.scratch_dir == scratch
    assert manager.storage is storage
    assert manager.registry == set()
    assert manager.namespace == "dag/unit"


def test_2_5_names_are_joined_as_strings() -> None:
    assert StorageManager.append_to_namespace("dag/unit", "a.txt") == "dag/unit/a.txt"
    assert StorageManager.append_to_namespace("dag/unit", "/a.txt") == "dag/unit//a.txt"


def test_2_5_it_takes_its_arguments_by_name(scratch: Path) -> None:
    manager = StorageManager(scratch_dir=scratch, storage=MemoryStorage(), dag_label="d", unit_label="u")
    assert manager.namespace == "d/u"


# 3.4.


def test_3_4_register_gives_a_handle_and_needs_no_file(manager: StorageManager) -> None:
    assert manager.register("a.txt") == "dag/unit/a.txt"
    assert manager.registry == {"a.txt"}
    assert list(manager.storage) == []


def test_3_4_registering_twice_changes_nothing(manager: StorageManager) -> None:
    assert manager.register("a.txt") == manager.register("a.txt")
    assert manager.registry == {"a.txt"}


def test_3_4_it_contains_names_and_no_handles(manager: StorageManager) -> None:
    handle = manager.register("a.txt")
    assert "a.txt" in manager
    assert handle not in manager
    assert "b.txt" not in manager
    assert "../a.txt" not in manager
    assert None not in manager


def test_3_4_a_transferred_file_is_loaded_by_its_handle(manager: StorageManager, scratch: Path) -> None:
    handle = manager.register("a.txt")
    write(scratch, **{"a.txt": b"x"})
    manager._transfer()
    assert manager.load(handle) == b"x"
    assert list(manager.storage) == ["dag/unit/a.txt"]


def test_3_4_transfer_gives_none_and_keeps_the_registry(manager: StorageManager, scratch: Path) -> None:
    manager.register("a")
    write(scratch, a=b"x")
    result: object = manager._transfer()  # type: ignore[func-returns-value]
    assert result is None
    assert manager.registry == {"a"}


def test_3_4_subfolders_in_a_name_are_kept(manager: StorageManager, scratch: Path) -> None:
    assert manager.register("d/e/a") == "dag/unit/d/e/a"
    write(scratch, d__e__a=b"x")
    manager._transfer()
    assert list(manager.storage) == ["dag/unit/d/e/a"]


def test_3_4_only_what_is_registered_is_transferred(manager: StorageManager, scratch: Path) -> None:
    write(scratch, a=b"x", b=b"y")
    manager._transfer()
    assert list(manager.storage) == []
    manager.register("a")
    manager._transfer()
    assert list(manager.storage) == ["dag/unit/a"]


def test_3_4_a_handle_of_somebody_else_is_loaded(manager: StorageManager) -> None:
    manager.storage.store_bytes("dag/other/a", b"x")
    assert manager.load("dag/other/a") == b"x"
    assert manager.registry == set()


@pytest.mark.parametrize("name", ["a.txt", "dag/unit/none"])
def test_3_4_what_is_no_handle_of_anything_is_missing(manager: StorageManager, scratch: Path, name: str) -> None:
    manager.register("a.txt")
    write(scratch, **{"a.txt": b"x"})
    manager._transfer()
    with pytest.raises(MissingExternalResourceError) as caught:
        manager.load(name)
    assert isinstance(caught.value, KeyError) == isinstance(manager.storage, MemoryStorage)


@pytest.mark.parametrize("call", [StorageManager._transfer, lambda manager: manager.transfer_file("a")])
def test_3_4_a_file_that_was_not_written_is_a_builtin_error(
    manager: StorageManager, call: Callable[[StorageManager], None]
) -> None:
    manager.register("a")
    with pytest.raises(FileNotFoundError) as caught:
        call(manager)
    assert not isinstance(caught.value, MissingExternalResourceError)
    assert list(manager.storage) == []


def test_3_4_one_file_is_transferred_registered_or_not(manager: StorageManager, scratch: Path) -> None:
    write(scratch, a=b"x")
    manager.register("b")
    result: object = manager.transfer_file("a")  # type: ignore[func-returns-value]
    assert result is None
    assert list(manager.storage) == ["dag/unit/a"]
    assert manager.registry == {"b"}


def test_3_4_what_is_transferred_again_is_replaced(manager: StorageManager, scratch: Path) -> None:
    handle = manager.register("a")
    for content in (b"first", b"second"):
        write(scratch, a=content)
        manager._transfer()
    assert manager.load(handle) == b"second"


def test_3_4_with_plain_files_an_object_is_a_real_file(scratch: Path, tmp_path: Path) -> None:
    manager = StorageManager(scratch, FileStorage(tmp_path / "root"), "dag", "unit")
    manager.register("d/a")
    write(scratch, d__a=b"x")
    manager._transfer()
    assert (tmp_path / "root" / "dag" / "unit" / "d" / "a").read_bytes() == b"x"


# Defects 2 and 3.


@pytest.mark.parametrize("name", ["../esc", "/etc/passwd", "a/../../esc", "", ".", "..", "x" * 256, "a\0"])
def test_4_2_a_name_outside_scratch_is_refused(manager: StorageManager, scratch: Path, name: str) -> None:
    (scratch.parent / "esc").write_bytes(b"x")
    with pytest.raises(InvalidResourceError):
        manager.register(name)
    with pytest.raises(InvalidResourceError):
        manager.transfer_file(name)
    assert manager.registry == set()
    assert list(manager.storage) == []


@pytest.mark.parametrize("labels", [("..", "unit"), ("dag", "../.."), ("dag", "../other/unit"), ("", "unit"), ("/dag", "unit")])
def test_4_2_labels_outside_the_storage_are_refused(scratch: Path, labels: tuple[str, str]) -> None:
    with pytest.raises(InvalidResourceError):
        StorageManager(scratch, MemoryStorage(), *labels)


@pytest.mark.parametrize("handle", ["../x", "/etc/passwd"])
def test_4_2_a_handle_outside_the_storage_is_refused(manager: StorageManager, handle: str) -> None:
    with pytest.raises(InvalidResourceError):
        manager.load(handle)


@pytest.mark.parametrize("kind", [str, Path])
def test_4_2_an_absolute_path_in_scratch_is_its_name_there(manager: StorageManager, scratch: Path, kind: type) -> None:
    handle = manager.register(kind(scratch / "d" / "x.pdb"))
    write(scratch, **{"d__x.pdb": b"x"})
    assert handle == "dag/unit/d/x.pdb"
    assert manager.registry == {"d/x.pdb"}
    assert scratch / "d" / "x.pdb" in manager
    manager._transfer()
    assert list(manager.storage) == [handle]


def test_4_2_scratch_may_be_relative_or_a_symlink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    for scratch in (Path("real"), tmp_path / "link"):
        manager = StorageManager(scratch, MemoryStorage(), "dag", "unit")
        assert manager.register(tmp_path / "real" / "a") == "dag/unit/a"
        assert manager.register(scratch.absolute() / "a") == "dag/unit/a"


def test_4_3_the_handle_is_the_location_in_the_listing(manager: StorageManager, scratch: Path) -> None:
    handles = {manager.register(name) for name in ("d//a", "./d/a", "d/./a", "e/../d/a")}
    write(scratch, d__a=b"x")
    manager._transfer()
    assert handles == set(manager.storage) == {"dag/unit/d/a"}


def test_4_3_a_handle_with_two_slashes_loads_the_same_object(manager: StorageManager, scratch: Path) -> None:
    manager.register("d/a")
    write(scratch, d__a=b"x")
    manager._transfer()
    assert manager.load("dag/unit//d/a") == b"x"


# Defects 16 and 17.


def test_4_16_a_units_files_are_one_commit(scratch: Path, tmp_path: Path) -> None:
    storage = ContentStorage(tmp_path / "store")
    manager = StorageManager(scratch, storage, "dag", "unit")
    for name in ("a", "b", "d"):
        manager.register(name)
    write(scratch, a=b"1", b=b"2", d__c=b"3")
    manager._transfer()
    assert [commit.put for commit in storage.native.log("dag/unit")] == [3]
    assert sorted(storage) == ["dag/unit/a", "dag/unit/b", "dag/unit/d/c"]


def test_4_16_files_are_stored_in_sorted_order(scratch: Path) -> None:
    storage = Recording()
    manager = StorageManager(scratch, storage, "dag", "unit")
    names = ["c", "a", "d", "b", "e"]
    for name in names:
        manager.register(name)
        write(scratch, **{name: b"x"})
    manager._transfer()
    assert storage.calls == [f"store_path dag/unit/{name}" for name in sorted(names)]


def test_3_5_a_storage_of_somebody_else_is_only_asked_to_store_and_to_load(scratch: Path) -> None:
    storage = Recording()
    manager = StorageManager(scratch, storage, "dag", "unit")
    handle = manager.register("a")
    write(scratch, a=b"xyz")
    manager._transfer()
    assert manager.load(handle) == b"xyz"
    assert storage.calls == ["store_path dag/unit/a", "load_stream dag/unit/a"]
    assert manager.load_range(handle, 1, 2) == b"y"
    manager.load_path(handle, scratch / "copy")
    assert (scratch / "copy").read_bytes() == b"xyz"


def test_4_16_when_one_file_is_not_there_none_is_stored(manager: StorageManager, scratch: Path) -> None:
    for name in ("a", "b", "c"):
        manager.register(name)
    write(scratch, a=b"x", c=b"x")
    with pytest.raises(FileNotFoundError, match="b"):
        manager._transfer()
    assert list(manager.storage) == []


def test_4_16_a_file_that_is_not_there_is_noticed_before_anything_is_stored(scratch: Path) -> None:
    storage = Recording()
    manager = StorageManager(scratch, storage, "dag", "unit")
    for name in ("a", "b"):
        manager.register(name)
    write(scratch, a=b"x")
    with pytest.raises(FileNotFoundError):
        manager._transfer()
    assert storage.calls == []


def test_4_16_when_a_storage_of_somebody_else_fails_nothing_is_taken_from_it(scratch: Path) -> None:
    storage = Recording()
    storage.kept["dag/unit/a"] = b"of an earlier run"
    manager = StorageManager(scratch, storage, "dag", "unit")
    for name in ("a", "b", "fail"):
        manager.register(name)
        write(scratch, **{name: b"x"})
    with pytest.raises(OSError, match="full"):
        manager._transfer()
    assert storage.kept == {"dag/unit/a": b"x", "dag/unit/b": b"x"}


def test_4_16_when_plain_files_fail_what_was_stored_before_is_removed(scratch: Path, tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "root")
    storage.store_bytes("dag/unit/z/in the way", b"theirs")
    manager = StorageManager(scratch, storage, "dag", "unit")
    for name in ("a", "b", "z"):
        manager.register(name)
        write(scratch, **{name: b"x"})
    with pytest.raises(IsADirectoryError):
        manager._transfer()
    assert list(storage) == ["dag/unit/z/in the way"]


def test_4_17_a_folder_is_transferred_with_all_that_is_in_it(manager: StorageManager, scratch: Path) -> None:
    handle = manager.register("d")
    write(scratch, d__a=b"1", d__e__b=b"2", d__e__f__c=b"3", other=b"4")
    (scratch / "d" / "empty").mkdir()
    manager._transfer()
    assert sorted(manager.storage) == [f"{handle}/a", f"{handle}/e/b", f"{handle}/e/f/c"]
    assert manager.load(f"{handle}/e/b") == b"2"


def test_4_17_a_folder_and_a_file_in_it_may_both_be_registered(manager: StorageManager, scratch: Path) -> None:
    manager.register("d")
    manager.register("d/a")
    write(scratch, d__a=b"1")
    assert [entry.name for entry in manager.transfer()] == ["d/a"]


def test_4_17_one_folder_is_transferred_by_name(manager: StorageManager, scratch: Path) -> None:
    write(scratch, d__a=b"1")
    manager.transfer_file("d")
    assert list(manager.storage) == ["dag/unit/d/a"]


def test_4_17_a_symlink_to_a_file_stands_for_the_file(manager: StorageManager, scratch: Path) -> None:
    write(scratch, d__a=b"1")
    (scratch / "d" / "link").symlink_to("a")
    manager.register("d")
    manager._transfer()
    assert load(manager.storage, "dag/unit/d/link") == b"1"


def test_4_17_a_symlink_to_a_folder_in_a_folder_is_refused(manager: StorageManager, scratch: Path) -> None:
    write(scratch, d__a=b"1", e__b=b"2")
    (scratch / "d" / "link").symlink_to("../e")
    manager.register("d")
    with pytest.raises(InvalidResourceError, match="symlink"):
        manager._transfer()
    assert list(manager.storage) == []


# Defect 18.


def test_4_18_a_handle_is_loaded_as_a_stream_a_range_and_a_file(
    manager: StorageManager, scratch: Path, tmp_path: Path
) -> None:
    handle = manager.register("a")
    write(scratch, a=b"0123456789")
    manager._transfer()
    with manager.load_stream(handle) as stream:
        assert stream.read() == b"0123456789"
    assert manager.load_range(handle, 2, 4) == b"23"
    manager.load_path(handle, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"0123456789"


# Defects 19, 22 and 24.


def test_4_19_it_transfers_when_its_block_ends_well(manager: StorageManager, scratch: Path) -> None:
    with manager as entered:
        handle = entered.register("a")
        write(scratch, a=b"x")
        assert list(manager.storage) == []
    assert entered is manager
    assert manager.load(handle) == b"x"


def test_4_24_nothing_appears_under_the_name_of_a_unit_that_failed(manager: StorageManager, scratch: Path) -> None:
    with pytest.raises(ZeroDivisionError), manager:
        manager.register("a")
        write(scratch, a=b"x")
        1 / 0  # noqa: B018
    assert list(manager.storage) == []


def test_4_24_what_a_failed_attempt_wrote_is_kept_under_its_name(storage: BaseStorage, scratch: Path) -> None:
    for attempt in (0, 1):
        manager = StorageManager(scratch, storage, "dag", "unit", attempt=attempt)
        with pytest.raises(ZeroDivisionError), manager:
            manager.register("a")
            manager.register("not written")
            write(scratch, a=str(attempt).encode())
            1 / 0  # noqa: B018
    assert sorted(storage) == ["dag/unit.0/a", "dag/unit.1/a"]
    assert load(storage, "dag/unit.1/a") == b"1"
    with StorageManager(scratch, storage, "dag", "unit", attempt=2) as manager:
        manager.register("a")
    assert load(storage, "dag/unit/a") == b"1"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have notes since Python 3.11")
def test_4_22_the_units_own_error_is_reported_and_a_missing_file_is_a_note_on_it(manager: StorageManager) -> None:
    with pytest.raises(ZeroDivisionError) as caught, manager:
        manager.register("a")
        1 / 0  # noqa: B018
    assert getattr(caught.value, "__notes__", None) == ["a was registered and not written"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have notes since Python 3.11")
def test_4_22_a_storage_that_fails_too_is_a_note_on_the_units_error(scratch: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        with StorageManager(scratch, Recording(), "dag", "unit", attempt=1) as manager:
            manager.register("fail")
            write(scratch, fail=b"x")
            1 / 0  # noqa: B018
    assert getattr(caught.value, "__notes__", None) == ["what was written was not kept: the storage is full"]


# Defect 25.


def test_4_25_a_transfer_gives_a_receipt(manager: StorageManager, scratch: Path) -> None:
    manager.register("d")
    manager.register("a")
    write(scratch, a=b"x", d__b=b"yy")
    receipt = manager.transfer()
    assert [(entry.name, entry.handle, entry.size) for entry in receipt] == [
        ("a", "dag/unit/a", 1),
        ("d/b", "dag/unit/d/b", 2),
    ]
    assert isinstance(manager.storage, BaseStorage)
    assert [entry.digest for entry in receipt] == [manager.storage.digest(entry.handle) for entry in receipt]
    assert len(receipt) == 2


def test_4_25_a_receipt_is_sorted_by_name(manager: StorageManager, scratch: Path) -> None:
    names = ["d-x", "d/a", "d/b", "d/c", "d/e/a"]
    for name in ("d", "d-x"):
        manager.register(name)
    for name in reversed(names):
        write(scratch, **{name.replace("/", "__"): b"x"})
    assert [entry.name for entry in manager.transfer()] == names


def test_4_25_a_transfer_of_nothing_gives_an_empty_receipt(manager: StorageManager) -> None:
    assert len(manager.transfer()) == 0


def test_4_25_a_receipt_survives_json_and_pickle(manager: StorageManager, scratch: Path) -> None:
    manager.register("a")
    write(scratch, a=b"x")
    receipt = manager.transfer()
    assert Receipt.from_dict(json.loads(json.dumps(receipt.to_dict()))) == receipt
    assert pickle.loads(pickle.dumps(receipt)) == receipt


def test_4_27_a_receipt_is_compared_with_what_is_there(manager: StorageManager, scratch: Path) -> None:
    handle = manager.register("a")
    write(scratch, a=b"x")
    receipt = manager.transfer()
    receipt.verify(manager.storage)
    manager.storage.store_bytes(handle, b"y")
    with pytest.raises(ChangedExternalResourceError, match="dag/unit/a"):
        receipt.verify(manager.storage)
    manager.storage.delete(handle)
    with pytest.raises(MissingExternalResourceError):
        receipt.verify(manager.storage)


def test_4_25_a_receipt_of_a_storage_of_somebody_else_has_md5(scratch: Path) -> None:
    storage = Recording()
    manager = StorageManager(scratch, storage, "dag", "unit")
    manager.register("a")
    write(scratch, a=b"x")
    receipt = manager.transfer()
    assert [entry.digest for entry in receipt] == [f"md5:{md5(b'x')}"]
    receipt.verify(storage)


# Defect 26 and section 2.9.


def test_4_26_a_handle_says_which_storage_it_belongs_to(scratch: Path) -> None:
    shared = StorageManager(scratch, MemoryStorage(), "dag", "unit", container="shared")
    assert shared.register("a").container == "shared"
    assert StorageManager(scratch, MemoryStorage(), "dag", "unit").register("a").container == "permanent"


def test_4_26_a_handle_is_its_location_for_everybody_else() -> None:
    handle = Handle("dag/unit/a", "shared")
    assert isinstance(handle, str)
    assert handle == "dag/unit/a"
    assert "dag/unit/a" in {handle}
    assert f"{handle}" == str(handle) == "dag/unit/a"
    # gufe computes keys from how things are written.
    assert repr([handle]) == "['dag/unit/a']"
    assert json.dumps({"handle": handle}) == '{"handle": "dag/unit/a"}'


@pytest.mark.parametrize(
    "again",
    [
        lambda handle: Handle.from_dict(json.loads(json.dumps(handle.to_dict()))),
        lambda handle: pickle.loads(pickle.dumps(handle)),
        copy.copy,
        copy.deepcopy,
    ],
    ids=["json", "pickle", "copy", "deepcopy"],
)
def test_4_26_a_handle_survives_serialisation(again) -> None:  # type: ignore[no-untyped-def]
    handle = Handle("dag/unit/a", "shared")
    assert again(handle) == handle
    assert again(handle).container == "shared"


def test_2_9_a_handle_has_the_json_of_the_earlier_design() -> None:
    data = {":container:": "shared", ":label:": "dag/unit/a"}
    assert Handle.from_dict(data).to_dict() == data


def test_4_2_a_handle_that_leaves_its_storage_is_not_read() -> None:
    with pytest.raises(InvalidResourceError):
        Handle.from_dict({":container:": "shared", ":label:": "../a"})


def test_2_9_data_in_another_storage_is_read_by_the_same_handle(
    manager: StorageManager, scratch: Path, tmp_path: Path
) -> None:
    handle = manager.register("a")
    write(scratch, a=b"x")
    manager._transfer()
    other = FileStorage(tmp_path / "other")
    for location in manager.storage:
        other.store_bytes(location, load(manager.storage, location))
    assert load(other, handle) == b"x"


def test_2_9_a_storage_that_was_moved_is_read_by_the_same_handle(scratch: Path, tmp_path: Path) -> None:
    for kind in (FileStorage, ContentStorage):
        manager = StorageManager(scratch, kind(tmp_path / "before"), "dag", "unit")
        handle = manager.register("a")
        write(scratch, a=b"x")
        manager._transfer()
        os.rename(tmp_path / "before", tmp_path / kind.__name__)
        assert load(kind(tmp_path / kind.__name__), handle) == b"x"


def test_2_9_two_permanent_storages_may_be_used_at_once(scratch: Path, tmp_path: Path) -> None:
    write(scratch, a=b"x")
    managers = [StorageManager(scratch, ContentStorage(tmp_path / name), "dag", "unit") for name in ("one", "two")]
    managers[0].register("a")
    for manager in managers:
        manager._transfer()
    assert [list(manager.storage) for manager in managers] == [["dag/unit/a"], []]


# Defects 20 and 32.


def test_4_20_what_a_dag_shared_is_removed_at_its_end(storage: BaseStorage) -> None:
    for location in ("dag/u/a", "dag/u.0/a", "dag2/u/a", "da/x"):
        storage.store_bytes(location, b"")
    assert clear_dag(storage, "dag", MemoryStorage()) == ["dag/u.0/a", "dag/u/a"]
    assert sorted(storage) == ["da/x", "dag2/u/a"]
    assert clear_dag(storage, "dag") == []


@pytest.mark.parametrize(
    "pair",
    [
        lambda folder: (FileStorage(folder / "x"), FileStorage(folder / "x")),
        lambda folder: (FileStorage(folder / "x"), FileStorage(folder / "y" / ".." / "x")),
        lambda folder: (FileStorage(folder / "x"), FileStorage(folder / "x", exist_ok=True)),
        lambda folder: (ContentStorage(folder / "x"), ContentStorage(folder / "x")),
        lambda folder: (MemoryStorage(),) * 2,
    ],
)
def test_4_20_nothing_is_removed_where_shared_is_permanent(tmp_path: Path, pair) -> None:  # type: ignore[no-untyped-def]
    shared, permanent = pair(tmp_path)
    shared.store_bytes("dag/u/a", b"")
    assert clear_dag(shared, "dag", permanent) == []
    assert permanent.exists("dag/u/a")


def test_4_20_a_storage_of_somebody_else_is_cleared_too() -> None:
    storage = Recording()
    storage.kept = {"dag/u/a": b"", "dag2/u/a": b""}
    assert clear_dag(storage, "dag", MemoryStorage()) == ["dag/u/a"]
    assert list(storage.kept) == ["dag2/u/a"]


@pytest.mark.parametrize("label", ["", "..", "/"])
def test_4_20_a_label_that_would_clear_everything_is_refused(storage: BaseStorage, label: str) -> None:
    storage.store_bytes("dag/u/a", b"")
    with pytest.raises(InvalidResourceError):
        clear_dag(storage, label)
    assert list(storage) == ["dag/u/a"]


def test_2_9_no_empty_folders_are_left_of_a_dag(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "root")
    for location in ("dag/u/d/a", "dag/v/b", "other/c"):
        storage.store_bytes(location, b"")
    clear_dag(storage, "dag")
    assert not (tmp_path / "root" / "dag").exists()
    assert list(storage) == ["other/c"]


def test_4_32_the_end_of_a_dag_may_be_told_by_another_process(tmp_path: Path) -> None:
    for kind in (FileStorage, ContentStorage):
        kind(tmp_path / kind.__name__).store_bytes("dag/u/a", b"")
        program = f"import sys; from strongroom.gufe import *; clear_dag({kind.__name__}(sys.argv[1]), 'dag')"
        subprocess.run([sys.executable, "-c", program, str(tmp_path / kind.__name__)], check=True)
        assert list(kind(tmp_path / kind.__name__)) == []
