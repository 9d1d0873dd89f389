"""Graphs that look features of a registered view up: as of now, from the newest rows, by the keys of the view."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.features import FeatureSet, FeatureView, Latest, PreparedView, Windows, compute
from homeostat.serving import Lookup, Member, Route, Sequence, deploy, deploy_graph, get_graph, wait_ready
from tests.serving.conftest import PlaneProcess
from tests.serving.models import expected, register_logistic

W = np.array([0.5, -0.05, 0.25])
HOUR = 3_600_000
VIEW = FeatureView(
    name="recent", source="departures", known_at="left_ms",
    features=[
        Windows(name="hour", key=["origin"], value="delay", over=["2h"], what=["mean"]),
        Latest(key=["origin", "carrier"], values=["wind"], within="24h"),
    ],
)  # fmt: skip


def rows(origin: str, carrier: int, delay: float | None, wind: float, ago_ms: int) -> pl.DataFrame:
    return pl.DataFrame({
        "origin": [origin], "carrier": [carrier], "delay": pl.Series([delay], dtype=pl.Float64), "wind": [wind],
        "left_ms": [now_ms() - ago_ms],
    })  # fmt: skip


def request(origins: list[str], carriers: list[int]) -> dict[str, Any]:
    many = len(origins)
    return {"inputs": [
        {"name": "distance", "datatype": "FP32", "shape": [many], "data": [1.0] * many},
        {"name": "origin", "datatype": "BYTES", "shape": [many], "data": origins},
        {"name": "carrier", "datatype": "INT64", "shape": [many], "data": carriers},
    ]}  # fmt: skip


def scores(plane: PlaneProcess, name: str, asked: dict[str, Any]) -> list[Any]:
    status, answer = plane.infer(name, asked)
    assert status == 200, answer
    return answer["outputs"][0]["data"]


@pytest.fixture(scope="module")
def viewed(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    """A model "score" of distance, hour_mean_2h and wind, and departures from two airports."""
    ws: hs.Workspace = shared.ws
    scratch: Path = tmp_path_factory.mktemp("models")
    register_logistic(ws, scratch, "score", W, ["distance", "hour_mean_2h", "wind"])
    deploy(ws, "score")
    ws.data.write_table("departures", pl.concat([
        rows("JFK", 1, 30.0, 0.5, 30 * 60_000), rows("JFK", 2, 10.0, 0.25, HOUR), rows("JFK", 1, 99.0, 7.0, 5 * HOUR),
        rows("LGA", 1, 4.0, -1.0, 3 * HOUR),
    ]))  # fmt: skip
    ws.features.register_view(VIEW)
    return shared


def test_features_are_found_by_the_keys_of_the_view_as_of_now(viewed: PlaneProcess) -> None:
    ws = viewed.ws
    lookup = Lookup(view="recent", defaults={"wind": 9.0, "hour_mean_2h": -2.0})
    deployment = deploy_graph(ws, "now", Sequence(steps=[lookup, Member(name="score")]))
    declared = get_graph(ws, "now")
    assert isinstance(declared.graph, Sequence)
    first = declared.graph.steps[0]
    assert isinstance(first, Lookup)
    assert first.version == 1
    assert {field.name: field.dtype for field in declared.signature.inputs} == {
        "distance": "FP32", "origin": "BYTES", "carrier": "INT64",
    }  # fmt: skip
    wait_ready(ws, "now", deployment.generation)
    asked = request(["JFK", "JFK", "LGA", "???"], [1, 2, 1, 1])
    want = np.array([[1, 20, 0.5], [1, 20, 0.25], [1, -2, -1.0], [1, -2, 9.0]])
    np.testing.assert_allclose(scores(viewed, "now", asked), expected(W, want), rtol=1e-5)
    # What becomes known is in the next answers; what will be known later is not.
    ws.data.write_table("departures", pl.concat([rows("LGA", 1, 6.0, 0.0, 1000), rows("LGA", 1, 50.0, 5.0, -HOUR)]))
    (value,) = expected(W, np.array([[1, 6, 0.0]]))
    deadline = time.monotonic() + 120
    while abs(scores(viewed, "now", asked)[2] - value) > 1e-5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    np.testing.assert_allclose(scores(viewed, "now", asked)[:2], expected(W, want)[:2], rtol=1e-5)
    # A later declaration is looked up by a later graph.
    ws.features.register_view(FeatureView(name="recent", source="departures", features=[]))
    assert scores(viewed, "now", asked)


def test_an_unknown_entity_is_refused_where_that_is_asked_for(viewed: PlaneProcess) -> None:
    ws = viewed.ws
    lookup = Lookup(view="recent", version=1, missing="refuse")
    deployment = deploy_graph(ws, "strict", Sequence(steps=[lookup, Member(name="score")]))
    wait_ready(ws, "strict", deployment.generation)
    status, answer = viewed.infer("strict", request(["JFK", "???"], [1, 7]))
    assert status == 404
    assert "'recent' has no origin=???, carrier=7 (row 1)" in answer["error"]
    assert viewed.infer("strict", request(["JFK"], [1]))[0] == 200
    status, answer = viewed.infer("strict", {"inputs": request(["JFK"], [1])["inputs"][:2]})
    assert status == 400 and "carrier" in answer["error"]


def test_a_lookup_in_shadow_reads_the_one_matrix_that_was_sent(viewed: PlaneProcess, tmp_path: Path) -> None:
    """The champion takes a matrix of numbers; the graph beside it the view's key, a whole number, and no matrix."""
    ws = viewed.ws
    ws.data.write_table("flown", pl.concat([rows("JFK", 1, 3.0, 0.5, HOUR), rows("JFK", 2, 3.0, -1.0, HOUR)]))
    ws.features.register_view(
        FeatureView(name="carriers", source="flown", known_at="left_ms",
                    features=[Latest(key=["carrier"], values=["wind"], within="24h")])
    )  # fmt: skip
    register_logistic(ws, tmp_path, "mixed", np.array([1.0, 0.0]), ["distance", "carrier"])
    register_logistic(ws, tmp_path, "windy", np.array([1.0, 1.0]), ["distance", "wind"])
    deploy(ws, "mixed")
    deploy(ws, "windy")
    deploy_graph(ws, "mixed", Sequence(steps=[Lookup(view="carriers"), Member(name="windy")]))
    ws.serving.set_routes("mixed", [Route(version=1), Route(version=2, role="shadow")])
    ws.serving.wait_ready("mixed")
    asked = {"id": "m", "inputs": [{"name": "features", "datatype": "FP32", "shape": [2, 2], "data": [1, 1, 2, 2]}]}
    np.testing.assert_allclose(scores(viewed, "mixed", asked), expected(np.ones(1), np.array([[1.0], [2.0]])))
    viewed.flush("mixed")
    shadow = ws.serving.predictions("mixed", routes=["shadow"]).sort("row")
    want = expected(np.ones(2), np.array([[1.0, 0.5], [2.0, -1.0]]))
    np.testing.assert_allclose(shadow["probability"].to_numpy(), want, rtol=1e-5)


