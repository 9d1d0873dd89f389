"""From a model that was found to a package of ours.

ONNX graphs and the files of LightGBM, XGBoost and CatBoost are read here. A pickle is a program: it is loaded only when
the caller allows it, by a process of its own that writes the package (`pickled.py`), and never by this one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.extras import require
from homeostat.core.paths import inside
from homeostat.registry.catboost_form import load_catboost
from homeostat.registry.environment import environment_of
from homeostat.registry.estimators import load_lightgbm, read_original
from homeostat.registry.layouts.examples import read_example
from homeostat.registry.layouts.found import FoundModel, numbered, read_small
from homeostat.registry.layouts.own_code import build_own_code
from homeostat.registry.manifest import MANIFEST, parse_manifest
from homeostat.registry.model import FEATURES, Field, OnnxReport, Package, Signature
from homeostat.registry.packaging import SAMPLE, maker, package_model, width_of, write_manifest
from homeostat.registry.python_form import ARTIFACTS, REQUIREMENTS
from homeostat.registry.samples import write_sample
from homeostat.registry.skops_form import is_harmless
from homeostat.registry.xgboost_form import load_xgboost

_LONGEST_S = 600


def build_package(found: FoundModel, dest: Path, *, allow_code: bool = False) -> Package:
    """Write the package of a model that was found into the folder `dest`.

    Raises: Refused for a pickle unless `allow_code`; InvalidInput when the file is not what it is called.
    """
    dest.mkdir(parents=True, exist_ok=True)
    if found.form == "package":
        return _copy(found.file, dest, allow_code)
    if found.form == "onnx":
        return _onnx(found, dest)
    if found.form == "lightgbm":
        return _booster(found, dest, _lightgbm(found.file))
    if found.form == "xgboost":
        return _booster(found, dest, _xgboost(found.file))
    if found.form == "catboost":
        return _booster(found, dest, load_catboost(found.file.read_bytes()))
    if found.form == "pyfunc":
        _need(allow_code, found.file.name, "tells of a model of own code")
        return build_own_code(found.file.parent, dest)
    if found.form != "skops" or not is_harmless(found.file.read_bytes()):
        _need(allow_code, found.file.name)
    return _pickle(found, dest)


def _copy(folder: Path, dest: Path, allow_code: bool) -> Package:
    package = parse_manifest(read_small(folder / MANIFEST))
    if package.runs_code and package.onnx.file is None:
        _need(allow_code, package.file)
    if package.flavor == "pyfunc":  # the whole folder that MLflow loads
        within = inside(folder, package.file).parent
        if within == folder.resolve():
            raise InvalidInput(f"the package in {folder.name} has no folder for what MLflow loads")
        shutil.copytree(within, inside(dest, within.name))
    for name in {MANIFEST, package.file, package.onnx.file, package.sample} - {None}:
        source, target = inside(folder, str(name)), inside(dest, str(name))
        if not source.is_file():
            raise InvalidInput(f"the package in {folder.name} names '{name}' and does not hold it")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if (folder / ARTIFACTS).is_dir():
        shutil.copytree(folder / ARTIFACTS, dest / ARTIFACTS)
    if (folder / REQUIREMENTS).is_file():
        shutil.copyfile(folder / REQUIREMENTS, dest / REQUIREMENTS)
    return package


def _onnx(found: FoundModel, dest: Path) -> Package:
    package = package_model(found.file, None, dest)
    graph = package.signature.inputs
    columns = found.inputs
    # A graph of one matrix whose columns the folder names is asked by those names.
    one = graph[0] if len(graph) == 1 and len(graph[0].shape) == 2 and graph[0].dtype == "FP32" else None
    named = bool(columns) and all(len(field.shape) == 1 and field.dtype != "BYTES" for field in columns)
    if one is None or not named or one.shape[1] not in (-1, len(columns)):
        return package
    signature = msgspec.structs.replace(package.signature, inputs=columns, tensor=one.name)
    names = [field.name for field in columns]
    rows = read_example(found.example)
    if rows is not None and set(rows.columns) == set(names):
        write_sample(rows.select(names), dest / SAMPLE)
        package = msgspec.structs.replace(package, sample=SAMPLE)
    return write_manifest(dest, msgspec.structs.replace(package, signature=signature))


def _lightgbm(file: Path) -> Any:
    text = file.read_bytes().decode(errors="replace")
    if not text.startswith("tree"):
        raise InvalidInput(f"'{file.name}' is not LightGBM's text", hint="save it with Booster.save_model")
    lightgbm = require("lightgbm", extra="ml")
    try:
        return load_lightgbm(text)
    except lightgbm.basic.LightGBMError as error:
        raise InvalidInput(f"'{file.name}' is not a LightGBM model: {str(error)[:200]}") from error


def _xgboost(file: Path) -> Any:
    xgboost = require("xgboost", extra="xgboost")
    try:
        return load_xgboost(file.read_bytes())
    except xgboost.core.XGBoostError as error:
        last = (str(error).strip().splitlines() or ["it does not say why"])[0]
        raise InvalidInput(f"'{file.name}' is not an XGBoost model: {last[-200:]}") from error


def _booster(found: FoundModel, dest: Path, booster: Any) -> Package:
    original = read_original(booster)
    names = original.features or numbered(width_of(original))
    example = read_example(found.example)
    if example is not None and example.width == len(names):
        return package_model(booster, example, dest)
    if original.by_name:
        raise InvalidInput(f"'{found.file.name}' takes categories, and nothing shows its columns",
                           hint="log it with an input example")  # fmt: skip
    (dest / original.file).write_bytes(original.data)
    reason = "there are no rows of input here to compare an ONNX form on"
    return write_manifest(dest, Package(
        format=1, flavor=original.flavor, file=original.file, sample=None, created_by=maker(),
        onnx=OnnxReport(available=False, agrees=False, tolerance=0.0, reason=reason),
        signature=Signature(
            inputs=[Field(name=name, dtype="FP32") for name in names], outputs=[original.output],
            tensor=FEATURES,
        ),
        environment=environment_of(original.flavor, original.file, original.data, False),
    ))  # fmt: skip


def _pickle(found: FoundModel, dest: Path) -> Package:
    """Let a process of its own load the pickle and write the package; what it says when it cannot is the reason."""
    columns = [field.name for field in found.inputs if len(field.shape) == 1]
    if len(found.inputs) == 1 and len(found.inputs[0].shape) == 2:
        columns = numbered(max(0, found.inputs[0].shape[1]))
    example = str(found.example) if read_example(found.example) is not None else ""
    path = [*([str(found.code)] if found.code else []), *sys.path]
    done = subprocess.run(
        [sys.executable, "-m", "homeostat.registry.layouts.pickled", str(found.file), str(dest), example,
         json.dumps(columns)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True, text=True, timeout=_LONGEST_S, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise InvalidInput(f"'{found.file.name}' cannot be packaged: {said[:400]}")
    return parse_manifest((dest / MANIFEST).read_bytes())


def _need(allowed: bool, file: str, what: str = "is a pickle or holds one") -> None:
    if not allowed:
        raise Refused(
            f"'{file}' {what}, and loading one runs code",
            hint="pass --allow-code (allow_code=True) if you trust whoever made it, or bring the model as ONNX",
        )
