"""Models that other tools laid out on disk become versions here."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.errors import InvalidInput, NotFound, Refused
from homeostat.registry import fetch, import_folder, load_package
from homeostat.registry.layouts.reading import read_layout
from homeostat.registry.layouts.textproto import read_textproto
from tests.serving.models import expected, logistic

WEIGHTS = np.array([0.5, -1.0, 0.25])
ROWS = np.random.default_rng(0).normal(size=(120, 3)).astype("f4")
LABELS = (ROWS[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    return lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_leaves": 4, "num_threads": 1},
        lightgbm.Dataset(ROWS, LABELS, feature_name=["distance", "hour", "wind"]),
        num_boost_round=3,
    )


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def mlserver(name: str, runtime: str, uri: str) -> str:
    inputs = [{"name": "predict", "datatype": "FP32", "shape": [-1, 3]}]
    parameters = {"uri": uri, "version": "v1.2"}
    return json.dumps({"name": name, "implementation": runtime, "parameters": parameters, "inputs": inputs})


def test_tritons_repository_gives_the_newest_version_of_each_model(ws: hs.Workspace, tmp_path: Path):
    config = """
    # what Triton reads
    name: "churn"
    backend: "onnxruntime"
    max_batch_size: 0
    input [ { name: "features" data_type: TYPE_FP32 dims: [ -1, 3 ] } ]
    """
    folder = write(tmp_path / "models", {
        "churn/config.pbtxt": config, "churn/2/model.onnx": logistic(-WEIGHTS),
        "churn/10/model.onnx": logistic(WEIGHTS), "bare/1/model.onnx": logistic(WEIGHTS),
        "churn/²/model.onnx": logistic(-WEIGHTS),  # a digit that is no number
    })  # fmt: skip
    found = {version.model: version for version in import_folder(ws, folder)}
    assert sorted(found) == ["bare", "churn"]
    assert found["churn"].tags == {"imported.layout": "triton", "imported.version": "10"}
    model = load_package(fetch(ws, "churn", dest=tmp_path / "out"))
    assert model.package.signature.inputs[0].shape == [-1, 3]
    graph = (tmp_path / "out" / "model.onnx").read_bytes()
    assert graph == logistic(WEIGHTS)
    assert [version.version for version in import_folder(ws, folder)] == [1, 1], "the same files are the same version"


def test_mlservers_settings_name_the_file(ws: hs.Workspace, tmp_path: Path, booster: lightgbm.Booster):
    folder = write(tmp_path / "repository", {
        "trees/model-settings.json": mlserver("delay", "mlserver_lightgbm.LightGBMModel", "./delay.txt"),
        "trees/delay.txt": booster.model_to_string(),
        "graph/model-settings.json": mlserver("churn", "mlserver_onnx.OnnxModel", "model.onnx"),
        "graph/model.onnx": logistic(WEIGHTS),
    })  # fmt: skip
    churn, delay = import_folder(ws, folder)
    assert (churn.model, delay.model, delay.flavor) == ("churn", "delay", "lightgbm")
    assert delay.tags["imported.version"] == "v1.2"
    assert [field.name for field in delay.signature.inputs] == ["distance", "hour", "wind"]
    answers = load_package(fetch(ws, "delay", dest=tmp_path / "out")).predict(ROWS)
    np.testing.assert_array_equal(answers, booster.predict(ROWS, num_threads=1))
    assert "no rows of input" in delay.onnx.reason


@pytest.mark.parametrize("file", ["model.bst", "iris.bst", "saved.model"])
def test_mlservers_lightgbm_is_read_whatever_its_file_is_called(
    ws: hs.Workspace, tmp_path: Path, booster: lightgbm.Booster, file: str
):
    settings: dict[str, Any] = {"name": "delay", "implementation": "mlserver_lightgbm.LightGBMModel"}
    if file != "model.bst":  # the one that MLServer looks for unless it is told another
        settings["parameters"] = {"uri": f"./{file}"}
    folder = write(tmp_path, {"model-settings.json": json.dumps(settings), file: booster.model_to_string()})
    (delay,) = import_folder(ws, folder)
    assert (delay.model, delay.flavor) == ("delay", "lightgbm")


@pytest.mark.parametrize("file", ["model.bst", "model.json", "model.ubj"])
def test_xgboost_as_mlserver_and_bentoml_keep_it(ws: hs.Workspace, tmp_path: Path, file: str):
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(ROWS, LABELS)
    data = bytes(model.get_booster().save_raw("json" if file == "model.json" else "ubj"))
    settings = json.dumps({"name": "trees", "implementation": "mlserver_xgboost.XGBoostModel"})
    write(tmp_path / "mlserver", {"model-settings.json": settings, file: data})
    told = "name: stored\nversion: abc\nmodule: bentoml.xgboost\napi_version: v1\n"
    write(tmp_path / "bento", {"model.yaml": told, "saved_model.ubj": bytes(model.get_booster().save_raw("ubj"))})
    write(tmp_path / "alone", {"model.ubj": bytes(model.get_booster().save_raw("ubj")), "readme.md": "trees"})
    for folder, name in (("mlserver", "trees"), ("bento", "stored"), ("alone", "alone")):
        (version,) = import_folder(ws, tmp_path / folder)
        assert (version.model, version.flavor) == (name, "xgboost")
        answers = load_package(fetch(ws, name, dest=tmp_path / f"{name}-out")).predict(ROWS)
        np.testing.assert_allclose(answers, model.predict_proba(ROWS)[:, 1], rtol=1e-6)


@pytest.mark.parametrize("file", ["model.cbm", "model.bin"])
def test_catboost_as_mlserver_and_bentoml_keep_it(ws: hs.Workspace, tmp_path: Path, file: str):
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False).fit(ROWS, LABELS)
    model.save_model(str(tmp_path / "kept.cbm"))
    data = (tmp_path / "kept.cbm").read_bytes()
    settings = json.dumps({"name": "trees", "implementation": "mlserver_catboost.CatboostModel"})
    write(tmp_path / "mlserver", {"model-settings.json": settings, file: data})
    told = "name: stored\nversion: abc\nmodule: bentoml.catboost\napi_version: v1\n"
    write(tmp_path / "bento", {"model.yaml": told, "saved_model.cbm": data})
    for folder, name in (("mlserver", "trees"), ("bento", "stored")):
        (version,) = import_folder(ws, tmp_path / folder)
        assert (version.model, version.flavor) == (name, "catboost")


@pytest.mark.parametrize("file", ["saved_model.txt", "saved_model.ubj"])
def test_bentomls_store(ws: hs.Workspace, tmp_path: Path, booster: lightgbm.Booster, file: str):
    """BentoML 1.4.39 keeps LightGBM's text as `saved_model.ubj`, earlier ones as `saved_model.txt`."""
    folder = write(tmp_path / "bentoml", {
        "models/delay/abc123/model.yaml": "name: delay\nversion: abc123\nmodule: bentoml.lightgbm\napi_version: v1\n",
        f"models/delay/abc123/{file}": booster.model_to_string(),
        "models/delay/older/model.yaml": "name: delay\nversion: older\nmodule: bentoml.lightgbm\n",
        f"models/delay/older/{file}": "not looked at",
        "models/delay/latest": "abc123",
    })  # fmt: skip
    (delay,) = import_folder(ws, folder)
    assert (delay.model, delay.tags["imported.version"]) == ("delay", "abc123")


