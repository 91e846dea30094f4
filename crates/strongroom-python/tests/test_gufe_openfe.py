"""What openfe builds on storages works on ours unchanged: sections 2.7 and 3.6 of the description of gufe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gufe_openfe import (
    JSONMetadataStore,
    MetadataStore,
    PerFileJSONMetadataStore,
    ResultServer,
    Warehouse,
    Worker,
)
from gufe_storages import load, md5, storage

from strongroom.gufe import (
    BaseStorage,
    ChangedExternalResourceError,
    ContentStorage,
    FileStorage,
    MemoryStorage,
    Metadata,
    MissingExternalResourceError,
)

__all__ = ["storage"]


@pytest.fixture(params=[JSONMetadataStore, PerFileJSONMetadataStore])
def metadata(request: pytest.FixtureRequest, storage: BaseStorage) -> MetadataStore:
    """Each of the metadata stores, in each of our storages."""
    store: MetadataStore = request.param(storage)
    return store


@pytest.fixture
def server(storage: BaseStorage, metadata: MetadataStore) -> ResultServer:
    """A server over them."""
    return ResultServer(storage, metadata)


def test_2_7_metadata_is_a_mapping_that_is_there_again(metadata: MetadataStore) -> None:
    metadata.store_metadata("d/a", Metadata(md5="ab"))
    again = type(metadata)(metadata.external_store)
    assert dict(again) == dict(metadata) == {"d/a": Metadata(md5="ab")}
    assert len(again) == 1


def test_2_7_metadata_is_removed(metadata: MetadataStore) -> None:
    metadata.store_metadata("d/a", Metadata(md5="ab"))
    del metadata["d/a"]  # type: ignore[attr-defined]
    assert dict(type(metadata)(metadata.external_store)) == {}


def test_2_7_the_json_store_is_one_object(storage: BaseStorage) -> None:
    JSONMetadataStore(storage).store_metadata("d/a", Metadata(md5="ab"))
    assert json.loads(load(storage, "metadata.json")) == {"d/a": {"md5": "ab"}}


def test_2_7_the_store_per_file_is_one_object_for_each(storage: BaseStorage) -> None:
    PerFileJSONMetadataStore(storage).store_metadata("d/a", Metadata(md5="ab"))
    assert json.loads(load(storage, "metadata/d/a.json")) == {"path": "d/a", "metadata": {"md5": "ab"}}


def test_2_7_a_bad_metadata_file_has_changed(storage: BaseStorage) -> None:
    storage.store_bytes("metadata/a.json", b'{"path": "a"}')
    with pytest.raises(ChangedExternalResourceError, match="Bad metadata file: 'metadata/a.json'"):
        PerFileJSONMetadataStore(storage)


def test_2_7_what_is_stored_has_metadata(server: ResultServer, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"y")
    server.store_bytes("d/a", b"x")
    server.store_path("d/b", tmp_path / "source")
    assert dict(server.metadata_store) == {"d/a": Metadata(md5=md5(b"x")), "d/b": Metadata(md5=md5(b"y"))}
    assert sorted(server) == ["d/a", "d/b"]
    with server.load_stream("d/b") as stream:
        assert stream.read() == b"y"


def test_3_6_what_has_no_metadata_is_missing(server: ResultServer) -> None:
    server.external_store.store_bytes("a", b"x")
    with pytest.raises(MissingExternalResourceError, match="Metadata for 'a' not found"):
        server.validate("a")


def test_3_6_what_changed_is_an_error(server: ResultServer) -> None:
    server.store_bytes("a", b"x")
    server.external_store.store_bytes("a", b"y")
    with pytest.raises(ChangedExternalResourceError, match="^Metadata mismatch for a: this object may have changed."):
        server.load_stream("a")


def test_3_6_what_changed_may_be_a_warning(server: ResultServer) -> None:
    server.store_bytes("a", b"x")
    server.external_store.store_bytes("a", b"y")
    with pytest.warns(UserWarning, match="^Metadata mismatch for a"):
        stream = server.load_stream("a", allow_changed=True)
    with stream as opened:
        assert opened.read() == b"y"


def test_3_6_missing_files_are_found(server: ResultServer) -> None:
    for location in ("a", "b"):
        server.store_bytes(location, b"x")
    server.external_store.delete("b")
    assert server.find_missing_files() == ["b"]


def test_3_6_deleting_removes_metadata_and_then_data(server: ResultServer) -> None:
    server.store_bytes("a", b"x")
    server.delete("a")
    assert not server.external_store.exists("a")
    assert dict(server.metadata_store) == {}


def test_3_6_deleting_what_has_no_metadata_is_a_key_error_and_removes_nothing(server: ResultServer) -> None:
    server.external_store.store_bytes("a", b"x")
    with pytest.raises(KeyError):
        server.delete("a")
    assert server.external_store.exists("a")


def test_3_6_metadata_that_other_programs_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "metadata" / "d").mkdir(parents=True)
    (tmp_path / "metadata" / "d" / "a.json").write_text('{"path": "d/a", "metadata": {"md5": "ab"}}')
    (tmp_path / "metadata.json").write_text('{"d/b": {"md5": "cd"}}')
    assert dict(PerFileJSONMetadataStore(FileStorage(tmp_path))) == {"d/a": Metadata(md5="ab")}
    assert dict(JSONMetadataStore(FileStorage(tmp_path))) == {"d/b": Metadata(md5="cd")}


def test_3_6_a_result_store_in_memory_has_the_objects_of_a_dict() -> None:
    memory = MemoryStorage()
    memory._data = {"metadata.json": b'{"a": {"md5": "%s"}}' % md5(b"x").encode(), "a": b"x"}
    ResultServer(memory, JSONMetadataStore(memory)).validate("a")


def test_2_7_a_warehouse_keeps_flat_keys(storage: BaseStorage, tmp_path: Path) -> None:
    warehouse = Warehouse({"setup": storage, "result": MemoryStorage()})
    key = f"ProtocolDAG-{'0a' * 16}"
    assert not warehouse.exists(key)
    with pytest.raises(ValueError, match="no store"):
        warehouse.store_for(key)
    for value in ({"units": 1}, {"units": 2}):
        warehouse.store("setup", key, value)
    warehouse.store("setup", f"Transformation-{'1b' * 16}", {})
    assert warehouse.load(key) == {"units": 1}
    assert warehouse.store_for(key) is storage
    assert warehouse.keys("setup", "ProtocolDAG-") == [key]


@pytest.mark.parametrize("options", [{}, {"exist_ok": False}], ids=["generation A", "generation C"])
def test_2_7_a_worker_takes_plain_files_and_writes_into_their_folder(tmp_path: Path, options: dict[str, bool]) -> None:
    shared = FileStorage(tmp_path / "shared", **options)
    Worker(shared).work("Unit-1")
    assert list(shared) == ["protocol_unit_results/Unit-1"]
    assert load(shared, "protocol_unit_results/Unit-1") == b"index"


def test_2_7_a_worker_refuses_what_is_no_folder(tmp_path: Path) -> None:
    for other in (MemoryStorage(), ContentStorage(tmp_path / "store")):
        with pytest.raises(TypeError):
            Worker(other)


def test_3_6_validation_may_read_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = ContentStorage(tmp_path / "store", native_digest=True)
    server = ResultServer(storage, PerFileJSONMetadataStore(storage))
    server.store_bytes("d/a", b"x")
    monkeypatch.setattr(storage, "_load_stream", None)
    server.validate("d/a")
