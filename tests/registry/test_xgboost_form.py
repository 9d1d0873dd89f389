"""XGBoost models: kept as data, asked as LightGBM's are, as an ONNX graph where that agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.explain import importance
from homeostat.registry import load_package, package_model

RNG = np.random.default_rng(11)
X = RNG.normal(size=(300, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
NAMES = ["distance", "hour", "rain", "delay"]
SMALL = {"n_estimators": 8, "max_depth": 3, "n_jobs": 1}


def test_a_classifier_gives_its_probability_in_both_forms(tmp_path: Path):
    holed = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
    model = xgb.XGBClassifier(**SMALL).fit(holed, Y)
    package = package_model(model, holed, tmp_path / "a")
    assert (package.flavor, package.file, package.classes) == ("xgboost", "model.ubj", ["0", "1"])
    assert package.onnx.agrees and package.signature.outputs[0].name == "probability"
    assert any(line.startswith("xgboost") for line in package.environment)
    for engine in ("onnx", "native"):
        got = load_package(tmp_path / "a", engine=engine).predict(holed)  # type: ignore[arg-type]
        np.testing.assert_allclose(got, model.predict_proba(holed)[:, 1], atol=1e-6)
    package_model(model, holed, tmp_path / "b")
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in (tmp_path / "a").iterdir())


@pytest.mark.parametrize(
    ("objective", "output", "shape"),
    [("multi:softprob", "probability", [-1, 3]), ("multi:softmax", "prediction", [-1]),
     ("reg:squarederror", "prediction", [-1]), ("binary:logitraw", "prediction", [-1])],
)  # fmt: skip
def test_the_objective_says_what_a_booster_gives(objective: str, output: str, shape: list[int], tmp_path: Path):
    target = Y + (X[:, 2] > 1) if objective.startswith("multi") else Y
    given = {"objective": objective, "max_depth": 3, "nthread": 1, **({"num_class": 3} if "multi" in objective else {})}
    booster = xgb.train(given, xgb.DMatrix(X, target, feature_names=NAMES), 6)
    rows = dict(zip(NAMES, X.T, strict=True))
    import polars as pl

    package = package_model(booster, pl.DataFrame(rows), tmp_path)
    assert [(field.name, field.shape) for field in package.signature.outputs] == [(output, shape)]
    assert [field.name for field in package.signature.inputs] == NAMES
    expected = booster.predict(xgb.DMatrix(X, feature_names=NAMES))
    loaded = load_package(tmp_path, engine="native")
    np.testing.assert_allclose(loaded.predict(pl.DataFrame(rows)), expected, rtol=1e-5, atol=1e-6)
    if package.onnx.agrees:
        np.testing.assert_allclose(load_package(tmp_path, engine="onnx").predict(X), expected, rtol=1e-4, atol=1e-5)


def test_only_the_best_rounds_are_kept(tmp_path: Path):
    model = xgb.XGBClassifier(**{**SMALL, "n_estimators": 60}, early_stopping_rounds=2)
    model.fit(X, Y, eval_set=[(X[:50], 1 - Y[:50])], verbose=False)
    assert model.best_iteration < 30
    package_model(model, X, tmp_path)
    loaded = load_package(tmp_path, engine="native")
    assert loaded.original.num_boosted_rounds() == model.best_iteration + 1
    np.testing.assert_allclose(loaded.predict(X), model.predict_proba(X)[:, 1], atol=1e-6)


def test_what_does_not_fit_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match="is not fitted"):
        package_model(xgb.XGBRegressor(), X, tmp_path / "a")
    odd = xgb.XGBRegressor(**SMALL, missing=-1.0).fit(X, Y)
    with pytest.raises(InvalidInput, match="takes -1 for a missing value"):
        package_model(odd, X, tmp_path / "b")
    with pytest.raises(InvalidInput, match="3 columns, the model was fitted on 4"):
        package_model(xgb.XGBRegressor(**SMALL).fit(X, Y), X[:, :3], tmp_path / "c")


def test_its_importances_are_shares_of_the_gain(ws: hs.Workspace):
    hs.log_model(ws, "trees", xgb.XGBClassifier(**SMALL).fit(X, Y), X)
    found = {one.feature: one.gain for one in importance(ws, "trees")}
    assert sum(value for value in found.values() if value is not None) == pytest.approx(1)
    assert min(found["f0"] or 0, found["f1"] or 0) > max(found["f2"] or 0, found["f3"] or 0)