def test_mlflows_folder_keeps_its_columns(ws: hs.Workspace, tmp_path: Path):
    model = LogisticRegression().fit(ROWS, LABELS)
    hs.log_model(ws, "churn", model, ROWS)
    folder = fetch(ws, "churn", dest=tmp_path / "mlflow", form="mlflow")
    (again,) = import_folder(ws, folder, "copy")
    assert (again.flavor, again.tags["mlflow.flavor"]) == ("onnx", "onnx")
    assert [field.name for field in again.signature.inputs] == ["f0", "f1", "f2"]
    answers = load_package(fetch(ws, "copy", dest=tmp_path / "out")).predict(ROWS)
    np.testing.assert_allclose(answers, model.predict_proba(ROWS)[:, 1], atol=1e-6)
    told = ws.explain.explain_row("copy", {"f0": 2.0, "f1": 0.0, "f2": 0.0})
    assert told.contributions[0].feature == "f0", "its input example is its sample"
    (folder / "input_example.json").unlink()
    assert "sample.arrow" not in import_folder(ws, folder, "bare")[0].files


def test_an_mlflow_booster_with_an_example_is_converted(ws: hs.Workspace, tmp_path: Path, booster: lightgbm.Booster):
    example = {"columns": booster.feature_name(), "data": ROWS[:5].astype(float).tolist()}
    folder = write(tmp_path / "model", {
        "MLmodel": "flavors: {lightgbm: {data: model.lgb}, python_function: {loader_module: mlflow.lightgbm}}",
        "model.lgb": booster.model_to_string(), "input_example.json": json.dumps(example),
    })  # fmt: skip
    (version,) = import_folder(ws, folder)
    assert (version.model, version.onnx.agrees) == ("model", True)


def test_a_package_of_ours_and_single_files(ws: hs.Workspace, tmp_path: Path):
    hs.package_model(LogisticRegression().fit(ROWS, LABELS), ROWS, tmp_path / "package")
    (version,) = import_folder(ws, tmp_path / "package", "mine")
    assert (version.flavor, version.onnx.agrees, version.run_id) == ("sklearn", True, None)
    write(tmp_path / "one", {"model.onnx": logistic(WEIGHTS)})
    assert import_folder(ws, tmp_path / "one")[0].model == "one"
    assert import_folder(ws, tmp_path / "one" / "model.onnx")[0].model == "model"
    features = np.array([[1.0, 2.0, 3.0]], dtype="f4")
    import onnxruntime

    session = onnxruntime.InferenceSession(fetch(ws, "one", dest=tmp_path / "out") / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"features": features})[0], expected(WEIGHTS, features), rtol=1e-6)


