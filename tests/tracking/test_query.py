"""The query language: what is found is what the same query, evaluated run by run in plain Python, says."""

from __future__ import annotations

import collections
import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.tracking.model import Metric
from homeostat.tracking.query.parsing import parse, parse_order, parse_value
from homeostat.tracking.texts import refresh
from tests.tracking.slow_query import Seen, holds, ordered, value_of

NAN = float("nan")
TEXTS = ("adam", "Adam", "sgd", "a_b", "100%", "night shift", "Ärger", "0.01", "12", "", "1e-3", "it's \\d")
NUMBERS = (0.0, 0.5, 1.0, -1.0, 2.25, 1e-3, 1e6, NAN, float("inf"))


class World(tuple[hs.Workspace, list[Seen]]):
    """A workspace and its runs; few words when an example fails."""

    def __repr__(self) -> str:
        return "the world"


def made(number: int, chance: random.Random) -> Seen:
    """The `number`-th run: some of everything, some of it missing."""
    some = lambda keys, values: {key: chance.choice(values) for key in keys if chance.random() < 0.7}  # noqa: E731
    start = 1_700_000_000_000 + chance.randint(0, 3) * 1000
    ended = chance.random() < 0.6
    facts = {
        "id": f"r{number:02}", "name": f"{chance.choice(('Amber', 'fox', 'night'))} {number % 7}", "start": start,
        "end": start + chance.choice((500, 1000, 90_000)) if ended else None,
        "experiment": chance.choice(("day", "night", "Default")), "kind": chance.choice(("run", "trial")),
        "source": chance.choice(("train.py", "")), "code_version": "", "parent": None, "error": None,
        "status": chance.choice(("finished", "failed")) if ended else "running",
    }  # fmt: skip
    facts["duration"] = (facts["end"] - start) / 1000 if ended else None
    points = {
        key: [(chance.randint(0, 3), chance.randint(1, 3), chance.choice(NUMBERS)) for _ in range(chance.randint(1, 4))]
        for key in ("loss", "val/loss", "odd \"name'")
        if chance.random() < 0.7
    }
    return Seen(
        facts, some(("lr", "opt", "model.depth"), TEXTS), some(("team", "mlflow.note.content"), TEXTS),
        {key: list(dict.fromkeys(found)) for key, found in points.items()},
        artifacts=("plots/a.png",) if number % 3 == 0 else (),
    )  # fmt: skip


def put(ws: hs.Workspace, run: Seen) -> None:
    facts = run.facts
    ws.tracking.create_run(
        facts["experiment"], name=facts["name"], id=facts["id"], kind=facts["kind"], source=facts["source"],
        start_ms=facts["start"], params=run.params, tags=run.tags,
    )  # fmt: skip
    facts["user"] = ws.tracking.get_run(facts["id"]).owner
    for key, points in run.points.items():
        ws.tracking.log_batch(
            facts["id"], [Metric(key=key, value=value, step=step, at_ms=at) for step, at, value in points]
        )
    for path in run.artifacts:
        ws.tracking.log_artifact(facts["id"], path, b"")
    if facts["end"]:
        ws.tracking.finish_run(facts["id"], facts["status"], end_ms=facts["end"])


