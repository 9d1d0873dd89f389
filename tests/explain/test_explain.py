from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
import xgboost
from catboost import CatBoostClassifier, CatBoostRegressor
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier, XGBRegressor

import homeostat as hs
from homeostat.core.errors import InvalidInput, NotFound, Refused, StepFailed
from homeostat.explain import compute_importance, explain_rows
from homeostat.explain.permutation import permutation
from homeostat.explain.shapley import shapley

NAMES = ["strong", "weak", "noise"]
QUIET: dict[str, Any] = {"iterations": 10, "verbose": False, "thread_count": 1, "allow_writing_files": False}


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
    line = LinearRegression().fit(rows, 2 * rows[:, 0] - rows[:, 1])
    with hs.run("training", ws=ws) as run:
        hs.log_model(ws, "line", line, pl.DataFrame(rows, schema=NAMES), run_id=run.id)
    found = ws.explain.importance("line")
    assert [f.feature for f in found] == NAMES and found[0].gain == pytest.approx(2 / 3) and found[2].permutation < 1e-5
    # Of one that no run has made its ONNX form is asked.
    hs.log_model(ws, "foreign", line, pl.DataFrame(rows, schema=NAMES))
    foreign = ws.explain.importance("foreign")
    assert [f.permutation for f in foreign] == pytest.approx([f.permutation for f in found], abs=1e-4)
    assert {f.gain for f in foreign} == {None}
    hs.log_model(ws, "foreign", line, pl.DataFrame(rows, schema=NAMES), onnx=False)
    with pytest.raises(Refused, match="pickle"):
        ws.explain.importance("foreign")
    words = pl.DataFrame({"carrier": ["AA", "UA"] * 50, "hour": list(range(100))})
    model = make_pipeline(OneHotEncoder(), LinearRegression())
    with hs.run("training", ws=ws) as run:
        hs.log_model(ws, "words", model.fit(words.to_pandas(), np.tile([0.0, 5.0], 50)), words, run_id=run.id)
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


