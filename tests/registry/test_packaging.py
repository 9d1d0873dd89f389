from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

import homeostat as hs
from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import Corrupt, InvalidInput, Refused
from homeostat.registry import load_model, load_package, package_model
from tests.registry.own_code import Doubled, first_column

NAMES = ["distance", "hour", "rain", "delay"]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    lot = np.random.default_rng(3)
    table = lot.normal(size=(1500, 4))
    table[:, 1] = lot.integers(0, 24, 1500)
    table[:, 3] = np.round(table[:, 3], 1)
    return table


@pytest.fixture(scope="module")
def late(rows: np.ndarray) -> np.ndarray:
    return (rows[:, 0] + rows[:, 1] / 8 + np.random.default_rng(4).normal(size=len(rows)) > 1.5).astype(int)


@pytest.fixture(scope="module")
def holed(rows: np.ndarray) -> np.ndarray:
    table = rows.copy()
    table[np.random.default_rng(5).random(table.shape) < 0.1] = np.nan
    return table


def booster(rows: np.ndarray, target: np.ndarray, **params: Any) -> lgb.Booster:
    given = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1, "deterministic": True, **params}
    return lgb.train(given, lgb.Dataset(rows, target, feature_name=NAMES), 40)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def single(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float32).astype(np.float64)


def test_a_lightgbm_classifier_and_its_graph_agree(holed: np.ndarray, late: np.ndarray, tmp_path: Path):
    model = booster(holed, late)
    package = package_model(model, pl.DataFrame(holed, schema=NAMES), tmp_path / "p")
    assert package.flavor == "lightgbm" and package.onnx.agrees and package.onnx.file == "model.onnx"
    assert package.onnx.max_difference is not None and package.onnx.max_difference < 1e-6
    assert [field.name for field in package.signature.inputs] == NAMES and package.signature.tensor == "features"
    output = package.signature.outputs[0]
    assert (output.name, output.dtype, output.shape) == ("probability", "FP32", [-1])
    expected = model.predict(single(holed))
    for engine in ("onnx", "native"):
        loaded = load_package(tmp_path / "p", engine=engine)  # type: ignore[arg-type]
        np.testing.assert_allclose(loaded.predict(single(holed)), expected, atol=1e-6)
        assert loaded.predict(holed[:1]).shape == (1,)
    assert any(line.startswith("lightgbm==") for line in package.environment)
    assert json.loads((tmp_path / "p" / "model.json").read_text())["format"] == 1


def test_other_lightgbm_objectives(rows: np.ndarray, late: np.ndarray, tmp_path: Path):
    regression = booster(rows, rows[:, 0] * 30, objective="regression")
    package = package_model(regression, rows, tmp_path / "r")
    assert package.onnx.agrees and package.signature.outputs[0].name == "prediction"
    np.testing.assert_allclose(load_package(tmp_path / "r").predict(rows), regression.predict(single(rows)), rtol=1e-5)
    classes = lgb.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1).fit(rows, late + (rows[:, 2] > 1))
    package = package_model(classes, rows, tmp_path / "c")
    assert package.onnx.agrees and package.signature.outputs[0].shape == [-1, 3] and package.classes == ["0", "1", "2"]
    assert load_package(tmp_path / "c").predict(rows[:5]).shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        ("probability", make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())),
        ("probability", RandomForestClassifier(20, random_state=0)),
        ("probability", KNeighborsClassifier()),
        ("prediction", LinearSVC()),
        ("prediction", GradientBoostingRegressor(n_estimators=20, random_state=0)),
        ("prediction", LinearRegression()),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_scikit_learn_estimators_and_their_graphs_agree(
    name: str, estimator: Any, rows: np.ndarray, late: np.ndarray, tmp_path: Path
):
    estimator.fit(rows, late)
    package = package_model(estimator, rows, tmp_path / "p")
    assert package.flavor == "sklearn" and package.onnx.agrees, package.onnx.reason
    assert package.signature.outputs[0].name == name and package.signature.outputs[0].shape == [-1]
    probable = name == "probability"
    expected = estimator.predict_proba(single(rows))[:, 1] if probable else estimator.predict(single(rows))
    answer = load_package(tmp_path / "p", engine="onnx").predict(rows)
    np.testing.assert_allclose(answer, expected, atol=1e-5, rtol=1e-5)


def test_what_does_not_convert_says_why_and_keeps_the_original(rows: np.ndarray, late: np.ndarray, tmp_path: Path):
    model = HistGradientBoostingClassifier(max_iter=5).fit(rows, late)
    package = package_model(model, rows, tmp_path / "p")
    assert not package.onnx.available and package.onnx.file is None
    assert "HistGradientBoostingClassifier does not convert" in package.onnx.reason
    assert not (tmp_path / "p" / "model.onnx").exists()
    own = package_model(make_pipeline(Doubled(), LogisticRegression()).fit(rows, late), rows, tmp_path / "own")
    assert "does not convert" in own.onnx.reason
    code = package_model(first_column, rows, tmp_path / "f")
    assert (code.flavor, code.onnx.reason) == ("python", "a Python function has no ONNX form")


