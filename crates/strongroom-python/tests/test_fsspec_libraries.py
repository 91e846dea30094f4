"""Libraries that read and write through fsspec."""

from __future__ import annotations

import pytest

from strongroom import Store

pytest.importorskip("fsspec")

from strongroom.fsspec import StrongroomFileSystem  # noqa: E402


@pytest.fixture
def fs(store: Store) -> StrongroomFileSystem:
    """A file system on an empty store."""
    return StrongroomFileSystem(store=store)


def test_pandas_reads_and_writes_csv(store: Store) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"step": [0, 1], "energy": [-1.5, -1.25]})
    for name in ("energies.csv", "energies.csv.gz", "energies.csv.zip"):
        url = f"strongroom://campaign/run-1/{name}"
        frame.to_csv(url, index=False, storage_options={"store": store})
        pandas.testing.assert_frame_equal(pandas.read_csv(url, storage_options={"store": store}), frame)
    url = "strongroom://campaign/run-1/energies.csv"
    frame.to_csv(url, index=False, header=False, mode="a", storage_options={"store": store})
    assert len(pandas.read_csv(url, storage_options={"store": store})) == 4


def test_pandas_reads_and_writes_parquet(store: Store) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"step": [0, 1], "energy": [-1.5, -1.25]})
    url = "strongroom://campaign/run-1/energies.parquet"
    frame.to_parquet(url, storage_options={"store": store})
    pandas.testing.assert_frame_equal(pandas.read_parquet(url, storage_options={"store": store}), frame)
    only = pandas.read_parquet(url, columns=["energy"], storage_options={"store": store})
    assert list(only.columns) == ["energy"]


def test_pyarrow_reads_and_writes_datasets(fs: StrongroomFileSystem) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    dataset = pytest.importorskip("pyarrow.dataset")
    table = pyarrow.table({"run": ["a", "a", "b"], "energy": [1.0, 2.0, 3.0]})
    dataset.write_dataset(table, "campaign/table", filesystem=fs, format="parquet", partitioning=["run"])
    assert len(fs.find("campaign/table")) == 2
    read = dataset.dataset("campaign/table", filesystem=fs, format="parquet", partitioning=["run"])
    assert read.to_table().sort_by("energy")["energy"].to_pylist() == [1.0, 2.0, 3.0]
    options = {"existing_data_behavior": "delete_matching", "partitioning": ["run"]}
    dataset.write_dataset(table, "campaign/table", filesystem=fs, format="parquet", **options)
    assert dataset.dataset("campaign/table", filesystem=fs, format="parquet").count_rows() == 3


def test_zarr_writes_and_reads_arrays(store: Store) -> None:
    numpy = pytest.importorskip("numpy")
    zarr = pytest.importorskip("zarr", minversion="3")
    options = {"store": store}
    data = numpy.arange(10_000, dtype="f8").reshape(100, 100)
    root = zarr.open_group("strongroom://campaign/run-1/group.zarr", mode="w", storage_options=options)
    root.create_array("whole", data=data, chunks=(30, 30))
    root.create_array("sharded", data=data, chunks=(10, 10), shards=(50, 50))
    again = zarr.open_group("strongroom://campaign/run-1/group.zarr", mode="r", storage_options=options)
    assert sorted(name for name, _ in again.arrays()) == ["sharded", "whole"]
    for name in ("whole", "sharded"):
        assert (again[name][:] == data).all() and (again[name][7:13, 50] == data[7:13, 50]).all()
    del zarr.open_group("strongroom://campaign/run-1/group.zarr", mode="a", storage_options=options)["whole"]
    assert not any("whole" in location for location in store)


def test_zarr_takes_a_file_system(store: Store) -> None:
    numpy = pytest.importorskip("numpy")
    zarr = pytest.importorskip("zarr", minversion="3")
    fs = StrongroomFileSystem(store=store, asynchronous=True)
    target = zarr.storage.FsspecStore(fs, path="campaign/run-1/array.zarr")
    array = zarr.create_array(target, data=numpy.arange(100), chunks=(10,))
    array[5:15] = 0
    assert zarr.open_array(target, mode="r")[:20].tolist() == [0, 1, 2, 3, 4] + [0] * 10 + [15, 16, 17, 18, 19]


def test_xarray_writes_and_reads_datasets(store: Store) -> None:
    numpy = pytest.importorskip("numpy")
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr", minversion="3")
    data = xarray.Dataset({"energy": ("step", numpy.linspace(0, 1, 50))}, coords={"step": numpy.arange(50)})
    url, options = "strongroom://campaign/run-1/data.zarr", {"store": store}
    data.to_zarr(url, storage_options=options, consolidated=False)
    more = data.assign_coords(step=data.step + 50)
    more.to_zarr(url, storage_options=options, append_dim="step", consolidated=False)
    again = xarray.open_zarr(url, storage_options=options, consolidated=False, chunks=None)
    assert again.sizes["step"] == 100
    xarray.testing.assert_equal(again.isel(step=slice(0, 50)).load(), data)


def test_paths_of_universal_pathlib_are_locations(store: Store) -> None:
    upath = pytest.importorskip("upath")
    path = upath.UPath("strongroom://campaign/run-1", store=store) / "notes.txt"
    assert str(path) == "strongroom://campaign/run-1/notes.txt" and path.path == "campaign/run-1/notes.txt"
    assert not path.exists() and path.parent.name == "run-1"
    path.write_bytes(b"all is well")
    assert path.read_text() == "all is well" and path.exists() and path.is_file() and path.parent.is_dir()
    assert path.stat().st_size == 11 and path.stat().st_mtime > 0
    with path.with_name("more.txt").open("w") as file:
        file.write("more")
    assert sorted(other.name for other in path.parent.iterdir()) == ["more.txt", "notes.txt"]
    assert sorted(other.name for other in path.parent.glob("*.txt")) == ["more.txt", "notes.txt"]
    assert [str(other) for other in path.parent.parent.rglob("note*")] == [str(path)]
    path.touch()
    path.parent.mkdir(exist_ok=True, parents=True)
    moved = path.rename(path.with_name("moved.txt"))
    assert moved.read_bytes() == b"all is well" and not path.exists()
    moved.unlink()
    with pytest.raises(FileNotFoundError):
        moved.unlink()
    path.parent.rmdir()
    assert list(store) == []


def test_paths_of_universal_pathlib_can_be_digests(store: Store) -> None:
    upath = pytest.importorskip("upath")
    digest = store.store_bytes("campaign/x", b"by content").digest
    assert upath.UPath(f"strongroom://{digest}", store=store).read_bytes() == b"by content"
