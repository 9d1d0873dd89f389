"""MLflow's search of runs: its language and ours on top of it, orders and pages; `bench/tracking` asks both servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import homeostat as hs
from homeostat.core.foreign import ForeignError
from homeostat.core.foreign_search import parse_filter, parse_order
from homeostat.tracking.mlflow.search_sql import RUNS
from tests.server.running import Running
from tests.tracking.test_mlflow import Client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with hs.open(tmp_path_factory.mktemp("search") / "home") as ws:
        running = Running(ws)
        fill(Client(running))
        yield Client(running)
        running.stop()


def fill(client: Client) -> None:
    for number in range(12):
        run = client.run(run_name=f"r{number:02}", start_time=number, user_id="ann" if number % 2 else "bob")
        metrics = [{"key": "m", "value": "NaN" if number == 9 else float(number % 5), "timestamp": 1}]
        metrics += [{"key": "odd name", "value": number / 2, "timestamp": 1}] if number < 4 else []
        client.ok("runs/log-batch", {
            "run_id": run, "metrics": metrics if number < 10 else [],
            "params": [{"key": "p", "value": f"A{number % 3}"}] if number % 4 else [],
            "tags": [{"key": "a.b", "value": f"x_{number % 2}%"}],
        })  # fmt: skip
        if number == 3:
            used = {"name": "d", "digest": "1", "source_type": "s", "source": "s"}
            context = [{"key": "mlflow.data.context", "value": "train"}]
            client.ok("runs/log-inputs", {"run_id": run, "datasets": [{"dataset": used, "tags": context}]})
            client.ok("runs/update", {"run_id": run, "status": "FINISHED", "end_time": 50})


def found(client: Client, filter_: str = "", order: list[str] | None = None, limit: int = 1000) -> list[int]:
    """The numbers of the runs found, over all pages."""
    names: list[int] = []
    token = ""
    while True:
        body = {"experiment_ids": ["0"], "filter": filter_, "order_by": order or [], "max_results": limit}
        answer = client.ok("runs/search", body | {"page_token": token})
        names += [int(run["info"]["run_name"][1:]) for run in answer.get("runs", [])]
        token = answer.get("next_page_token", "")
        if not token:
            return names


FILTERS = {
    "metrics.m > 3": [4],
    "metrics.m >= 3 and metric.m < 4": [8, 3],
    "metrics.m != 0": [9, 8, 7, 6, 4, 3, 2, 1],  # NaN is not 0, what is missing is not compared
    "metrics.`odd name` <= 0.5": [1, 0],
    'metrics."odd name" = 1.5': [3],
    "params.p = 'A0'": [9, 6, 3],
    "params.p LIKE 'a%'": [],
    "params.p ILIKE 'a2'": [11, 5, 2],
    "parameter.p IS NULL": [8, 4, 0],
    "tags.a.b = 'x_1%' and attributes.start_time < 4": [3, 1],
    "tags.\"a.b\" LIKE 'x__%' and user_id = 'bob' and start_time > 8": [10],
    "run_name LIKE 'r_1'": [11, 1],
    "tags.mlflow.runName = 'r05'": [5],
    "status = 'FINISHED'": [3],
    "attribute.end_time > 10": [3],
    "dataset.name = 'd' and datasets.context IN ('train', 'test')": [3],
    "dataset.context != 'train'": [],
    "metrics.m = 4 or metrics.m = 3": [8, 4, 3],
    "not (metrics.m < 4) and start_time < 5": [4],
    "(params.p = 'A1' or params.p = 'A2') and not user_id = 'ann'": [10, 2],
    "": list(range(11, -1, -1)),
}


@pytest.mark.parametrize("filter_", FILTERS)
def test_filters(client: Client, filter_: str):
    assert found(client, filter_) == FILTERS[filter_]


ORDERS = {
    ("metrics.m DESC",): [4, 8, 3, 7, 2, 6, 1, 5, 0, 9, 11, 10],
    ("metrics.m",): [5, 0, 6, 1, 7, 2, 8, 3, 4, 9, 11, 10],
    ("params.p DESC", "start_time ASC"): [2, 5, 11, 1, 7, 10, 3, 6, 9, 0, 4, 8],
    ("attributes.end_time",): [3, 11, 10, 9, 8, 7, 6, 5, 4, 2, 1, 0],
    ("user_id", "metrics.m DESC"): [3, 7, 1, 5, 9, 11, 4, 8, 2, 6, 0, 10],
}


@pytest.mark.parametrize("order", ORDERS)
def test_orders_and_pages_of_any_size(client: Client, order: tuple[str, ...]):
    for limit in (1000, 12, 5, 1):
        assert found(client, order=list(order), limit=limit) == ORDERS[order]
    assert found(client, "metrics.m > 0", list(order), 2) == [n for n in ORDERS[order] if n < 9 and n % 5]


def test_deleted_runs_are_found_when_asked_for(client: Client):
    run = client.run(run_name="r99")
    client.ok("runs/delete", {"run_id": run})
    assert 99 not in found(client)
    gone = client.ok("runs/search", {"experiment_ids": ["0"], "run_view_type": "DELETED_ONLY"})["runs"]
    assert [entry["info"]["run_id"] for entry in gone] == [run]
    assert (
        client.ok("runs/search", {"experiment_ids": []}) == client.ok("runs/search", {"experiment_ids": ["77"]}) == {}
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"filter": "metrics.m > 'x'"}, "Expected numeric value type for metric. Found 'x'"),
        ({"filter": "params.p = 3"}, "Expected a quoted string value for parameter"),
        ({"filter": "params.p > '3'"}, "Invalid comparator '>'"),
        ({"filter": "thing.p = '3'"}, "Invalid entity type 'thing'"),
        ({"filter": "attribute.p = '3'"}, "Invalid attribute key 'p' specified"),
        ({"filter": "metrics.m > 1 nonsense"}, "Invalid clause(s) in filter string: 'nonsense'"),
        ({"filter": "metrics.m IS NULL"}, "IS NULL / IS NOT NULL is only supported for tags and params"),
        ({"filter": "((((" * 20 + "metrics.m > 1"}, "nested deeper"),
        ({"filter": " and ".join(["metrics.m > 1"] * 201)}, "more than 200 comparisons"),
        ({"filter": "metrics.m > 1; drop table tracking_run"}, "Invalid clause(s) in filter string: '; drop table"),
        ({"order_by": ["metrics.m", "metrics.m DESC"]}, "`order_by` contains duplicate fields"),
        ({"order_by": ["metrics.m SIDEWAYS"]}, "Invalid ordering key"),
        ({"page_token": "x"}, "Invalid page token"),
        ({"max_results": 0}, "Invalid value 0 for parameter 'max_results'"),
        ({"max_results": 50001}, "at most 50000"),
        ({"experiment_ids": ["x"]}, "Invalid experiment ID 'x'"),
        ({"run_view_type": "SOME"}, "run_view_type"),
    ],
)
def test_what_cannot_be_searched_is_said(client: Client, body: dict[str, object], message: str):
    assert message in client.refused("runs/search", {"experiment_ids": ["0"], **body})


def test_a_token_belongs_to_its_search(client: Client):
    body = {"experiment_ids": ["0"], "max_results": 2, "order_by": ["metrics.m"]}
    token = client.ok("runs/search", body)["next_page_token"]
    assert "another search" in client.refused(
        "runs/search", {**body, "order_by": ["metrics.m DESC"], "page_token": token}
    )


def test_names_may_be_quoted():
    for name in ('metrics."a b"', "metrics.`a b`", "`metric`.`a b`"):
        assert parse_filter(f"{name} = 1", RUNS)[:2] == ("metric", "a b")
    assert parse_filter('"run name" = "it\'s"', RUNS) == ("attribute", "run_name", "=", "it's")
    assert parse_order("`Run Name` desc", RUNS) == ("attribute", "run_name", False)
    with pytest.raises(ForeignError, match="ends early"):
        parse_filter("metrics.a >", RUNS)