def test_a_graph_that_disagrees_is_left_out_and_says_by_how_much(rows: np.ndarray, late: np.ndarray, tmp_path: Path):
    # No two ways of adding 32-bit numbers agree to 1e-12.
    package = package_model(booster(rows, late), rows, tmp_path / "p", tolerance=1e-12)
    assert package.onnx.available and not package.onnx.agrees and package.onnx.file is None
    assert "differs from the original by up to" in package.onnx.reason
    assert load_package(tmp_path / "p").engine == "native"
    with pytest.raises(Refused, match="no ONNX form of this model: differs"):
        load_package(tmp_path / "p", engine="onnx")


def test_missing_values_count_where_the_sample_has_some(
    rows: np.ndarray, holed: np.ndarray, late: np.ndarray, tmp_path: Path
):
    forest = RandomForestClassifier(10, random_state=0).fit(rows, late)  # its graph sends NaN another way
    whole = package_model(forest, rows, tmp_path / "whole")
    assert whole.onnx.agrees and "on rows with missing values, of which the sample has none" in whole.onnx.reason
    some = package_model(forest, holed, tmp_path / "some")
    assert not some.onnx.agrees and "differs from the original by up to" in some.onnx.reason


def test_features_that_32_bits_cannot_tell_apart_are_mentioned(tmp_path: Path):
    rows = 1 + 1e-9 * (np.arange(400.0) % 2).reshape(-1, 1)
    given = {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 1}
    model = lgb.train(given, lgb.Dataset(rows, rows[:, 0] > 1), 5)
    package = package_model(model, rows, tmp_path / "p")
    assert package.onnx.agrees and "rounding the features to 32 bits itself moves" in package.onnx.reason


def test_the_same_model_gives_the_same_bytes(holed: np.ndarray, rows: np.ndarray, late: np.ndarray, tmp_path: Path):
    models: list[tuple[Any, Any]] = [
        (lambda: booster(holed, late), holed),
        (
            lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, late),
            pd.DataFrame(rows, columns=NAMES),
        ),
        (lambda: RandomForestClassifier(5, random_state=0).fit(rows, late), rows),
    ]
    for number, (train, sample) in enumerate(models):
        for name in ("a", "b"):
            package_model(train(), sample, tmp_path / f"{name}{number}")
        assert files(tmp_path / f"a{number}") == files(tmp_path / f"b{number}")


_TRAIN = """
import sys, numpy as np
from sklearn.pipeline import make_pipeline; from sklearn.preprocessing import StandardScaler
from sklearn.linear_model import LogisticRegression
from homeostat.registry import package_model
rows = np.random.default_rng(0).normal(size=(300, 3))
package_model(make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, rows[:, 0] > 0), rows, sys.argv[1])
"""


def test_two_processes_give_the_same_bytes(tmp_path: Path):
    for seed, name in enumerate("ab"):
        subprocess.run(
            [sys.executable, "-c", _TRAIN, str(tmp_path / name)],
            check=True, env={"PYTHONPATH": "src", "PYTHONHASHSEED": str(seed), "PATH": ""},
        )  # fmt: skip
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_models_on_named_columns_and_text(tmp_path: Path, rows: np.ndarray, late: np.ndarray):
    named = pd.DataFrame(rows, columns=NAMES)
    package = package_model(LogisticRegression().fit(named, late), named, tmp_path / "n")
    assert package.onnx.agrees
    words = pd.DataFrame({"carrier": np.where(rows[:, 0] > 0, "AA", "UA")})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(words, late)
    package = package_model(model, words, tmp_path / "w")
    assert package.signature.tensor is None and package.signature.inputs[0].dtype == "BYTES"
    assert "column 'carrier' holds text" in package.onnx.reason
    loaded = load_package(tmp_path / "w", unpickle=digest_of_file(tmp_path / "w" / "model.pkl"))
    np.testing.assert_array_equal(loaded.predict(words), model.predict_proba(words)[:, 1])
    sample = loaded.sample()
    assert sample is not None and sample.columns == ["carrier"] and sample.height == 750