def test_views_that_are_not_there_or_have_no_key_are_refused(viewed: PlaneProcess) -> None:
    ws = viewed.ws
    with pytest.raises(NotFound, match="nothing"):
        deploy_graph(ws, "odd", Sequence(steps=[Lookup(view="nothing"), Member(name="score")]))
    everywhere = Windows(name="all", key=[], value="delay", over=["1h"])
    ws.features.register_view(
        FeatureView(name="keyless", source="departures", known_at="left_ms", features=[everywhere])
    )
    with pytest.raises(InvalidInput, match="a view without any key"):
        deploy_graph(ws, "odd", Sequence(steps=[Lookup(view="keyless"), Member(name="score")]))


def test_what_is_looked_up_is_what_was_learnt_from() -> None:
    rng = np.random.default_rng(3)
    many = 3000
    source = pl.DataFrame({
        "origin": rng.choice(["a", "b", "c"], many), "carrier": rng.integers(0, 4, many), "wind": rng.normal(size=many),
        "delay": [None if r < 0.1 else float(r * 100) for r in rng.random(many)],
        "left_ms": rng.integers(0, 40 * HOUR, many),
    })  # fmt: skip
    at = 20 * HOUR + 7
    asked = pl.DataFrame({"origin": ["a", "b", "c", "d"] * 5, "carrier": np.arange(20) % 5, "at": [at] * 20})
    learnt = compute(FeatureSet(name="s", at="at", views=[VIEW]), asked, {"departures": source})
    keys = {name: asked[name].to_list() for name in ("origin", "carrier")}
    found, there = PreparedView(VIEW, source).of_keys(keys, at)
    for name in VIEW.columns:
        np.testing.assert_array_equal(found[name].astype("f4"), learnt[name].cast(pl.Float32).to_numpy())
    assert there.tolist() == [o != "d" and c < 4 for o, c in zip(keys["origin"], keys["carrier"], strict=True)]
