"""From a trained model to a package: a folder that says what the model is and holds all it takes to run it.

The same model and sample give the same bytes: no times, no random names, keys in order.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.paths import inside
from homeostat.core.records import plain
from homeostat.core.version import VERSION
from homeostat.core.workspace import Workspace
from homeostat.registry import onnx_form, safetensors, samples, torch_form
from homeostat.registry.environment import declared, environment_of
from homeostat.registry.estimators import read_original
from homeostat.registry.files import put_package
from homeostat.registry.manifest import MANIFEST
from homeostat.registry.model import FEATURES, DataVersion, Field, ModelVersion, OnnxReport, Package, Signature
from homeostat.registry.original import Original
from homeostat.registry.python_form import ARTIFACTS, REQUIREMENTS

SAMPLE = "sample.arrow"
_Path = str | os.PathLike[str]
Artifacts = _Path | Mapping[str, _Path]


def package_model(
    estimator: Any,
    sample: Any,
    dest: str | os.PathLike[str],
    *,
    tolerance: float = onnx_form.TOLERANCE,
    onnx: bool = True,
    pickled: bool = True,
    artifacts: Artifacts | None = None,
    environment: Sequence[str] | _Path | None = None,
) -> Package:
    """Write a package of `estimator` into the folder `dest` and give its manifest.

    `estimator`: a Booster or estimator of LightGBM, XGBoost or CatBoost, a scikit-learn estimator or pipeline, a
    PyTorch module from one matrix to one tensor, a Python function (or an object with `predict`) from rows to
    predictions, a class of such objects, or an ONNX model as a path, bytes or ModelProto.
    `sample`: rows of its input, a hundred or more (Polars, pandas, PyArrow, or an array [n, k]); up to 1,000 are kept.
    An ONNX form is added (`onnx=False` does not try) where it agrees with the original on the sample to `tolerance`;
    the manifest says why where there is none. Functions and classes of your own modules go into the package.
    `pickled=False` keeps a scikit-learn model with skops, which runs no code when it is loaded, and refuses what cannot
    be kept so. `artifacts` are files that a class reads: a folder, or files and folders by the names they get. Whoever
    loads the package makes one object of the class and calls its `load(folder)`. `environment` are requirements
    (or a file of them) that a model of own code or of scikit-learn is served with, in a Python of its own if need be.

    Raises: InvalidInput for a model that is not fitted or a sample that does not fit it.

    >>> import numpy as np, tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> rows = np.random.default_rng(0).normal(size=(200, 3))
    >>> made = package_model(LogisticRegression().fit(rows, rows[:, 0] > 0), rows, tempfile.mkdtemp())
    >>> made.flavor, made.onnx.agrees, [field.name for field in made.signature.outputs]
    ('sklearn', True, ['probability'])
    """
    folder = _new_folder(dest)
    if artifacts is not None and not isinstance(estimator, type):
        raise InvalidInput("files come along with a class, whose load(folder) reads them",
                           hint="give the class itself, or leave out artifacts")  # fmt: skip
    if isinstance(estimator, bytes | str | os.PathLike) or hasattr(estimator, "SerializeToString"):
        return _write_onnx(folder, estimator, sample)
    original, frame = _read(estimator, sample, pickled, _keep_artifacts(artifacts, folder))
    words = samples.text_columns(frame)
    outputs = _known_outputs(original, frame, words)
    original = msgspec.structs.replace(original, output=outputs[0])
    report, graph = _onnx_of(original, frame, words, tolerance) if onnx else (_untried(tolerance), None)
    signature = Signature(inputs=samples.inputs_of(frame), outputs=outputs, tensor=None if words else FEATURES)
    _write_forms(folder, original, graph)
    samples.write_sample(frame, folder / SAMPLE)
    needed = environment_of(original.flavor, original.file, original.data, graph is not None)
    if environment is not None:
        needed = _declare(environment, original, bool(words), folder)
    package = Package(
        format=1, flavor=original.flavor, file=original.file, onnx=report, signature=signature, sample=SAMPLE,
        environment=needed, created_by=maker(), classes=original.classes,
    )  # fmt: skip
    return write_manifest(folder, package)


def log_model(
    ws: Workspace,
    model: str,
    estimator: Any,
    sample: Any,
    *,
    metrics: dict[str, float | None] | None = None,
    params: dict[str, Any] | None = None,
    data: list[DataVersion] | None = None,
    tags: dict[str, Any] | None = None,
    run_id: str | None = None,
    description: str = "",
    once: str | None = None,
    tolerance: float = onnx_form.TOLERANCE,
    onnx: bool = True,
    pickled: bool = True,
    artifacts: Artifacts | None = None,
    environment: Sequence[str] | _Path | None = None,
) -> ModelVersion:
    """Package `estimator` and register it as the next version of `model`: `package_model`, then `register`.

    >>> import homeostat as hs, numpy as np, tempfile
    >>> from sklearn.linear_model import LinearRegression
    >>> rows = np.random.default_rng(0).normal(size=(200, 2))
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     made = hs.log_model(ws, "price", LinearRegression().fit(rows, rows.sum(axis=1)), rows, metrics={"r2": 1.0})
    >>> made.version, made.flavor, made.onnx.agrees
    (1, 'sklearn', True)
    """
    with tempfile.TemporaryDirectory(prefix="homeostat-package-") as folder:
        package_model(
            estimator, sample, folder, tolerance=tolerance, onnx=onnx, pickled=pickled, artifacts=artifacts,
            environment=environment,
        )  # fmt: skip
        digest = put_package(ws, folder)
    return ws.registry.register(
        model=model, package=digest, run_id=run_id, metrics=metrics, params=params, data=data, tags=tags,
        description=description, once=once,
    )  # fmt: skip


def _new_folder(dest: _Path) -> Path:
    folder = Path(dest)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidInput(f"{folder} is not empty", hint="name a new folder")
    return folder


def _read(estimator: Any, sample: Any, pickled: bool, kept: Path | None) -> tuple[Original, Any]:
    """The model, and its sample as a frame with the columns it takes. `kept`: the folder of the files it comes with."""
    if torch_form.is_torch(estimator):  # it is traced with a row of the sample
        frame = samples.read_sample(sample)
        original = torch_form.read_torch(estimator, samples.matrix(samples.some_rows(frame, 1)))
    else:
        original = read_original(estimator, pickled, kept)
        frame = samples.read_sample(sample, original.features)
    _check_columns(frame.columns, original)
    return original, frame


def _write_forms(folder: Path, original: Original, graph: bytes | None) -> None:
    """Write the model as it was given, its weights and its ONNX form, so far as there are such."""
    (folder / original.file).write_bytes(original.data)
    if original.weights is not None:
        (folder / safetensors.FILE).write_bytes(original.weights)
    if graph is not None:
        (folder / onnx_form.FILE).write_bytes(graph)


def _onnx_of(original: Original, frame: Any, words: list[str], tolerance: float) -> tuple[OnnxReport, bytes | None]:
    reason = ""
    if words:
        reason = f"column '{words[0]}' holds text: only numbers fit into one FP32 tensor"
    elif original.flavor == "python":
        reason = "a Python function has no ONNX form"
    if reason:
        return OnnxReport(available=False, agrees=False, tolerance=tolerance, reason=reason), None
    rows = samples.matrix(samples.some_rows(frame, samples.COMPARED_ROWS))
    return onnx_form.convert(_nameless(original), rows, tolerance)


def _nameless(original: Original) -> Original:
    """An estimator fitted on named columns, asked with arrays, warns; it is asked with a frame of the same columns."""
    if not original.by_name:
        return original
    inner, names = original.predict, original.features

    def by_name(rows: Any) -> Any:
        import pandas as pd

        return inner(pd.DataFrame(rows, columns=names))

    return msgspec.structs.replace(original, predict=by_name)


def _keep_artifacts(artifacts: Artifacts | None, folder: Path) -> Path | None:
    """Copy the files into the package; the folder they are in then."""
    if artifacts is None:
        return None
    kept = folder / ARTIFACTS
    named = artifacts if isinstance(artifacts, Mapping) else {"": artifacts}
    for name, source in named.items():
        found, target = Path(source), inside(kept, name) if name else kept
        if found.is_dir():
            shutil.copytree(found, target, dirs_exist_ok=True)
        elif found.is_file() and name:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, target)
        else:
            raise InvalidInput(f"there is no {'file or ' if name else ''}folder {found} to bring along")
    return kept


def _declare(environment: Sequence[str] | _Path, original: Original, words: bool, folder: Path) -> list[str]:
    """Write what the model's environment must hold; the package's own list of it."""
    if original.flavor not in ("python", "sklearn", "torch"):
        raise InvalidInput(f"a model of {original.flavor} is data and runs with what the server has",
                           hint="leave out environment; it is for own code, scikit-learn and PyTorch")  # fmt: skip
    lines = declared(environment if isinstance(environment, Sequence) else Path(environment), words, original.file)
    (folder / REQUIREMENTS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return sorted({*lines, f"python=={platform.python_version()}"})


def _known_outputs(original: Original, frame: Any, words: list[str]) -> list[Field]:
    """The outputs as one call on the sample shows them, which also proves that the model takes such rows at all."""
    rows = samples.some_rows(frame, samples.KEPT_ROWS)
    asked = rows.to_pandas() if words or original.by_name else samples.matrix(rows)
    try:
        answer = original.predict(asked)
    except Exception as error:  # the user's own model: whatever it raises is the reason
        raise InvalidInput(
            f"the model does not take its sample: {type(error).__name__}: {error}",
            hint="pass rows with the columns it was fitted on, in that order",
        ) from error
    if not isinstance(answer, dict):
        return [_known_shape(original.output, answer, len(rows), original.flavor in ("python", "torch"))]
    named = cast("dict[str, Any]", answer)
    if not named:
        raise InvalidInput("the model gives no output", hint="a dict with an array for each of its outputs")
    return [_known_shape(Field(name=name, dtype="FP32"), array, len(rows), True) for name, array in named.items()]


def _known_shape(field: Field, answer: Any, rows: int, shown: bool) -> Field:
    """The output that the array is of; where only that shows its kind (`shown`), with its kind."""
    import numpy as np

    array = np.asarray(answer)
    place = "" if field.name == "prediction" else f" as '{field.name}'"
    if array.ndim == 0:
        raise InvalidInput(f"the model gives one {type(array.item()).__name__} for {rows} rows{place}",
                           hint="an array with one prediction for each row")  # fmt: skip
    if len(array) != rows:
        raise InvalidInput(f"the model gives {len(array)} predictions for {rows} rows{place}",
                           hint="one for each row")  # fmt: skip
    if not shown:
        return field
    dtype = "FP32" if array.dtype.kind == "f" else "INT64" if array.dtype.kind in "iub" else "BYTES"
    return Field(name=field.name, dtype=dtype, shape=[-1, *array.shape[1:]])


def width_of(original: Original) -> int:
    """How many columns the model takes; 0 when it does not say."""
    match original.flavor:
        case "lightgbm":
            return int(original.estimator.num_feature())
        case "xgboost":
            return int(original.estimator.num_features())
        case "catboost":
            return len(original.estimator.feature_names_)
        case _:
            return len(original.features or ())


def _check_columns(columns: list[str], original: Original) -> None:
    expected = original.features
    width = width_of(original) or len(columns)
    if len(columns) != width:
        raise InvalidInput(f"the sample has {len(columns)} columns, the model was fitted on {width}")
    if expected is None or columns == expected:
        return
    if sorted(columns) == sorted(expected):
        raise InvalidInput("the sample has the model's columns in another order", hint="sample[columns of the model]")
    if original.flavor == "sklearn":
        missing = [name for name in expected if name not in columns]
        raise InvalidInput(f"the sample lacks the column '{missing[0]}' the model was fitted on", columns=missing)


def _write_onnx(folder: Path, source: Any, sample: Any) -> Package:
    if hasattr(source, "SerializeToString"):
        data = source.SerializeToString(deterministic=True)
    else:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    graph = onnx_form.read_graph(data).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [_tensor(value) for value in graph.input if value.name not in weights]
    kept, tensor = None, None
    if sample is not None:
        frame = samples.read_sample(sample)
        one = inputs[0] if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].dtype == "FP32" else None
        if one is not None and one.shape[1] in (-1, frame.width) and not samples.text_columns(frame):
            inputs, tensor = samples.inputs_of(frame), one.name
        samples.write_sample(frame, folder / SAMPLE)
        kept = SAMPLE
    (folder / onnx_form.FILE).write_bytes(data)
    report = OnnxReport(available=True, agrees=True, tolerance=0.0, max_difference=0.0, file=onnx_form.FILE)
    package = Package(
        format=1, flavor="onnx", file=onnx_form.FILE, onnx=report, sample=kept, created_by=maker(),
        signature=Signature(inputs=inputs, outputs=[_tensor(value) for value in graph.output], tensor=tensor),
        environment=environment_of("onnx", onnx_form.FILE, b"", True),
    )  # fmt: skip
    return write_manifest(folder, package)


_ONNX_DTYPES = {
    1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "BYTES", 9: "BOOL",
    10: "FP16", 11: "FP64", 12: "UINT32", 13: "UINT64",
}  # fmt: skip


def _tensor(value: Any) -> Field:
    kind = value.type.tensor_type
    if kind.elem_type not in _ONNX_DTYPES:
        raise InvalidInput(f"'{value.name}' of the ONNX model is not a tensor", hint="convert with zipmap turned off")
    return Field(name=value.name, dtype=_ONNX_DTYPES[kind.elem_type], shape=[d.dim_value or -1 for d in kind.shape.dim])


def _untried(tolerance: float) -> OnnxReport:
    return OnnxReport(available=False, agrees=False, tolerance=tolerance, reason="conversion was not asked for")


def maker() -> str:
    """Who makes packages here."""
    return f"homeostat {VERSION}"


def write_manifest(folder: Path, package: Package) -> Package:
    """Write `model.json` into a package's folder; the package."""
    text = json.dumps(plain(package), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return package