@pytest.fixture(scope="module", params=["sqlite", "sqlite remembered", "postgresql", "postgresql remembered"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    chance = random.Random(7)
    runs = [made(number, chance) for number in range(40)]
    home = tmp_path_factory.mktemp("query") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEOSTAT_HOME", str(home))
        # Few runs, and all ways to look at them: at the first, at more, at all.
        patch.setattr("homeostat.tracking.query.finding._FIRST", 4)
        patch.setattr("homeostat.tracking.query.finding._MOST", 16)
        patch.setattr("homeostat.tracking.query.finding._FEW", 6)
        patch.setattr("homeostat.tracking.query.fitting._LOOKED_AT", 12)
        patch.setattr("homeostat.tracking.explore._MANY", 8)
        if "remembered" in request.param:
            patch.setattr("homeostat.tracking.query.remembered._MANY", 0)
        url = str(home) if "sqlite" in request.param else request.getfixturevalue("postgres").new_database()
        with hs.open(url) as ws:
            for number, run in enumerate(runs):
                put(ws, run)
                if number == 20:  # the texts of half of them are made, those of the others are not
                    assert ws.db.write(lambda c: refresh(c, 2000))
            yield World((ws, runs))


TEXT = st.sampled_from(TEXTS).map(repr)
NUMBER = st.sampled_from(("0", "0.5", "1", "-1", "2.25", "0.001", "12", "1e6", "1e999"))
FIGURE = st.sampled_from(("", ".last", ".min", ".max", ".first", ".count", ".step", ".at(1)", ".at(7)"))
METRIC = st.sampled_from(("loss", "val/loss", "odd \"name'", "none")).map(lambda key: f"run.metrics[{key!r}]")
PARAM = st.sampled_from(
    ("run.params.lr", "params.opt", 'run.params["model.depth"]', "run.params.model.depth", "params.no")
)
SOME = st.builds(str.__add__, METRIC, FIGURE) | PARAM | st.just("run.duration") | st.just("(run.end - run.start)")
NUMERIC = st.recursive(
    SOME, lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner | NUMBER), max_leaves=3
)
NAMED = (
    st.sampled_from(("run.name", "name", "run.tags.team", "run.notes", "run.experiment", "run.source", "run.id"))
    | PARAM
)
TEXTUAL = NAMED | NAMED.map("{}.lower()".format)
TIME = st.sampled_from(("run.start", "run.end", "run.end - seconds(1)"))
WHEN = st.sampled_from(('"2023-11-14T22:13:21Z"', '"2023-11-14"', "now() - days(2)", "1700000001000"))
SIGN = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
ONE = st.one_of(
    st.builds("{} {} {}".format, NUMERIC, SIGN, NUMBER | NUMERIC),
    st.builds("{} < {} <= {}".format, NUMBER, NUMERIC, NUMBER),
    st.builds("{} {} {}".format, TEXTUAL, SIGN, TEXT | TEXTUAL),
    st.builds("{} {} {}".format, TIME, SIGN, WHEN),
    st.builds("{} {} [{}, {}]".format, TEXTUAL, st.sampled_from(("in", "not in")), TEXT, TEXT),
    st.builds("{} in [{}, {}, None]".format, PARAM, TEXT, NUMBER),
    st.builds("{} {} {}".format, TEXT, st.sampled_from(("in", "not in")), TEXTUAL),
    st.builds("{}.{}({})".format, TEXTUAL, st.sampled_from(("startswith", "endswith")), TEXT),
    st.builds("{}.like({!r})".format, TEXTUAL, st.sampled_from(("a%", "%_b", "A%", "[a]*?%", "%n%t%", "%"))),
    st.builds("{}.matches({!r})".format, TEXTUAL, st.sampled_from(("^[a-c]", "\\\\d", "(a|i)+.?s", "%$", "n..ht", ""))),
    st.builds("{} is {}None".format, NUMERIC | TEXTUAL | TIME, st.sampled_from(("", "not "))),
    st.sampled_from(('"amber"', "'NIGHT'", '"1"', '"ärger"', '"%"', "fox", "failed", '"plots/a.png" in run.artifacts')),
    st.sampled_from(("run.status == 'failed'", "run.kind in ('trial',)", "run.status != 'running'", "True")),
)  # fmt: skip
QUERY = st.recursive(
    ONE,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner.map("({})".format)),
    ),
    max_leaves=5,
)
ORDER = st.lists(
    st.builds(str.__add__, st.sampled_from(("", "-")), NUMERIC | TEXTUAL | TIME.map("({})".format)),
    min_size=1,
    max_size=2,
).map(", ".join)


def found(ws: hs.Workspace, query: str, order: str = "run.id", limit: int = 1000) -> list[str]:
    """The ids found, over all pages."""
    ids: list[str] = []
    after = None
    while True:
        page = ws.tracking.search_runs(query=query, order_by=order, limit=limit, after=after, columns=[])
        ids += [run.id for run in page.runs]
        if (after := page.next) is None:
            return ids


def answered(call: Any) -> Any:
    """What the call gives; None where it rightly refuses: too many figures that need points."""
    try:
        return call()
    except InvalidInput as error:
        if "need the points themselves" in error.message:
            return None
        raise


@settings(max_examples=120)
@given(query=QUERY)
def test_what_is_found_is_what_the_query_says(world: World, query: str):
    ws, runs = world
    tree = parse(query)
    ids = answered(lambda: found(ws, query))
    if ids is not None:
        assert ids == [run.facts["id"] for run in runs if holds(tree, run)]


