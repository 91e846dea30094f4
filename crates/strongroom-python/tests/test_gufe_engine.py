"""An engine of gufe on our storages: sections 2.6 and 3.5 of its description, and its defects 16, 20, 23 and 25."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest
from gufe_engine import Context, Dag, ExecutionInterrupt, Unit, execute_DAG
from gufe_storages import MAKERS, load

from strongroom.gufe import BaseStorage, ContentStorage, FileStorage, MemoryStorage

DAG, FIRST, SECOND = "ProtocolDAG-0a1b", "Setup-2c3d", "Simulate-4e5f"


@pytest.fixture(params=itertools.product(sorted(MAKERS), repeat=2), ids="-".join)
def storages(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[BaseStorage, BaseStorage]:
    """Any of the three as shared and any as permanent storage."""
    shared, permanent = request.param
    return MAKERS[shared](tmp_path / "shared"), MAKERS[permanent](tmp_path / "permanent")


@pytest.fixture
def options(storages: tuple[BaseStorage, BaseStorage], tmp_path: Path) -> dict[str, Any]:
    """What every run needs."""
    (tmp_path / "scratch").mkdir()
    return {"shared_storage": storages[0], "perm_storage": storages[1], "scratch_basedir": tmp_path / "scratch"}


def set_up(context: Context) -> dict[str, Any]:
    handle = context.shared.register("system.xml")
    (context.scratch / "system.xml").write_bytes(b"<system/>")
    return {"system": handle}


def simulate(context: Context, **inputs: Any) -> dict[str, Any]:
    system = context.shared.load(inputs[FIRST]["system"])
    handle = context.permanent.register(context.scratch / "traj" / "0.dcd")
    (context.scratch / "traj").mkdir()
    (context.scratch / "traj" / "0.dcd").write_bytes(system * 2)
    return {"trajectory": handle}


CAMPAIGN = Dag(DAG, [Unit(FIRST, set_up), Unit(SECOND, simulate, after=(FIRST,))])


def failing(context: Context) -> dict[str, Any]:
    context.shared.register("a")
    (context.scratch / "a").write_bytes(b"x")
    raise ValueError("unphysical", 7)


def test_3_5_units_share_files_and_leave_results(options: dict[str, Any]) -> None:
    results = execute_DAG(CAMPAIGN, **options)
    assert [result.ok for result in results] == [True, True]
    handle = results[1].outputs["trajectory"]
    assert handle == f"{DAG}/{SECOND}/traj/0.dcd"
    assert load(options["perm_storage"], handle) == b"<system/><system/>"
    assert list(options["perm_storage"]) == [handle]


def test_4_20_shared_storage_is_cleared_at_the_end(options: dict[str, Any]) -> None:
    options["shared_storage"].store_bytes("another/dag", b"")
    execute_DAG(CAMPAIGN, **options)
    assert list(options["shared_storage"]) == ["another/dag"]


def test_3_5_with_keep_shared_it_is_not(options: dict[str, Any]) -> None:
    results = execute_DAG(CAMPAIGN, keep_shared=True, **options)
    assert options["shared_storage"].exists(results[0].outputs["system"])
    assert list(options["shared_storage"]) == [f"{DAG}/{FIRST}/system.xml"]


def test_4_20_nothing_is_lost_where_shared_is_permanent(
    storages: tuple[BaseStorage, BaseStorage], tmp_path: Path
) -> None:
    for storage in storages:
        (tmp_path / "s").mkdir(exist_ok=True)
        execute_DAG(CAMPAIGN, shared_storage=storage, perm_storage=storage, scratch_basedir=tmp_path / "s")
        assert sorted(storage) == [f"{DAG}/{FIRST}/system.xml", f"{DAG}/{SECOND}/traj/0.dcd"]


def test_3_5_scratch_is_removed(options: dict[str, Any]) -> None:
    execute_DAG(CAMPAIGN, **options)
    assert list(options["scratch_basedir"].iterdir()) == []


def test_3_5_with_keep_scratch_it_stays(options: dict[str, Any]) -> None:
    execute_DAG(CAMPAIGN, keep_scratch=True, **options)
    assert sorted(path.name for path in options["scratch_basedir"].iterdir()) == [
        f"scratch_{FIRST}_attempt_0",
        f"scratch_{SECOND}_attempt_0",
    ]


def test_3_5_a_failure_is_raised(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unphysical"):
        execute_DAG(Dag(DAG, [Unit(FIRST, failing)]), **options)
    assert list(options["scratch_basedir"].iterdir()) == []


def test_3_5_a_failure_may_be_a_result_and_ends_the_dag(options: dict[str, Any]) -> None:
    dag = Dag(DAG, [Unit(FIRST, failing), Unit(SECOND, simulate, after=(FIRST,))])
    results = execute_DAG(dag, raise_error=False, n_retries=2, **options)
    assert [result.exception for result in results] == [("ValueError", ("unphysical", 7))] * 3
    assert "ValueError" in (results[0].traceback or "")


def test_3_5_a_unit_is_tried_again(options: dict[str, Any]) -> None:
    tries = []

    def unstable(context: Context) -> dict[str, Any]:
        tries.append(context.scratch.name)
        handle = context.permanent.register("a")
        (context.scratch / "a").write_bytes(str(len(tries)).encode())
        if len(tries) < 3:
            raise ValueError(len(tries))
        return {"a": handle}

    results = execute_DAG(Dag(DAG, [Unit(FIRST, unstable)]), n_retries=5, **options)
    assert [result.ok for result in results] == [False, False, True]
    assert tries == [f"scratch_{FIRST}_attempt_{attempt}" for attempt in range(3)]
    assert load(options["perm_storage"], results[-1].outputs["a"]) == b"3"


def test_3_5_a_negative_number_of_retries_is_a_value_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="negative"):
        execute_DAG(CAMPAIGN, n_retries=-1, **options)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ExecutionInterrupt])
def test_3_5_an_interrupt_is_always_raised(options: dict[str, Any], interrupt: type[BaseException]) -> None:
    def interrupted(context: Context) -> dict[str, Any]:
        raise interrupt

    with pytest.raises(interrupt):
        execute_DAG(Dag(DAG, [Unit(FIRST, interrupted)]), raise_error=False, n_retries=3, **options)
    assert list(options["scratch_basedir"].iterdir()) == []


def test_3_5_output_is_captured_and_its_folders_are_removed(options: dict[str, Any], tmp_path: Path) -> None:
    def talking(context: Context) -> dict[str, Any]:
        assert context.stderr is not None and context.stdout is not None
        (context.stderr / "log").write_bytes(b"warning")
        (context.stdout / "log").write_bytes(b"progress")
        return {}

    for name in ("stderr", "stdout"):
        (tmp_path / name).mkdir()
        options[f"{name}_basedir"] = tmp_path / name
    (result,) = execute_DAG(Dag(DAG, [Unit(FIRST, talking)]), **options)
    assert (result.stderr, result.stdout) == ({"log": b"warning"}, {"log": b"progress"})
    assert [*(tmp_path / "stderr").iterdir(), *(tmp_path / "stdout").iterdir()] == []


def test_2_6_a_context_has_scratch_shared_and_permanent(
    storages: tuple[BaseStorage, BaseStorage], tmp_path: Path
) -> None:
    context = Context("dag", "unit", tmp_path, *storages)
    assert context.scratch == tmp_path
    assert (context.shared.storage, context.permanent.storage) == storages
    assert context.shared.namespace == context.permanent.namespace == "dag/unit"
    assert context.stderr is None and context.stdout is None


def test_3_5_leaving_a_context_transfers_what_is_shared_and_then_what_is_permanent(tmp_path: Path) -> None:
    stored = []

    class Telling(MemoryStorage):
        def store_paths(self, files):  # type: ignore[no-untyped-def]
            stored.append(sorted(files))
            return super().store_paths(files)

    with Context("dag", "unit", tmp_path, Telling(), Telling()) as context:
        for manager, name in ((context.permanent, "p"), (context.shared, "s")):
            manager.register(name)
            (tmp_path / name).write_bytes(b"x")
    assert stored == [["dag/unit/s"], ["dag/unit/p"]]


def test_3_5_a_context_transfers_although_an_exception_is_under_way_and_lets_it_go_on(
    storages: tuple[BaseStorage, BaseStorage], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ZeroDivisionError), Context("dag", "unit", tmp_path, *storages, stdout=tmp_path / "out") as context:
        context.shared.register("a")
        context.permanent.register("a")
        (tmp_path / "a").write_bytes(b"x")
        1 / 0  # noqa: B018
    assert [list(storage) for storage in storages] == [["dag/unit/a"], ["dag/unit/a"]]
    assert not (tmp_path / "out").exists()


def test_3_5_what_is_shared_can_be_read_at_once_by_another(tmp_path: Path) -> None:
    for kind in (FileStorage, ContentStorage):
        writer, reader = kind(tmp_path / kind.__name__), kind(tmp_path / kind.__name__)
        for number in range(20):
            assert not reader.exists(f"dag/unit/{number}")
            writer.store_bytes(f"dag/unit/{number}", b"x")
            assert reader.exists(f"dag/unit/{number}")
            assert load(reader, f"dag/unit/{number}") == b"x"


def test_4_25_a_reader_sees_all_of_a_transfer_or_nothing(tmp_path: Path) -> None:
    storage = ContentStorage(tmp_path / "store")
    reader = ContentStorage(tmp_path / "store")
    counts: set[int] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            counts.add(len(list(reader.native.snapshot("dag/unit"))))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        with Context("dag", "unit", tmp_path, MemoryStorage(), storage) as context:
            for number in range(50):
                context.permanent.register(str(number))
                (tmp_path / str(number)).write_bytes(b"x")
    finally:
        over.set()
        thread.join()
    counts.add(len(list(reader.native.snapshot("dag/unit"))))
    assert counts == {0, 50}
