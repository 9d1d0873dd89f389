"""CatBoost models: kept as data, as an ONNX graph where that agrees, with categories in its own form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.explain import importance
from homeostat.registry import import_folder, load_package, package_model

RNG = np.random.default_rng(11)
X = RNG.normal(size=(300, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
NAMES = ["distance", "hour", "rain", "delay"]
SMALL = {"iterations": 8, "depth": 3, "thread_count": 1, "verbose": 0, "allow_writing_files": False}


def _carriers() -> pd.DataFrame:
    frame = pd.DataFrame(X[:, :2], columns=NAMES[:2])
    frame["carrier"] = RNG.choice(["AA", "BB", "été"], len(X))
    frame["month"] = RNG.integers(1, 13, len(X))
    return frame


def test_a_classifier_gives_its_probability_in_both_forms(tmp_path: Path):
    model = CatBoostClassifier(**SMALL).fit(pd.DataFrame(X, columns=NAMES), Y)
    package = package_model(model, pl.DataFrame(X, schema=NAMES), tmp_path / "a")
    assert (package.flavor, package.file, package.classes) == ("catboost", "model.cbm", ["0", "1"])
    assert package.onnx.agrees and package.signature.outputs[0].name == "probability"
    assert [field.name for field in package.signature.inputs] == NAMES
    assert any(line.startswith("catboost==") for line in package.environment)
    for engine in ("onnx", "native"):
        got = load_package(tmp_path / "a", engine=engine).predict(X)  # type: ignore[arg-type]
        np.testing.assert_allclose(got, model.predict_proba(X)[:, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "output", "shape"),
    [("MultiClass", "probability", [-1, 3]), ("RMSE", "prediction", [-1]), ("Poisson", "prediction", [-1]),
     ("MultiRMSE", "prediction", [-1, 2])],
)  # fmt: skip
def test_the_loss_says_what_a_model_gives(loss: str, output: str, shape: list[int], tmp_path: Path):
    target = {"MultiClass": Y + (X[:, 2] > 1), "MultiRMSE": X[:, :2]}.get(loss, np.abs(X[:, 0]))
    kind = CatBoostClassifier if loss == "MultiClass" else CatBoostRegressor
    model = kind(**SMALL, loss_function=loss).fit(X, target)
    package = package_model(model, X, tmp_path)
    assert [(field.name, field.shape) for field in package.signature.outputs] == [(output, shape)]
    expected = model.predict_proba(X) if loss == "MultiClass" else model.predict(X)
    np.testing.assert_allclose(load_package(tmp_path, engine="native").predict(X), expected, rtol=1e-6)
    if package.onnx.agrees:
        np.testing.assert_allclose(load_package(tmp_path, engine="onnx").predict(X), expected, rtol=1e-4, atol=1e-5)


def test_categories_are_kept_as_they_are(tmp_path: Path):
    frame = _carriers()
    model = CatBoostClassifier(**SMALL, cat_features=["carrier", "month"]).fit(frame, Y)
    package = package_model(model, frame, tmp_path / "a")
    assert not package.onnx.available and package.signature.tensor is None
    assert {field.name: field.dtype for field in package.signature.inputs}["carrier"] == "BYTES"
    got = load_package(tmp_path / "a").predict(frame)
    np.testing.assert_allclose(got, model.predict_proba(frame)[:, 1], atol=1e-6)
    months = frame[["distance", "month"]]
    by_number = CatBoostClassifier(**SMALL, cat_features=["month"]).fit(months, Y)
    assert package_model(by_number, months, tmp_path / "b").signature.tensor == "features"
    got = load_package(tmp_path / "b").predict(months)
    np.testing.assert_allclose(got, by_number.predict_proba(months)[:, 1], atol=1e-6)


def test_a_file_of_it_is_imported(ws: hs.Workspace, tmp_path: Path):
    model = CatBoostRegressor(**SMALL).fit(pd.DataFrame(X, columns=NAMES), X[:, 0])
    model.save_model(str(tmp_path / "delay.cbm"))
    (version,) = import_folder(ws, tmp_path / "delay.cbm")
    assert (version.model, version.flavor) == ("delay", "catboost")
    assert [field.name for field in version.signature.inputs] == NAMES
    model = CatBoostClassifier(**SMALL, cat_features=["carrier", "month"]).fit(_carriers(), Y)
    model.save_model(str(tmp_path / "words.cbm"))
    with pytest.raises(InvalidInput, match="takes categories"):
        import_folder(ws, tmp_path / "words.cbm")
    (tmp_path / "half.cbm").write_bytes((tmp_path / "words.cbm").read_bytes()[:-300])
    with pytest.raises(InvalidInput, match="not a CatBoost model"):
        import_folder(ws, tmp_path / "half.cbm")


def test_what_does_not_fit_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match="is not fitted"):
        package_model(CatBoostRegressor(), X, tmp_path / "a")
    with pytest.raises(InvalidInput, match="3 columns, the model was fitted on 4"):
        package_model(CatBoostRegressor(**SMALL).fit(X, X[:, 0]), X[:, :3], tmp_path / "b")


def test_its_importances_are_shares(ws: hs.Workspace):
    hs.log_model(ws, "trees", CatBoostClassifier(**SMALL).fit(X, Y), X)
    found = {one.feature: one.gain for one in importance(ws, "trees")}
    assert sum(value for value in found.values() if value is not None) == pytest.approx(1)
    assert min(found["f0"] or 0, found["f1"] or 0) > max(found["f2"] or 0, found["f3"] or 0)
