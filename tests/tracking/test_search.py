from __future__ import annotations

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput


@pytest.fixture
def runs(any_ws: hs.Workspace) -> hs.Workspace:
    for number in range(23):
        run = any_ws.tracking.create_run(
            "odd" if number % 2 else "even", name=f"run {number}", id=f"r{number:02}", start_ms=1000 + number // 3,
            params={"depth": number % 12} if number % 5 else {}, tags={"note": f"100% of {number}"},
            kind="trial" if number < 4 else "run",
        )  # fmt: skip
        if number % 4:
            value = float("nan") if number == 22 else (number * 7 % 10) / 10
            any_ws.tracking.log_metrics(run.id, {"auc": value})
    any_ws.tracking.finish_run("r00")
    return any_ws


def all_pages(ws: hs.Workspace, limit: int, **filters: object) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = ws.tracking.search_runs(limit=limit, after=after, **filters)
        found += [run.id for run in page.runs]
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize(
    "order_by", ["-start", "start", "name", "-metrics.auc", "metrics.auc", "params.depth", "-tags.note", "end"]
)
def test_pages_of_any_size_are_the_whole_search(runs: hs.Workspace, order_by: str):
    whole = all_pages(runs, 1000, order_by=order_by)
    assert sorted(whole) == [f"r{number:02}" for number in range(23)]
    for limit in (1, 2, 7, 23):
        assert all_pages(runs, limit, order_by=order_by) == whole


def test_orders(runs: hs.Workspace):
    newest = [run.id for run in runs.tracking.search_runs(limit=3).runs]
    assert newest == ["r22", "r21", "r20"]
    by_auc = runs.tracking.search_runs(order_by="-metrics.auc").runs
    values = [run.metrics.get("auc") for run in by_auc]
    known = [value for value in values if value is not None and value == value]
    assert known == sorted(known, reverse=True)
    assert all(value is None or value != value for value in values[len(known) :])  # without a value: last
    depths = [run.params["depth"] for run in runs.tracking.search_runs(order_by="params.depth").runs if run.params]
    assert depths == sorted(depths, key=int)  # as numbers: 9 before 10


def test_filters(runs: hs.Workspace):
    assert len(runs.tracking.search_runs("odd").runs) == 11
    assert len(runs.tracking.search_runs(kind="trial", experiment="odd").runs) == 2
    assert [run.id for run in runs.tracking.search_runs(status="finished").runs] == ["r00"]
    assert [run.id for run in runs.tracking.search_runs(query='"RUN 21"').runs] == ["r21"]
    assert [run.id for run in runs.tracking.search_runs(query='"0% of 17"').runs] == ["r17"]
    assert runs.tracking.search_runs(query="1_0%").runs == []  # no wildcards
    assert [e.name for e in runs.tracking.list_experiments()] == ["even", "odd"]


def test_what_cannot_be_searched_is_said(runs: hs.Workspace):
    with pytest.raises(InvalidInput, match="run.metrics are several"):
        runs.tracking.search_runs(order_by="metrics")
    with pytest.raises(InvalidInput, match="limit=0"):
        runs.tracking.search_runs(limit=0)
    token = runs.tracking.search_runs(limit=2).next
    with pytest.raises(InvalidInput, match="another order"):
        runs.tracking.search_runs(limit=2, order_by="name", after=token)
    for bad in ("x", "bm90", "W10"):
        with pytest.raises(InvalidInput, match="is not a page of this search"):
            runs.tracking.search_runs(after=bad)
