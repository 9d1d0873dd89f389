"""What is remembered of runs between searches: never older than what is committed, and what the database says."""

from __future__ import annotations

import base64
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.foreign import Args, ForeignError
from homeostat.core.statements import change
from homeostat.tracking import explore
from homeostat.tracking.mlflow import ordered
from homeostat.tracking.mlflow import search as mlflow
from homeostat.tracking.model import Metric
from homeostat.tracking.purge import purge
from homeostat.tracking.query import remembered
from homeostat.tracking.query.loading import values_of
from homeostat.tracking.query.parsing import parse_value
from homeostat.tracking.query.remembered import Columns
from homeostat.tracking.texts import refresh

LOSS, OPT = parse_value("run.metrics.loss"), parse_value("run.tags.opt")
ORDERS = (
    "-run.metrics.loss.max",
    "run.metrics.loss.min",
    "run.params.opt",
    "-run.params.opt",
    "run.tags.opt",
    "run.end",
)


# Of a name, a parameter, a tag, a state, an experiment, and with another condition.
WORDS = ("x", "X a", "fail", "defau", "nowhere", '"c" "y"')
MLFLOWS = (
    ("metrics.loss < 1.5 and params.opt = 'a'", "metrics.auc DESC"),
    ("metrics.loss >= 0.5 and tags.opt != 'b'", "metrics.loss ASC"),
    ("tags.opt = 'a' and metrics.auc <= 0.5", "params.opt ASC"),
    ("metrics.loss < 1.5", "metrics.loss DESC"),
    ("metrics.loss > -1", "metrics.auc ASC"),
    ("", "metrics.auc DESC"),
)


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remembered, "_MANY", 0)
    monkeypatch.setattr(explore, "_MANY", 0)
    monkeypatch.setattr(ordered, "_FIRST", 2)
    monkeypatch.setattr(ordered, "_MOST", 8)


def answers(ws: hs.Workspace) -> list[Any]:
    """What searches say that use what is remembered."""
    query = "run.metrics.loss - run.metrics.auc >= 0 or run.params.opt == 'a'"
    found: list[Any] = [
        ws.tracking.group_runs(by=["run.params.opt", "run.tags.opt", "run.status"], metrics=["run.metrics.loss"]),
        ws.tracking.group_runs(query, by=["run.name"], metrics=["run.metrics.auc.max", "run.duration"]),
        ws.tracking.run_facets(query=query),
        ws.tracking.run_facets(query="run.metrics.loss < 1 and run.params.opt == 'a' and not run.tags.opt == 'b'"),
        *(of_mlflow(ws, filter_, order) for filter_, order in MLFLOWS),
    ]
    for words in WORDS:
        found += [ws.tracking.run_facets(query=words), ws.tracking.group_runs(words, by=["run.name"])]
    both = "run.metrics.loss < 1.5 and run.params.opt == 'a'"
    asked = [(f"{query} or run.kind == 'run'", order) for order in ORDERS]
    asked += [(words, order) for words in WORDS for order in ("-run.start", "run.metrics.loss", "run.params.opt")]
    for query, order in [*asked, *((both, order) for order in ("-run.start", "run.metrics.loss", "-run.params.opt"))]:
        after, ids = None, list[str]()
        while True:
            page = ws.tracking.search_runs(query=query, order_by=order, limit=3, after=after)
            ids += [run.id for run in page.runs]
            if (after := page.next) is None:
                break
        found.append(ids)
    return found


def of_mlflow(ws: hs.Workspace, filter_: str, order: str) -> list[str]:
    """The runs that MLflow's search gives, page by page."""
    ids, token = list[str](), ""
    while True:
        asked = {"experiment_ids": ["0"], "filter": filter_, "order_by": [order], "max_results": 3}
        page = msgspec.json.decode(mlflow.search(ws, Args(asked | {"page_token": token})))
        ids += [run["info"]["run_id"] for run in page.get("runs", [])]
        if not (token := page.get("next_page_token", "")):
            return ids