@settings(max_examples=80)
@given(
    query=QUERY,
    experiment=st.sampled_from((None, "day", "nowhere")),
    kind=st.sampled_from((None, "run")),
    status=st.sampled_from((None, "finished")),
)
def test_runs_divide_as_those_found_do(world: World, query: str, **named: str | None):
    ws, runs = world
    tree = parse(query)
    given = {name: value for name, value in named.items() if value is not None}
    fit = [run for run in runs if holds(tree, run) and given.items() <= run.facts.items()]
    facets = answered(lambda: ws.tracking.run_facets(query=query, **given))
    if facets is None:
        return
    assert facets.runs == len(fit)
    for divided, name in ((facets.statuses, "status"), (facets.kinds, "kind"), (facets.experiments, "experiment")):
        assert divided == collections.Counter(run.facts[name] for run in fit)
    assert facets.params == collections.Counter(key for run in fit for key in run.params)
    page = ws.tracking.search_runs(query=query, order_by="run.id", **given)
    assert [run.id for run in page.runs] == [run.facts["id"] for run in fit]


@settings(max_examples=60)
@given(query=ONE, order=ORDER, limit=st.integers(1, 41))
def test_every_order_is_kept_over_pages(world: World, query: str, order: str, limit: int):
    ws, runs = world
    tree, keys = parse(query), parse_order(order)
    ids = answered(lambda: found(ws, query, order, limit))
    if ids is not None:
        assert ids == [run.facts["id"] for run in ordered([run for run in runs if holds(tree, run)], keys)]


@settings(max_examples=30)
@given(query=ONE, by=st.lists(TEXTUAL | PARAM, max_size=2, unique=True), figure=NUMERIC)
def test_groups_hold_what_their_runs_do(world: World, query: str, by: list[str], figure: str):
    ws, runs = world
    tree, shared, measured = parse(query), [parse_value(text) for text in by], parse_value(figure)
    groups = answered(lambda: ws.tracking.group_runs(query, by=by, metrics=[figure], limit=1000))
    expected: dict[tuple[Any, ...], list[Seen]] = {}
    for run in runs:
        if holds(tree, run):
            expected.setdefault(tuple(value_of(value, run) for value in shared), []).append(run)
    if groups is None:
        return
    if not by:
        expected = {(): [run for members in expected.values() for run in members]}
    assert {tuple(group.by.values()): group.runs for group in groups} == {k: len(v) for k, v in expected.items()}
    for group in groups:
        number = measured._replace(kind="number") if measured.kind == "either" else measured
        values = [value_of(number, run) for run in expected[tuple(group.by.values())]]
        known = [float(value) for value in values if value is not None]
        spread = group.metrics[figure]
        assert (spread.count, spread.min, spread.max) == (
            len(known),
            min(known, default=None),
            max(known, default=None),
        )
        if known and all(abs(value) < 1e300 for value in known):
            mean = sum(known) / len(known)
            assert spread.mean == pytest.approx(mean)
            if len(known) > 1:
                std = (sum((value - mean) ** 2 for value in known) / (len(known) - 1)) ** 0.5
                assert spread.std == pytest.approx(std, abs=1e-9 * max(map(abs, known)))


@pytest.mark.parametrize(
    ("query", "column", "says"),
    [
        ("auc > 0.5", 1, "write run.metrics.auc, run.params.auc or run.tags.auc"),
        ("run.params.lr = 1", 15, "equality is written =="),
        ("  run.statu == 'x'", 3, "did you mean run.status"),
        ("run.name == '\\d' and run.nme == ''", 22, "did you mean run.name"),
        ("run.params.lambda > 1", 12, '["lambda"]'),
        ("run.metrics.auc >", 18, "cannot be read here"),
        ("run.name == 'a' AND run.end is None", 17, "small letters"),
        ("run.status == 'FINISHED'", 15, 'did you mean "finished"'),
        ("run.start > 'yesterday'", 13, "not a date"),
        ("run.tags.fold == 3", 18, 'write "3" for a text'),
        ("run.metrics.auc == '3'", 20, "without quotes"),
        ("run.params.lr", 1, "is not None"),
        ("run.metrics", 1, "run.metrics.KEY"),
        ("run.name.upper() == 'A'", 1, "not known here"),
        ("run.name.startswith(run.id)", 1, "takes one text"),
        ("run.name + 'a' == 'b'", 1, "texts are not computed"),
        ("run.start + run.end > 0", 1, "times are only subtracted"),
        ("1 < 2", 1, "nothing of a run"),
        ("run.params.lr ** 2 > 1", 1, "is not understood"),
        ("run.params.lr / 0 > 1 / 0", 21, "divides by zero"),
        ("run.end is True", 12, "cannot be compared so"),
        ("run.end is 3", 12, "followed by None"),
        ("run.__class__.__mro__ is None", 1, "has no '__class__'"),
        ("run.name == f'{run}'", 13, "is not understood"),
        ("__import__('os').system('x') == 1", 1, "not known here"),
        ("[x for x in run.params] == 1", 1, "is not understood"),
        ('run.metrics["loss", {"fold": 1}] > 0', 21, "subset, model or dataset"),
    ],
)
def test_what_cannot_be_meant_is_said_with_its_column(query: str, column: int, says: str):
    with pytest.raises(InvalidInput) as told:
        parse(query)
    assert told.value.facts["column"] == column, told.value
    assert says in str(told.value)