def test_a_foreign_graph_is_taken_as_it_is(rows: np.ndarray, late: np.ndarray, tmp_path: Path):
    package_model(booster(rows, late), rows, tmp_path / "a")
    package = package_model(tmp_path / "a" / "model.onnx", pl.DataFrame(rows, schema=NAMES), tmp_path / "b")
    assert package.flavor == "onnx" and [field.name for field in package.signature.inputs] == NAMES
    assert (tmp_path / "b" / "model.onnx").read_bytes() == (tmp_path / "a" / "model.onnx").read_bytes()
    with pytest.raises(InvalidInput, match="not a valid ONNX model"):
        package_model(b"no graph", None, tmp_path / "c")


def test_what_cannot_be_packaged_is_refused_with_the_reason(rows: np.ndarray, late: np.ndarray, tmp_path: Path):
    model = booster(rows, late)
    frame = pl.DataFrame(rows, schema=NAMES)
    named = LogisticRegression().fit(pd.DataFrame(rows, columns=NAMES), late)
    cases: list[tuple[Any, Any, str]] = [
        (model, rows[:, :3], "the sample has 3 columns, the model was fitted on 4"),
        (model, frame.select(NAMES[::-1]), "the model's columns in another order"),
        (model, frame[:0], "the sample is empty"),
        (model, rows[0], "the sample has shape"),
        (lgb.LGBMClassifier(), rows, "is not fitted"),
        (named, frame.rename({"rain": "snow"}), "lacks the column 'rain'"),
        (LogisticRegression(), rows, "does not take its sample: NotFittedError"),
        (lambda x: x[:1], rows, "gives 1 predictions for 750 rows"),
        (lambda x: 3, rows, "gives one int for 750 rows"),
        (3, rows, "a builtins.int cannot be packaged"),
    ]  # fmt: skip
    for number, (estimator, sample, message) in enumerate(cases):
        with pytest.raises(InvalidInput, match=message):
            package_model(estimator, sample, tmp_path / str(number))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(InvalidInput, match="is not empty"):
        package_model(model, rows, tmp_path / "full")


def test_log_model_registers_and_load_model_answers(any_ws: hs.Workspace, rows: np.ndarray, late: np.ndarray):
    model = booster(rows, late)
    made = hs.log_model(any_ws, "delay", model, pl.DataFrame(rows, schema=NAMES), metrics={"auc": 0.7}, once="t1")
    again = hs.log_model(any_ws, "delay", model, pl.DataFrame(rows, schema=NAMES), once="t1")
    assert again == made and made.version == 1 and made.onnx.agrees and sorted(made.files) == [
        "model.json", "model.onnx", "model.txt", "sample.arrow",
    ]  # fmt: skip
    loaded = load_model(any_ws, "delay")
    np.testing.assert_allclose(
        loaded.predict(pl.DataFrame(rows, schema=NAMES)[NAMES[::-1]]), model.predict(single(rows)), atol=1e-6
    )
    with pytest.raises(InvalidInput, match="column 'rain' is missing"):
        loaded.predict(pl.DataFrame(rows, schema=NAMES).drop("rain"))
    with pytest.raises(InvalidInput, match="the model takes 4 columns"):
        loaded.predict(rows[:, :2])


def test_a_pickle_is_a_program(ws: hs.Workspace, rows: np.ndarray, late: np.ndarray, tmp_path: Path):
    model = make_pipeline(Doubled(), LogisticRegression()).fit(rows, late)
    hs.log_model(ws, "m", model, rows)
    with pytest.raises(Refused, match="is a pickle, and loading one runs code"):
        load_model(ws, "m")
    loaded = load_model(ws, "m", unpickle=True)
    np.testing.assert_array_equal(loaded.predict(rows), model.predict_proba(rows)[:, 1])
    recorded = ws.registry.get_version("m").files["model.pkl"]
    (loaded.folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(Corrupt, match="is not what was registered"):
        load_package(loaded.folder, unpickle=recorded)
    again = load_model(ws, "m", unpickle=True)  # fetched again from the store
    np.testing.assert_array_equal(again.predict(rows), loaded.predict(rows))


def test_own_code_travels_with_the_model(rows: np.ndarray, tmp_path: Path):
    package_model(first_column, rows, tmp_path / "p")
    asked = subprocess.run(
        [
            sys.executable, "-c",
            "import sys, numpy as np\n"
            "from homeostat.registry import load_package\n"
            "from homeostat.core.blobs import digest_of_file\n"
            "model = load_package(sys.argv[1], unpickle=digest_of_file(sys.argv[1] + '/model.pkl'))\n"
            "print(model.predict(np.ones((2, 4))).tolist(), 'tests.registry.own_code' in sys.modules)",
            str(tmp_path / "p"),
        ],
        check=True, capture_output=True, text=True, env={"PYTHONPATH": str(Path("src").resolve())}, cwd=tmp_path,
    )  # fmt: skip
    assert asked.stdout.strip() == "[1.0, 1.0] False"