def of_database(ws: hs.Workspace) -> list[Any]:
    """The same, of which nothing is remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remembered, "_MANY", 10**9)
        return answers(ws)


def _changes(ws: hs.Workspace, chance: random.Random) -> list[Callable[[str], object]]:
    value, text = chance.choice((0.5, 1.5, -1.0, float("nan"), float("inf"))), chance.choice("abc")
    points = [Metric(key=key, value=value, step=chance.randint(0, 3), at_ms=1) for key in ("loss", "auc")]
    return [
        lambda id: ws.tracking.log_batch(id, points[: chance.randint(1, 2)]),
        lambda id: ws.tracking.log_metrics(id, {"loss": value}),
        lambda id: ws.tracking.set_tags(id, {"opt": text}),
        lambda id: ws.tracking.finish_run(id, "failed", end_ms=chance.randint(1, 5)),
        lambda id: ws.tracking.log_batch(id, params={f"{text}{chance.random()}": text}),
        lambda id: ws.tracking.delete_run(id),
        lambda id: ws.tracking.restore_run(id),
        lambda id: ws.tracking.create_run(
            params={"opt": text} if chance.random() < 0.7 else {}, start_ms=1, name=chance.choice("xyz")
        ),
    ]


def test_every_change_shows_in_the_next_answer(any_ws: hs.Workspace):
    chance = random.Random(1)
    ids = [any_ws.tracking.create_run(params={"opt": "a"}, start_ms=1, name="x").id for _ in range(6)]
    for _ in range(25):
        for _ in range(chance.randint(1, 3)):
            chance.choice(_changes(any_ws, chance))(chance.choice(ids))
        assert repr(answers(any_ws)) == repr(of_database(any_ws))


def test_a_search_that_began_before_a_change_does_not_see_it(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run(tags={"opt": "a"})
    any_ws.tracking.log_metrics(run.id, {"loss": 1.0})

    def values(c: Any) -> tuple[float, str]:
        columns = Columns.of(any_ws, c)
        assert columns is not None
        texts = columns.texts(OPT)
        return columns.numbers(LOSS)[1], texts.texts[texts.codes[1]]

    def change_and_look() -> None:
        any_ws.tracking.log_metrics(run.id, {"loss": 2.0}, step=1)
        any_ws.tracking.set_tags(run.id, {"opt": "b"})
        any_ws.tracking.create_run(tags={"opt": "c"})
        assert any_ws.db.read(values) == (2.0, "b")

    def look_meanwhile(c: Any) -> tuple[float, str]:
        columns = Columns.of(any_ws, c)
        other = threading.Thread(target=change_and_look)
        other.start()
        other.join()
        assert columns is not None
        return values(c)

    assert any_ws.db.read(values) == (1.0, "a")
    assert any_ws.db.read(look_meanwhile) == (1.0, "a")
    assert any_ws.db.read(values) == (2.0, "b")


def test_nothing_is_kept_of_what_is_taken_back(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run(tags={"opt": "a"})
    before = answers(any_ws)

    def change(c: Any) -> None:
        any_ws.tracking.set_tags(run.id, {"opt": "b"})
        assert Columns.of(any_ws, c) is None
        assert [group.by["run.tags.opt"] for group in any_ws.tracking.group_runs(by=["run.tags.opt"])] == ["b"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        any_ws.db.write(change)
    assert repr(answers(any_ws)) == repr(before)


def test_what_postgresql_sends_packed_is_what_it_has(any_ws: hs.Workspace):
    texts = ["a", 'it"s', "back\\slash", "Ärger\n\x1f", "", "\U0001f98a"]
    numbers = [0.1, -2.5, 1e308, 5e-324, float("inf"), float("-inf"), float("nan")]
    for number in range(max(len(texts), len(numbers))):
        run = any_ws.tracking.create_run(tags={"opt": texts[number]} if number < len(texts) else {})
        any_ws.tracking.log_metrics(run.id, {"loss": numbers[number]})

    def read(c: Any) -> tuple[list[Any], list[Any], list[Any]]:
        found = [sorted(values_of(c, value, 7)) for value in (OPT, LOSS)]
        return found[0], found[1], sorted(values_of(c, LOSS, 5, {2, 4, 6}))

    of_tags, of_metrics, some = any_ws.db.read(read)
    assert of_tags == list(enumerate(texts, 1))
    assert repr(of_metrics) == repr(list(enumerate(numbers[:-1], 1)))  # a NaN is none
    assert some == [(2, -2.5), (4, 5e-324)]


def test_words_are_remembered_on_postgresql_and_never_older_than_what_is_committed(
    any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch
):
    def found(word: str) -> list[str]:
        return [run.id for run in any_ws.tracking.search_runs(query=word, order_by="run.id", columns=[]).runs]

    for number in range(4):
        any_ws.tracking.create_run(id=f"r{number}", name="fox" if number % 2 else "owl", tags={"team": "red"})
    while any_ws.db.write(lambda c: refresh(c, 2000)):
        pass
    assert [found("fox") for _ in range(2)] == [["r1", "r3"]] * 2
    if any_ws.db.url.startswith("postgresql"):
        any_ws.db.write(lambda c: change(c, "delete from tracking_text"))  # of which nobody is told
        assert found("fox") == ["r1", "r3"]
        assert [found("owl"), found("red")] == [["r0", "r2"], ["r0", "r1", "r2", "r3"]]
    any_ws.db.write(lambda c: change(c, "update tracking_run set name = 'gull' where id = 'r1'"))
    any_ws.tracking.set_tags("r2", {"note": "a fox"})
    any_ws.tracking.create_run(id="r4", params={"a": "the FOX"})
    any_ws.tracking.delete_run("r3")
    purge(any_ws, now_ms() + 1, set(), really=True)
    assert found("fox") == ["r2", "r4"]
    monkeypatch.setattr(remembered, "_BUDGET", 10)  # nothing is kept from here on
    any_ws.db.write(lambda c: change(c, "update tracking_run set name = 'fox' where id = 'r1'"))
    assert [found("fox") for _ in range(3)] == [["r1", "r2", "r4"]] * 3


def test_words_too_many_to_be_remembered_are_found_in_the_database(
    any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch
):
    for number in range(3):
        any_ws.tracking.create_run(id=f"r{number}", name="fox" * 100)
    monkeypatch.setattr(remembered, "_MOST_WORDS", 1000)
    for _ in range(3):
        assert any_ws.tracking.run_facets(query="fox").runs == 3
        assert any_ws.tracking.run_facets(query="owl").runs == 0
    memory = remembered._memories[any_ws.db]
    assert memory.too_wordy == any_ws.db.url.startswith("postgresql")
    assert not remembered.remembers_words(any_ws)


def test_what_is_used_least_goes_first(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    for number in range(9):
        ws.tracking.create_run(tags={key: f"{key}{number}" for key in "abc"})
    monkeypatch.setattr(remembered, "_BUDGET", 3000)
    for keys in ("a", "b", "a", "c", "b"):
        groups = ws.tracking.group_runs(by=[f"run.tags.{keys}"])
        assert [group.by[f"run.tags.{keys}"] for group in groups] == [f"{keys}{number}" for number in range(9)]
    memory = remembered._memories[ws.db]
    assert [value.key for _, value in memory.kept] == ["c", "b"]  # type: ignore[union-attr]
    assert sum(one.size for one in memory.kept.values()) <= 3000


def test_no_search_waits_for_several_values(ws: hs.Workspace):
    """Where the database tells the rest soon enough, as SQLite does."""
    for number in range(9):
        run = ws.tracking.create_run(params={"opt": "ab"[number % 2], "lr": str(number)}).id
        ws.tracking.log_metrics(run, {"loss": number / 9})
    read: list[int] = []
    for _ in range(5):
        found = ws.tracking.run_facets(query="run.metrics.loss < 0.5 and run.params.opt == 'a' and run.params.lr > 1")
        assert found.runs == 2
        read.append(len(remembered._memories[ws.db].kept))
    assert read == [0, 1, 2, 2, 2]


@pytest.mark.parametrize("many", [0, 10**9], ids=["remembered", "asked"])
def test_a_token_of_somebodys_making_is_refused_or_leads_somewhere(
    any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch, many: int
):
    monkeypatch.setattr(remembered, "_MANY", many)
    for number in range(6):
        any_ws.tracking.log_metrics(any_ws.tracking.create_run().id, {"loss": float(number % 2)})
    asked: dict[str, Any] = {"experiment_ids": ["0"], "order_by": ["metrics.loss ASC"], "max_results": 2}
    for _ in range(3):
        token = msgspec.json.decode(mlflow.search(any_ws, Args(asked)))["next_page_token"]
        after = any_ws.tracking.search_runs(order_by="run.metrics.loss, run.name", limit=2).next
    assert after is not None
    mark, last = msgspec.json.decode(base64.urlsafe_b64decode(token))
    for forged in forgeries(last):
        page_token = base64.urlsafe_b64encode(msgspec.json.encode([mark, forged])).decode()
        with suppress(InvalidInput, ForeignError):
            mlflow.search(any_ws, Args(asked | {"page_token": page_token}))
    order, part, last = msgspec.json.decode(base64.urlsafe_b64decode(after + "=="))
    for forged in forgeries(last):
        after = base64.urlsafe_b64encode(msgspec.json.encode([order, part, forged])).decode()
        with suppress(InvalidInput):
            any_ws.tracking.search_runs(order_by="run.metrics.loss, run.name", limit=2, after=after)


def forgeries(last: list[Any]) -> Iterator[list[Any]]:
    """Values of a token, of which one is another."""
    for place in range(len(last)):
        for value in ("x", None, True, 2**80, -1, ["f", "nan"], ["f", "inf"], ["nan"], [1]):
            yield [*last[:place], value, *last[place + 1 :]]