@settings(max_examples=60)
@given(st.text(max_size=80) | st.text("run.paramsetgcl<>=()[]{}\"'\\ andorit0189.,-", max_size=80))
def test_nothing_typed_does_more_than_find_or_be_refused(world: World, query: str):
    ws, _ = world
    for order in ("-run.start", query):
        with contextlib.suppress(InvalidInput):
            ws.tracking.search_runs(query=query, order_by=order, columns=[])


@pytest.mark.parametrize(
    "query",
    [
        "(" * 3000, "-" * 3000 + "1 < run.end", "not " * 900 + "a", "a or " * 700 + "a", "run." * 900 + "name == ''",
        "9" * 3000 + " < run.end", "run.end < " + "run.end + " * 300 + "1", "x" * 4001, "w " * 21, "1e999 < run.start",
        f"run.name in [{'1,' * 1900}]", "a and " * 150 + "b", "run.start > now() + days(1e308) * 9",
    ],
)  # fmt: skip
def test_what_is_too_much_is_refused_at_once(world: World, query: str):
    with contextlib.suppress(InvalidInput):
        world[0].tracking.search_runs(query=query)


def test_contexts_of_metrics(any_ws: hs.Workspace):
    import sqlalchemy as sa

    from homeostat.tracking import store

    for id in ("a", "b"):
        any_ws.tracking.create_run(id=id)
        seq = any_ws.db.read(lambda c, id=id: store.seq_of(c, id))
        rows = [
            {"model_id": "m-1", "run_seq": seq, "key": "loss", "step": step, "at_ms": 1, "value": value,
             "dataset_name": "holdout" if id == "a" else "train", "dataset_digest": ""}
            for step, value in ((1, 0.5), (2, None if id == "b" else 0.25))
        ]  # fmt: skip
        any_ws.db.write(lambda c, rows=rows: c.execute(sa.insert(store.model_metric), rows))
    any_ws.tracking.log_metrics("b", {"val/loss": 0.1})
    for query, expected in {
        'run.metrics["loss", {"dataset": "holdout"}] == 0.25': ["a"],
        'run.metrics["loss", {"dataset": "holdout"}].first == 0.5': ["a"],
        'run.metrics["loss", {"model": "m-1"}].max == 0.5': ["a", "b"],
        'run.metrics["loss", {"model": "m-1"}].count == 2': ["a", "b"],
        'run.metrics["loss", {"model": "m-1"}] is None': ["b"],
        'run.metrics["loss", {"model": "m-1", "dataset": "train"}].at(1) == 0.5': ["b"],
        'run.metrics["loss", {"model": "m-2"}] is not None': [],
        'run.metrics["loss", {"subset": "val"}] < 0.2': ["b"],
    }.items():
        assert found(any_ws, query) == expected, query
    assert found(any_ws, "", 'run.metrics["loss", {"dataset": "holdout"}]') == ["a", "b"]


def test_points_are_opened_for_so_many_runs_only(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("homeostat.tracking.query.figures._MOST_RUNS", 2)
    for number in range(4):
        ws.tracking.create_run(id=f"r{number}", params={"n": number})
        ws.tracking.log_metrics(f"r{number}", {"loss": number})
    with pytest.raises(InvalidInput, match="points of more than 2 runs"):
        found(ws, "run.metrics.loss.first > 0")
    assert found(ws, "run.metrics.loss.first > 0 and run.params.n < 2") == ["r1"]


def test_a_page_of_another_search_is_refused(ws: hs.Workspace):
    for _ in range(3):
        ws.tracking.create_run()
    token = ws.tracking.search_runs(limit=1, order_by="run.name, run.id").next
    with pytest.raises(InvalidInput, match="another order"):
        ws.tracking.search_runs(order_by="run.name", after=token)
