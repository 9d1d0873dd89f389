"""Models out of another tool's folder, as versions here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from homeostat.core.errors import InvalidInput
from homeostat.core.workspace import Workspace
from homeostat.registry.files import put_package
from homeostat.registry.layouts.building import build_package
from homeostat.registry.layouts.reading import read_layout
from homeostat.registry.model import ModelVersion
from homeostat.registry.skops_form import FILE

_EXPERIMENT = "imported-models"


def import_folder(
    ws: Workspace, folder: str | os.PathLike[str], name: str | None = None, *, allow_code: bool = False
) -> list[ModelVersion]:
    """Register every model in `folder` as the next version of the model of its name, or of `name` if there is one.

    Read are packages of ours, MLflow's `MLmodel`, MLServer's `model-settings.json`, Triton's model repository,
    BentoML's model store, and single files of ONNX, LightGBM, XGBoost, CatBoost, skops, PyTorch, or pickled ones. The
    same files again give the version they gave before. `allow_code` says that you trust whoever made the pickles among
    them: each is loaded once, in a process of its own, and may be deployed afterwards. Works against a server too.

    Raises: NotFound, InvalidInput, or Refused for a pickle without `allow_code`; then nothing is registered.
    """
    found = read_layout(Path(folder), name)
    names = [model.name for model in found]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{folder} holds more than one model called '{twice}'", hint="import one folder at a time")
    with tempfile.TemporaryDirectory(prefix="homeostat-import-") as scratch:
        packages = [Path(scratch) / str(number) for number in range(len(found))]
        made = [build_package(model, into, allow_code=allow_code) for model, into in zip(found, packages, strict=True)]
        versions: list[ModelVersion] = []
        for model, package, into in zip(found, made, packages, strict=True):
            digest = put_package(ws, into)
            code = package.runs_code or package.file == FILE
            tags = {"imported.layout": model.layout, "imported.version": model.version, **model.tags}
            run = _vouch(ws, model.name, digest) if code and allow_code else None
            versions.append(ws.registry.register(
                model=model.name, package=digest, run_id=run, once=f"folder {digest} {run or ''}".rstrip(),
                tags={key: value for key, value in tags.items() if value},
            ))  # fmt: skip
    return versions


def _vouch(ws: Workspace, model: str, digest: str) -> str:
    """The run that stands for whoever said that this model's code may run here, once for each package."""
    identity = hashlib.sha256(f"imported {model} {digest}".encode()).hexdigest()[:32]
    run = ws.tracking.create_run(_EXPERIMENT, f"import {model}", id=identity, tags={"homeostat.allowed_code": digest})
    if run.status == "running":
        ws.tracking.finish_run(run.id)
    return run.id
