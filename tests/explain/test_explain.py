from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import homeostat as hs
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.explain import compute_importance
from homeostat.explain.permutation import permutation

NAMES = ["strong", "weak", "noise"]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(800, 3))


@pytest.fixture(scope="module")
def booster(rows: np.ndarray) -> lgb.Booster:
    target = (3 * rows[:, 0] + rows[:, 1] > 0).astype(int)
    given = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 0}
    return lgb.train(given, lgb.Dataset(rows, target, feature_name=NAMES), 30)


def test_what_matters_comes_first_and_is_kept(any_ws: hs.Workspace, booster: lgb.Booster, rows: np.ndarray):
    hs.log_model(any_ws, "m", booster, pl.DataFrame(rows, schema=NAMES))
    found = any_ws.explain.importance("m")
    assert [f.feature for f in found] == NAMES
    assert found[0].permutation > 3 * found[1].permutation > 3 * found[2].permutation >= 0
    gains = [f.gain for f in found]
    assert all(gain is not None for gain in gains) and sum(gains) == pytest.approx(1)
    assert compute_importance(any_ws, "m", 1) == found == any_ws.explain.importance("m", 1)


def test_a_pickled_model_is_asked_in_a_process_of_its_own(ws: hs.Workspace, rows: np.ndarray):
    hs.log_model(
        ws, "line", LinearRegression().fit(rows, 2 * rows[:, 0] - rows[:, 1]), pl.DataFrame(rows, schema=NAMES)
    )
    found = ws.explain.importance("line")
    assert [f.feature for f in found] == NAMES and found[0].gain == pytest.approx(2 / 3) and found[2].permutation < 1e-5
    words = pl.DataFrame({"carrier": ["AA", "UA"] * 50, "hour": list(range(100))})
    model = make_pipeline(OneHotEncoder(), LinearRegression())
    hs.log_model(ws, "words", model.fit(words.to_pandas(), np.tile([0.0, 5.0], 50)), words)
    found = ws.explain.importance("words")
    assert found[0].feature == "carrier" and found[0].gain is None
    with pytest.raises(NotFound, match="model 'nothing' is not registered"):
        ws.explain.importance("nothing")


def test_without_a_sample_there_is_nothing_to_shuffle(
    ws: hs.Workspace, booster: lgb.Booster, rows: np.ndarray, tmp_path: Any
):
    hs.package_model(booster, rows, tmp_path / "p")
    hs.log_model(ws, "bare", tmp_path / "p" / "model.onnx", None)
    with pytest.raises(Refused, match="keeps no sample"):
        ws.explain.importance("bare")


def test_contributions_add_up_to_the_score(any_ws: hs.Workspace, booster: lgb.Booster, rows: np.ndarray):
    hs.log_model(any_ws, "m", booster, pl.DataFrame(rows, schema=NAMES))
    row: dict[str, float | None] = {"strong": 2.0, "weak": -0.5, "noise": None}
    told = any_ws.explain.explain_row("m", row)
    assert told.base + sum(c.contribution for c in told.contributions) == pytest.approx(told.score)
    assert told.prediction == pytest.approx(1 / (1 + np.exp(-told.score)))
    assert told.contributions[0].feature == "strong" and told.contributions[0].contribution > 0
    for wrong, message in [({"strong": 1.0}, "lacks feature 'weak'"), ({**row, "x": 1.0}, "unknown feature 'x'")]:
        with pytest.raises(InvalidInput, match=message):
            any_ws.explain.explain_row("m", wrong)


def test_other_models_say_that_rows_are_not_explained(ws: hs.Workspace, rows: np.ndarray):
    hs.log_model(ws, "line", LinearRegression().fit(rows, rows[:, 0]), rows)
    with pytest.raises(Refused, match="'line' version 1 is sklearn"):
        ws.explain.explain_row("line", {"f0": 1.0})


@settings(max_examples=40, deadline=None)
@given(weights=st.lists(st.floats(-5, 5), min_size=2, max_size=4), seed=st.integers(0, 2**32))
def test_only_what_the_model_uses_moves_it(weights: list[float], seed: int):
    names = [f"x{n}" for n in range(len(weights))]
    rows = pl.DataFrame(np.random.default_rng(seed).normal(size=(60, len(weights))), schema=names)
    found = permutation(lambda frame: frame.select(names).to_numpy() @ np.array(weights), rows, names)
    again = permutation(lambda frame: frame.select(names).to_numpy() @ np.array(weights), rows[:, ::-1], names[::-1])
    for name, weight in zip(names, weights, strict=True):
        assert found[name] == pytest.approx(again[name])  # the order of the columns does not matter
        # A linear model moves by its weight times how far the values moved.
        one = permutation(lambda frame, name=name: frame[name].to_numpy(), rows, [name])[name]
        assert found[name] == pytest.approx(abs(weight) * one, abs=1e-9)
