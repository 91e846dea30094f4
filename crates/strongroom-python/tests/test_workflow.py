"""Units of a workflow."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import pytest

import strongroom
from strongroom import Handle, Storage, StorageManager, Store, Unit, UnitContext, run_dag
from strongroom.workflow import UnitFailedError


_NUMBERS = itertools.count()


@pytest.fixture
def shared() -> Store:
    return strongroom.create(f"memory://shared-{next(_NUMBERS)}")


def simulate(context: UnitContext) -> object:
    handle = context.shared.register("energy.csv")
    kept = context.permanent.register("frames")
    (context.scratch / "energy.csv").write_text("-1.5\n-1.7\n")
    (context.scratch / "frames").mkdir()
    (context.scratch / "frames/0.xyz").write_text("frame")
    (context.stdout / "log").write_text("fine")
    return {"energies": handle, "frames": kept, "inputs": context.inputs}


def average(context: UnitContext) -> float:
    text = context.load(context.results["simulate"]["energies"]).decode()
    energies = [float(line) for line in text.split()]
    return sum(energies) / len(energies)


def test_units_exchange_files_by_handles(storage: Storage, shared: Store, tmp_path: Path) -> None:
    units = [Unit("average", average, after=["simulate"]), Unit("simulate", simulate, inputs={"steps": 2})]
    result = run_dag("dag", units, shared=shared, permanent=storage, scratch_dir=tmp_path)
    assert result.is_ok and result.value("average") == -1.6
    simulated = result.units["simulate"]
    assert simulated.value["inputs"] == {"steps": 2}
    assert simulated.value["frames"] == Handle("permanent", "dag/simulate/frames")
    assert simulated.stdout == {"log": "fine"} and not simulated.reused
    (entry,) = simulated.permanent
    assert (entry.name, entry.size) == ("frames/0.xyz", 5)
    assert entry.digest == storage.digest("dag/simulate/frames/0.xyz")
    assert list(shared) == [], "it is cleared"
    assert list(tmp_path.rglob("*.csv")) == []


def test_a_result_that_is_there_is_used_again(storage: Storage, shared: Store, tmp_path: Path) -> None:
    runs = []

    def work(context: UnitContext) -> int:
        runs.append(context.attempt)
        return 7

    for expected in (False, True):
        result = run_dag("dag", [Unit("a", work, inputs=1)], shared=shared, permanent=storage, scratch_dir=tmp_path)
        assert result.value("a") == 7 and result.units["a"].reused is expected
    run_dag("dag", [Unit("a", work, inputs=2)], shared=shared, permanent=storage, scratch_dir=tmp_path)
    assert len(runs) == 2


def test_what_a_unit_raises_is_the_cause_and_its_files_are_the_attempts(shared: Store, store: Store, tmp_path: Path) -> None:
    def work(context: UnitContext) -> None:
        context.permanent.register("partial.txt")
        context.permanent.register("never.txt")
        (context.scratch / "partial.txt").write_text("half")
        raise KeyError("oh")

    units = [Unit("a", work), Unit("b", simulate, after=["a"])]
    with pytest.raises(UnitFailedError, match="never.txt was registered, but never written") as raised:
        run_dag("dag", units, shared=shared, permanent=store, scratch_dir=tmp_path)
    assert isinstance(raised.value.__cause__, KeyError)
    assert list(store) == ["dag/a.1/partial.txt"]
    result = run_dag("dag", units, shared=shared, permanent=store, scratch_dir=tmp_path, retries=2, raise_error=False)
    assert not result.is_ok and result.not_run == ["b"]
    failure = result.units["a"].failure
    assert failure is not None and failure.attempt == "dag/a.4" and isinstance(failure.exception, KeyError)
    assert [earlier.attempt for earlier in result.units["a"].earlier] == ["dag/a.2", "dag/a.3"]
    with pytest.raises(UnitFailedError):
        result.value("a")
    with pytest.raises(KeyError):
        result.value("b")


def test_a_result_is_what_json_knows(shared: Store, store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnitFailedError) as raised:
        run_dag("dag", [Unit("a", lambda _: {1, 2})], shared=shared, permanent=store, scratch_dir=tmp_path)
    assert "what JSON knows, and handles, not set" in str(raised.value)


def test_a_circle_is_refused(shared: Store, store: Store, tmp_path: Path) -> None:
    units = [Unit("a", average, after=["b"]), Unit("b", average, after=["a"])]
    with pytest.raises(ValueError):
        run_dag("dag", units, shared=shared, permanent=store, scratch_dir=tmp_path)


def test_units_run_beside_each_other(shared: Store, store: Store, tmp_path: Path) -> None:
    meeting = threading.Barrier(3, timeout=30)

    def work(_: UnitContext) -> bool:
        meeting.wait()
        return True

    units = [Unit(name, work) for name in "abc"]
    result = run_dag("dag", units, shared=shared, permanent=store, scratch_dir=tmp_path, parallel=3)
    assert result.is_ok


def test_a_manager_moves_what_is_registered(storage: Storage, tmp_path: Path) -> None:
    with StorageManager(tmp_path, storage, "dag", "unit") as manager:
        handle = manager.register("sub/a.txt")
        assert manager.register(tmp_path / "b.txt") == Handle("permanent", "dag/unit/b.txt")
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/a.txt").write_text("a")
        (tmp_path / "b.txt").write_text("b")
        assert "sub/a.txt" in manager and handle not in manager and "none" not in manager
        assert manager.registered == ["b.txt", "sub/a.txt"]
    assert sorted(storage) == ["dag/unit/b.txt", "dag/unit/sub/a.txt"]
    assert manager.load(handle) == manager.load(str(handle)) == b"a"
    with manager.load_stream(handle) as file, manager.path(handle) as path:
        assert file.read() == path.read_bytes() == b"a"
    assert (manager.namespace, manager.scratch_dir) == ("dag/unit", tmp_path)
    for outside in ("../x", "/etc/passwd"):
        with pytest.raises(ValueError):
            manager.register(outside)


def test_a_manager_transfers_all_or_nothing(store: Store, tmp_path: Path) -> None:
    manager = StorageManager(tmp_path, store, "dag", "unit")
    manager.register("a")
    manager.register("none")
    (tmp_path / "a").write_text("a")
    with pytest.raises(FileNotFoundError, match="none"):
        manager.transfer()
    assert list(store) == []
    with pytest.raises(ZeroDivisionError), StorageManager(tmp_path, store, "dag", "unit") as manager:
        manager.register("a")
        raise ZeroDivisionError
    assert list(store) == []
    (entry,) = manager.transfer_file("a")
    assert (str(entry.handle), entry.size) == ("dag/unit/a", 1)


def test_a_handle_survives_serialisation() -> None:
    handle = Handle("shared", "dag/unit/a")
    text = json.dumps(handle.to_dict())
    assert text == '{":container:": "shared", ":label:": "dag/unit/a"}'
    assert Handle.from_dict(json.loads(text)) == handle
    assert str(handle) == "dag/unit/a"


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("inf")]}, 2**64, [-(2**63) - 1], {"a": {7: 1}}], ids=repr)
def test_what_json_would_change_is_refused(shared: Store, store: Store, tmp_path: Path, value: object) -> None:
    with pytest.raises(UnitFailedError, match="a unit takes and gives"):
        run_dag("dag", [Unit("a", lambda _: value)], shared=shared, permanent=store, scratch_dir=tmp_path)
    with pytest.raises(ValueError, match="a unit takes and gives"):
        run_dag("dag", [Unit("a", average, inputs=value)], shared=shared, permanent=store, scratch_dir=tmp_path)
