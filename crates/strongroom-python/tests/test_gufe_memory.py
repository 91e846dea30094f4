"""Objects in memory: sections 2.4 and 3.3 of the description of gufe, and its defect 4."""

from __future__ import annotations

import pytest
from gufe_storages import load, md5

from strongroom.gufe import FileStorage, MemoryStorage, Metadata, MissingExternalResourceError
from strongroom.gufe.errors import ExternalResourceError


def test_2_4_the_objects_are_a_dict_that_can_be_read() -> None:
    storage = MemoryStorage()
    storage.store_bytes("a", b"x")
    assert storage._data == {"a": b"x"}
    assert "a" in storage._data


def test_2_4_the_objects_are_a_dict_that_can_be_assigned() -> None:
    storage = MemoryStorage()
    storage._data = {"a": b"x", "b/c": b"y"}
    assert load(storage, "b/c") == b"y"
    assert sorted(storage) == ["a", "b/c"]
    storage._data["d"] = b"z"
    assert storage.exists("d")


@pytest.mark.parametrize("key", ["", "a//b", "../x"])
def test_3_3_keys_of_any_form_that_others_assigned_are_found(key: str) -> None:
    storage = MemoryStorage()
    storage._data = {key: b"x"}
    assert storage.exists(key)
    assert list(storage) == [key]
    assert load(storage, key) == b"x"
    storage.delete(key)
    assert storage._data == {}


def test_3_3_equality_is_identity() -> None:
    one = MemoryStorage()
    assert one == one
    assert one != MemoryStorage()
    assert len({one, MemoryStorage()}) == 2
    assert one != FileStorage("x")


def test_3_3_store_bytes_gives_the_location_and_the_metadata() -> None:
    assert MemoryStorage().store_bytes("a", b"x") == ("a", Metadata(md5=md5(b"x")))


@pytest.mark.parametrize("name", ["load_stream", "get_metadata", "delete", "size"])
def test_4_4_what_is_missing_is_so_for_callers_of_both_kinds(name: str) -> None:
    call = getattr(MemoryStorage(), name)
    with pytest.raises(KeyError) as caught:
        call("a")
    assert isinstance(caught.value, MissingExternalResourceError)
    assert isinstance(caught.value, ExternalResourceError)
    assert isinstance(caught.value.__cause__, KeyError)


def test_3_3_the_message_of_a_failed_deletion_is_that_of_gufe() -> None:
    with pytest.raises(MissingExternalResourceError) as caught:
        MemoryStorage().delete("a/b")
    assert str(caught.value) == "Unable to delete 'a/b': key does not exist"


def test_3_3_there_is_no_filename() -> None:
    assert MemoryStorage().get_filename("a") is None


def test_3_3_a_failed_store_leaves_no_key() -> None:
    storage = MemoryStorage()
    with pytest.raises(TypeError):
        storage.store_bytes("a", "text")  # type: ignore[arg-type]
    assert storage._data == {}


def test_4_9_what_is_kept_is_bytes() -> None:
    storage = MemoryStorage()
    storage.store_bytes("a", bytearray(b"x"))
    assert type(storage._data["a"]) is bytes


def test_3_3_a_name_may_be_above_another() -> None:
    storage = MemoryStorage()
    storage.store_bytes("a", b"x")
    storage.store_bytes("a/b", b"y")
    assert load(storage, "a") == b"x"
    assert load(storage, "a/b") == b"y"
