from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.context import acting_run
from homeostat.core.errors import NotFound
from homeostat.core.lineage_facts import record_read, record_write
from homeostat.lineage import Lineage


def names(graph: Lineage) -> list[str]:
    return [node.label if node.version is None else f"{node.label}@{node.version}" for node in graph.nodes]


def labelled(graph: Lineage) -> set[tuple[str, str]]:
    name = dict(zip([node.id for node in graph.nodes], names(graph), strict=True))
    return {(name[edge.source], name[edge.target]) for edge in graph.edges}


@pytest.fixture
def world(any_ws: hs.Workspace) -> hs.Workspace:
    """import → flights@3 → train (a pipeline of two steps) → delay@1 → report@1; cities@1 feeds something else."""
    steps = [
        ("import", "run", None, [], [("table", "flights", 3), ("table", "cities", 1)]),
        ("train", "pipeline", None, [], []),
        ("features", "step", "train", [("table", "flights", 3)], []),
        ("fit", "step", "train", [], [("model", "delay", 1)]),
        ("judge", "run", None, [("model", "delay", 1), ("table", "flights", 3)], [("report", "delay", 1)]),
        ("other", "run", None, [("table", "cities", 1)], [("model", "price", 1)]),
    ]
    for number, (name, kind, parent, reads, writes) in enumerate(steps):
        any_ws.tracking.create_run(id=name, name=name, kind=kind, parent_id=parent, start_ms=1000 + number)
        with acting_run(name):
            for asset in reads:
                record_read(any_ws, *asset)
            for asset in writes:
                record_write(any_ws, *asset)
    return any_ws


def test_both_ways_through_a_pipeline_as_a_whole(world: hs.Workspace):
    graph = world.lineage.of("model", "delay", 1)
    assert names(graph) == ["import", "flights@3", "train", "delay@1", "judge", "delay@1"]
    assert labelled(graph) == {
        ("import", "flights@3"),
        ("flights@3", "train"),
        ("train", "delay@1"),
        ("delay@1", "judge"),
        ("judge", "delay@1"),
    }
    assert {node.kind for node in graph.nodes} == {"run", "table", "model", "report"}
    assert [node.run_id for node in graph.nodes if node.kind == "run"] == ["import", "train", "judge"]


def test_one_way(world: hs.Workspace):
    assert names(world.lineage.of("model", "delay", 1, direction="up")) == ["import", "flights@3", "train", "delay@1"]
    assert names(world.lineage.of("model", "delay", "1", direction="down")) == ["delay@1", "judge", "delay@1"]
    assert names(world.lineage.of("table", "cities", 1, direction="down")) == ["cities@1", "other", "price@1"]


def test_from_a_run_or_one_of_its_steps(world: hs.Workspace):
    whole = world.lineage.of("run", "train")
    assert names(whole) == ["import", "flights@3", "train", "delay@1", "judge", "delay@1"]
    assert world.lineage.of("run", "fit") == whole
    alone = world.tracking.create_run(name="alone")
    assert names(world.lineage.of("run", alone.id)) == ["alone"]


def test_nothing_known_is_said(world: hs.Workspace):
    with pytest.raises(NotFound, match="nothing is recorded of model 'delay' version 9"):
        world.lineage.of("model", "delay", 9)
    with pytest.raises(NotFound, match="nothing is recorded of run 'nobody'"):
        world.lineage.of("run", "nobody")


def test_a_limit_is_told(world: hs.Workspace):
    for number in range(30):
        with acting_run(f"reader-{number}"):
            record_read(world, "table", "flights", 3)
            record_write(world, "table", "copy", number)
    assert not world.lineage.of("table", "flights", 3).truncated
    graph = world.lineage.of("table", "flights", 3, limit=10)
    assert graph.truncated and len(graph.nodes) < 60


def test_loops_end(any_ws: hs.Workspace):
    with acting_run("append"):
        record_read(any_ws, "table", "t", 1)
        record_write(any_ws, "table", "t", 1)
    assert len(any_ws.lineage.of("table", "t", 1).edges) == 2


facts = st.lists(
    st.tuples(st.sampled_from("rw"), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=25, unique=True
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(facts=facts)
def test_up_and_down_are_each_other_reversed(ws: hs.Workspace, facts: list[tuple[str, int, int]]):
    from homeostat.core.lineage_facts import table

    ws.db.write(lambda c: c.execute(table.delete()))
    for direction, run, version in facts:
        with acting_run(f"r{run}"):
            (record_read if direction == "r" else record_write)(ws, "table", "t", version)

    def reach(version: int, direction: str) -> set[str]:
        graph = ws.lineage.of("table", "t", version, direction=direction)
        return {node.id for node in graph.nodes}

    known = {version for _, _, version in facts}
    for a in known:
        for b in known:
            try:
                up = f"table:t@{b}" in reach(a, "up")
            except NotFound:
                up = a == b
            try:
                down = f"table:t@{a}" in reach(b, "down")
            except NotFound:
                down = a == b
            assert up == down