def test_trees_of_every_library_explain_themselves(ws: hs.Workspace, rows: np.ndarray):
    labels = np.digitize(2 * rows[:, 0] + rows[:, 1], [-1.0, 1.0])
    trees = {
        "lightgbm": lgb.train({"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1},
                              lgb.Dataset(rows, labels, feature_name=NAMES), 10),
        "xgboost": XGBClassifier(n_estimators=10, n_jobs=1).fit(rows, labels),
        "xgboost-one": XGBRegressor(n_estimators=10, n_jobs=1).fit(rows, rows[:, 0]),
        "catboost": CatBoostClassifier(**QUIET).fit(rows, labels),
        "catboost-one": CatBoostRegressor(**QUIET).fit(rows, rows[:, 0]),
    }  # fmt: skip
    row = {"strong": 3.0, "weak": 0.5, "noise": 0.0}
    for name, model in trees.items():
        hs.log_model(ws, name, model, pl.DataFrame(rows, schema=NAMES))
        told, none = explain_rows(ws, name, [row, dict.fromkeys(NAMES)])
        assert told.base + sum(c.contribution for c in told.contributions) == pytest.approx(told.score)
        assert told.contributions[0].feature == "strong" and told.contributions[0].contribution > 0
        answers = hs.load_model(ws, name).predict(np.array([[3.0, 0.5, 0.0]]))[0]
        assert told.output == (2 if np.ndim(answers) else 0) and told.prediction == pytest.approx(np.max(answers))
        if not np.ndim(answers):
            assert told.score == pytest.approx(told.prediction, rel=1e-5)
        assert {c.value for c in none.contributions} == {None}
        assert explain_rows(ws, name, []) == []
        with pytest.raises(InvalidInput, match="'weak' is a number, not 'much'"):
            ws.explain.explain_row(name, {**row, "weak": "much"})


def test_a_class_that_is_the_answer_is_explained(ws: hs.Workspace, rows: np.ndarray):
    labels = np.digitize(rows[:, 0], [-1.0, 1.0])
    given = {"objective": "multi:softmax", "num_class": 3, "nthread": 1}
    hs.log_model(ws, "m", xgboost.train(given, xgboost.DMatrix(rows, labels), 5), pl.DataFrame(rows, schema=NAMES))
    told = ws.explain.explain_row("m", {"strong": 3.0, "weak": 0.0, "noise": 0.0})
    assert (told.prediction, told.output) == (2, 2) and told.contributions[0].feature == "strong"


def test_other_models_are_asked_what_they_answer(ws: hs.Workspace, rows: np.ndarray):
    table = pl.DataFrame(rows, schema=NAMES)
    hs.log_model(ws, "line", LinearRegression().fit(rows, 3 * rows[:, 0] - rows[:, 1]), table)
    told = ws.explain.explain_row("line", {"strong": 2.0, "weak": -0.5, "noise": 1.0})
    sample = hs.load_model(ws, "line").sample()
    assert sample is not None
    mean = sample.head(100).mean().row(0)
    by_name = {c.feature: c.contribution for c in told.contributions}
    assert by_name == pytest.approx({"strong": 3 * (2 - mean[0]), "weak": 0.5 + mean[1], "noise": 0}, abs=1e-4)
    assert told.score == pytest.approx(told.prediction, abs=1e-4) and told.output == 0
    labels = np.digitize(rows[:, 0], [-1.0, 1.0])
    hs.log_model(ws, "classes", LogisticRegression().fit(rows, labels), table)
    told = ws.explain.explain_row("classes", {"strong": -3.0, "weak": 0.0, "noise": 0.0})
    assert (
        told.output == 0 and told.contributions[0].feature == "strong" and told.score == pytest.approx(told.prediction)
    )


def test_texts_are_explained_and_what_cannot_be_says_why(ws: hs.Workspace, rows: np.ndarray, tmp_path: Any):
    words = pl.DataFrame({"carrier": ["AA", "UA"] * 50, "hour": [float(hour) for hour in range(100)]})
    model = CatBoostRegressor(**QUIET, cat_features=["carrier"])
    with hs.run("training", ws=ws) as run:
        hs.log_model(ws, "words", model.fit(words.to_pandas(), np.tile([0.0, 5.0], 50)), words, run_id=run.id)
    told = ws.explain.explain_row("words", {"carrier": "UA", "hour": 3.0})
    first = told.contributions[0]
    assert (first.feature, first.value) == ("carrier", "UA") and first.contribution > 1
    assert told.base + sum(c.contribution for c in told.contributions) == pytest.approx(told.prediction)
    with pytest.raises(InvalidInput, match="'hour' cannot be 'late'"):
        ws.explain.explain_row("words", {"carrier": "UA", "hour": "late"})
    hs.log_model(ws, "own", Doubled(), pl.DataFrame(rows, schema=NAMES))
    with pytest.raises(Refused, match="version 1 of 'own' is code that no run of this workspace has made"):
        ws.explain.explain_row("own", dict.fromkeys(NAMES, 1.0))
    hs.package_model(LinearRegression().fit(rows, rows[:, 0]), pl.DataFrame(rows, schema=NAMES), tmp_path / "p")
    hs.log_model(ws, "bare", tmp_path / "p" / "model.onnx", None)
    names = [field.name for field in ws.registry.get_version("bare").signature.inputs]
    with pytest.raises(Refused, match="keeps no sample to compare a row with"):
        ws.explain.explain_row("bare", dict.fromkeys(names, 1.0))


class Doubled:
    def predict(self, rows: Any) -> Any:
        return 2 * rows[:, 0]


def test_what_is_code_is_explained_in_a_process_of_its_own(
    any_ws: hs.Workspace, rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trace = tmp_path / "trace"

    def own(given: np.ndarray) -> np.ndarray:
        trace.write_text(f"{os.getpid()} {'A_TOKEN' in os.environ}")
        print("what a model prints is no part of the answer")
        return 3 * given[:, 0] - given[:, 1]

    def texts(given: Any) -> Any:
        return np.where(given["carrier"] == "UA", 5.0, 0.0) + given["hour"].to_numpy()

    def failing(given: np.ndarray) -> np.ndarray:
        if len(given) == 1:
            raise ValueError("one row is\ntoo few")
        return given[:, 0]

    def words_only(given: np.ndarray) -> np.ndarray:
        return np.array(["high"] * len(given))

    table = pl.DataFrame(rows, schema=NAMES)
    words = pl.DataFrame({"carrier": ["AA", "UA"] * 50, "hour": [float(hour) for hour in range(100)]})
    with hs.run("own code", ws=any_ws):
        for name, model in (("own", own), ("failing", failing), ("named", words_only)):
            hs.log_model(any_ws, name, model, table)
        hs.log_model(any_ws, "texts", texts, words)
    monkeypatch.setenv("A_TOKEN", "secret")
    told = any_ws.explain.explain_row("own", {"strong": 2.0, "weak": -0.5, "noise": 1.0})
    process, has_token = trace.read_text().split()
    assert int(process) != os.getpid() and has_token == "False"
    mean = table.head(100).mean().row(0)
    by_name = {c.feature: c.contribution for c in told.contributions}
    assert by_name == pytest.approx({"strong": 3 * (2 - mean[0]), "weak": 0.5 + mean[1], "noise": 0}, abs=1e-4)
    trace.unlink()
    with pytest.raises(InvalidInput, match="'strong' cannot be 'much'"):
        any_ws.explain.explain_row("own", {"strong": "much", "weak": 0.0, "noise": 0.0})
    assert not trace.exists(), "a row that does not fit is refused before anything runs"
    first = any_ws.explain.explain_row("texts", {"carrier": "UA", "hour": 49.5}).contributions[0]
    assert (first.feature, first.value) == ("carrier", "UA") and first.contribution == pytest.approx(2.5)
    with pytest.raises(
        StepFailed, match="explaining rows of version 1 of 'failing' failed: ValueError: one row is too"
    ):
        any_ws.explain.explain_row("failing", dict.fromkeys(NAMES, 1.0))
    with pytest.raises(Refused, match="version 1 of 'named' answers with no numbers"):
        any_ws.explain.explain_row("named", dict.fromkeys(NAMES, 1.0))


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 11), height=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_shapley_values_add_up_and_are_fair(width: int, height: int, seed: int):
    lot = np.random.default_rng(seed)
    names = [f"x{n}" for n in range(width)]
    row, background = (pl.DataFrame(lot.normal(size=(n, width)), schema=names) for n in (1, height))

    def ask(frame: pl.DataFrame) -> np.ndarray:
        x = frame.to_numpy()
        return x[:, 0] * x.sum(axis=1) - (0 if width < 3 else 2 * x[:, 1])

    values, base = shapley(ask, row, background)
    assert base == pytest.approx(ask(background).mean())
    assert base + values.sum() == pytest.approx(ask(row)[0])
    again, _ = shapley(ask, row, background)
    assert (again == values).all()
    # A feature that nothing is made of adds nothing, and what is added up is shared by what it is made of.
    linear, _ = shapley(lambda frame: frame.to_numpy() @ np.arange(float(width)), row, background)
    assert linear == pytest.approx(np.arange(width) * (row.to_numpy()[0] - background.to_numpy().mean(axis=0)))
    ignored, _ = shapley(lambda frame: frame.to_numpy()[:, 0] ** 2, row, background)
    assert ignored[1:] == pytest.approx(0)


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
