"""Moving out: models of this workspace into the registry of a running MLflow server, every version under its number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from homeostat.core.blobs import File
from homeostat.core.errors import AlreadyExists, Conflict, HomeostatError, NotFound
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.registry.mlmodel_form import version_files
from homeostat.registry.model import Model, ModelVersion
from homeostat.registry.models import get_model, list_models
from homeostat.registry.versions import get_version
from homeostat.tracking import Target, pairs

_ORIGIN, _EXPERIMENT = "homeostat.exported", "exported-models"


class ModelsExported(Record):
    """`copied` versions went now, `already` were there from an earlier export; `left` says what was not, and why."""

    models: int
    copied: int
    already: int
    left: dict[str, str] = {}


def export_models(
    ws: Workspace, target: Target, told: Callable[[int, str], None] = lambda _number, _name: None
) -> ModelsExported:
    """Copy every model; export the runs first, which versions name. Each file is read back and compared.

    A package goes as the MLflow model that it is too. A version keeps its number: one that was deleted here is made and
    deleted there. A model of the same name that was made there is left alone, and named in `left`.
    """
    copied = already = 0
    left: dict[str, str] = {}
    found = list_models(ws)
    for number, model in enumerate(found, 1):
        try:
            went, known = _export(ws, target, get_model(ws, model.name))
        except HomeostatError as error:
            left[f"model {model.name}"] = error.message
        else:
            copied, already = copied + went, already + known
        told(number, model.name)
    return ModelsExported(models=len(found), copied=copied, already=already, left=left)


def _export(ws: Workspace, target: Target, model: Model) -> tuple[int, int]:
    calls = target.calls
    try:
        tags = pairs({**model.tags, _ORIGIN: "yes"})
        asked = {"name": model.name, "description": model.description, "tags": tags}
        calls.json("POST", "registered-models/create", asked)
    except AlreadyExists:
        there = calls.json("GET", "registered-models/get", {"name": model.name})["registered_model"]
        if _ORIGIN not in {tag["key"] for tag in there.get("tags", [])}:
            raise Conflict(f"there is a model '{model.name}' there that did not come from here") from None
    literal = "'" + model.name.replace("'", "\\'") + "'"
    asked = {"filter": f"name={literal}", "order_by": "version_number DESC"}
    newest = next(calls.pages("GET", "model-versions/search", "model_versions", asked), None)
    done = int(newest["version"]) if newest else 0
    copied = 0
    for number in range(done + 1, model.versions + 1):
        try:
            copied += _version(ws, target, get_version(ws, model.name, number))
        except NotFound:
            where = {"name": model.name, "version": _made(target, model.name, number, {"source": "s3://deleted/here"})}
            calls.json("DELETE", "model-versions/delete", where)
    for alias, number in model.aliases.items():
        asked = {"name": model.name, "alias": alias, "version": str(number)}
        calls.json("POST", "registered-models/alias", asked)
    return copied, min(done, model.versions)


def _version(ws: Workspace, target: Target, version: ModelVersion) -> int:
    run = target.runs.get(version.run_id or "")
    asked: dict[str, Any] = {"description": version.description, "tags": pairs(version.tags)}
    files = version_files(ws, version)
    if files:
        run = run or _carrier(target, version)
        asked["source"] = _sent(ws, target, run["artifact_uri"], version, files)
    else:
        asked["source"] = version.source
    if run is not None:
        asked["run_id"] = run["run_id"]
    number = _made(target, version.model, version.version, asked)
    if version.stage != "None":
        stage = {"name": version.model, "version": number, "stage": version.stage, "archive_existing_versions": False}
        target.calls.json("POST", "model-versions/transition-stage", stage)
    return 1


def _sent(ws: Workspace, target: Target, root: str, version: ModelVersion, files: dict[str, File]) -> str:
    folder = f"registered/{re.sub(r'[^A-Za-z0-9_.-]', '_', version.model)}/{version.version}"
    for path, kept in files.items():
        with open(ws.blobs.local_path(kept.digest), "rb") as file:
            target.send(root, f"{folder}/{path}", kept.digest, kept.size, file)
    return f"{root.rstrip('/')}/{quote(folder)}"


def _carrier(target: Target, version: ModelVersion) -> dict[str, Any]:
    """A run that holds the files of a version without one."""
    experiment = target.experiment(_EXPERIMENT, {})
    asked = {
        "experiment_id": experiment, "start_time": version.created_ms, "run_name": f"{version.model} {version.version}"
    }  # fmt: skip
    made: dict[str, Any] = target.calls.json("POST", "runs/create", asked)["run"]["info"]
    ended = {"run_id": made["run_id"], "status": "FINISHED", "end_time": version.created_ms}
    target.calls.json("POST", "runs/update", ended)
    return made


def _made(target: Target, model: str, number: int, asked: dict[str, Any]) -> str:
    made = target.calls.json("POST", "model-versions/create", {"name": model, **asked})["model_version"]["version"]
    if int(made) != number:
        raise Conflict(f"version {number} of '{model}' would become {made} there")
    return str(made)