def test_a_pickle_is_loaded_only_when_allowed_and_elsewhere(ws: hs.Workspace, tmp_path: Path):
    model = LogisticRegression().fit(ROWS, LABELS)
    folder = write(tmp_path / "trees", {
        "model-settings.json": mlserver("churn", "mlserver_sklearn.SKLearnModel", "./model.joblib")
    })  # fmt: skip
    joblib.dump(model, folder / "model.joblib")
    with pytest.raises(Refused, match="loading one runs code"):
        import_folder(ws, folder)
    assert ws.registry.list_models() == []
    (version,) = import_folder(ws, folder, allow_code=True)
    assert (version.flavor, version.classes) == ("sklearn", ["0", "1"])
    assert version.run_id is not None
    assert ws.tracking.get_run(version.run_id).tags["homeostat.allowed_code"] == version.digest
    assert "sample.arrow" not in version.files, "made-up rows are no sample"
    package = fetch(ws, "churn", dest=tmp_path / "out")
    answers = load_package(package, unpickle=version.files["model.pkl"]).predict(ROWS)
    np.testing.assert_array_equal(answers, model.predict_proba(ROWS)[:, 1])


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("import pathlib; pathlib.Path('here').write_text('ran')",)


def test_a_pickles_code_never_runs_in_this_process(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    joblib.dump(Bomb(), tmp_path / "model.pkl")
    with pytest.raises(Refused):
        import_folder(ws, tmp_path / "model.pkl")
    assert not (tmp_path / "here").exists()
    with pytest.raises(InvalidInput, match=r"model\.pkl' cannot be packaged"):
        import_folder(ws, tmp_path / "model.pkl", allow_code=True)


@pytest.mark.parametrize(("files", "words"), [
    ({"readme.md": "nothing"}, "no model"),
    ({"config.pbtxt": 'platform: "tensorrt_plan"', "1/model.plan": b""}, "backend 'tensorrt_plan'"),
    ({"config.pbtxt": 'name: "x"'}, "no numbered folder"),
    ({"config.pbtxt": "name: [", "1/model.onnx": b""}, "value was expected"),
    ({"model-settings.json": mlserver("x", "mlserver_xgboost.XGBoostModel", "m.json")}, "no such file"),
    ({"model-settings.json": mlserver("x", "mlserver_mllib.MLlibModel", "m.json")}, "MLlibModel"),
    ({"model-settings.json": mlserver("x", "mlserver_sklearn.SKLearnModel", "../../etc/passwd")}, "not lie inside"),
    ({"model-settings.json": mlserver("x", "mlserver_onnx.OnnxModel", "s3://bucket/model.onnx")}, "fetch it"),
    ({"model-settings.json": "[]"}, "no fields"),
    ({"model.yaml": "module: bentoml.pytorch\nname: x"}, "bentoml.pytorch"),
    ({"MLmodel": "flavors: {pytorch: {}}"}, "pytorch"),
    ({"MLmodel": "flavors: {onnx: {data: model.onnx}}"}, "no such file"),
    ({"model.onnx": b"not a graph"}, "not a valid ONNX model"),
    ({"model.txt": "hello"}, "not LightGBM's text"),
    ({"model.txt": "tree\nversion=v4\nnonsense"}, "not a LightGBM model"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(
    ws: hs.Workspace, tmp_path: Path, files: dict[str, bytes | str], words: str
):
    with pytest.raises(InvalidInput) as caught:
        import_folder(ws, write(tmp_path / "model", files))
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert ws.registry.list_models() == []


def test_names(ws: hs.Workspace, tmp_path: Path):
    with pytest.raises(NotFound):
        read_layout(tmp_path / "nowhere")
    folder = write(tmp_path, {"a/1/model.onnx": logistic(WEIGHTS), "b/1/model.onnx": logistic(WEIGHTS)})
    with pytest.raises(InvalidInput, match="holds 2 models"):
        import_folder(ws, folder, "one")
    write(tmp_path, {"c/a/1/model.onnx": logistic(WEIGHTS)})
    with pytest.raises(InvalidInput, match="more than one model called 'a'"):
        import_folder(ws, folder)


@given(st.text(alphabet=st.sampled_from("ab1:{}[]<>,;\"'\\# \n.é"), max_size=60))
def test_any_text_is_read_or_refused(source: str):
    with contextlib.suppress(InvalidInput):  # anything else fails
        assert isinstance(read_textproto(source), dict)


def test_the_command(ws: hs.Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write(tmp_path / "one", {"model.onnx": logistic(WEIGHTS)})
    assert main(["import", "folder", str(folder), "--name", "churn", "--home", str(ws.home)]) == 0
    assert capsys.readouterr().out == "churn version 1: file, answers as ONNX\n"
