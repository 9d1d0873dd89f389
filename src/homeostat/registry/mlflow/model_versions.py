"""`model-versions/*`: versions, their tags and where their files lie."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.blobs import File
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.foreign import Args, First, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.registry import lifecycle, models, sources, store, versions
from homeostat.registry.mlflow.search import find_versions
from homeostat.registry.mlflow.shapes import version_json
from homeostat.registry.mlflow.sources import PROMPT_SOURCES, Lineage, resolve
from homeostat.registry.mlflow.wording import (
    model_name,
    no_model,
    no_version,
    tag_key,
    tag_value,
    tags,
    version_number,
)
from homeostat.registry.mlmodel_form import version_files
from homeostat.registry.model import ModelVersion
from homeostat.registry.names import is_prompt
from homeostat.tracking import Artifact, ArtifactResponse, get_logged_model, note_version, safe_path

_BASE = "2.0/mlflow/model-versions"
_MOST_COPIES, _LARGEST = 32, 200_000


@rpc("POST", f"{_BASE}/create", permission="registry:write", at_once=True)
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Make the next version of a model that exists."""
    name, given = model_name(args), tags(args)
    prompt = is_prompt(given)

    def make(c: sa.Connection) -> tuple[ModelVersion, Lineage]:
        holding = store.holding(c, name, more=1)  # asked with what is asked of the source
        lineage = _source(ws, args, prompt)
        wanted = sources.draft(
            name, lineage.source, run_id=lineage.run_id or None, model_id=lineage.model_id, tags=given,
            description=args.text("description"), run_link=args.text("run_link"),
        )  # fmt: skip
        filled = _filled(ws, wanted, lineage)
        try:
            held = holding()
        except NotFound:
            raise no_model(name) from None
        return versions.add(ws, c, filled, parent=lineage.parent, held=held), lineage

    made, lineage = ws.db.write(make)
    if lineage.model_id and not prompt:
        note_version(ws, lineage.model_id, made.model, made.version)
    return {"model_version": version_json(made)}


def _source(ws: Workspace, args: Args, prompt: bool) -> Lineage:
    given = Lineage(args.text("source", required=True), args.text("run_id"), args.text("model_id"))
    if not prompt:
        return resolve(ws, given, args.has("run_id"), args.has("model_id"))
    if given.source not in PROMPT_SOURCES:
        raise invalid(f"Invalid prompt source: '{given.source[:300]}'. Prompt sources must use an MLflow placeholder.")
    return given


@rpc("GET", f"{_BASE}/get", permission="registry:read", at_once=True)
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A version."""
    return {"model_version": version_json(_one(ws, args))}


@rpc("PATCH", f"{_BASE}/update", permission="registry:write", at_once=True)
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Describe a version."""
    name, number = model_name(args), version_number(args)
    try:
        models.annotate(ws, name, number, description=args.text("description"))
    except NotFound:
        raise no_version(name, number) from None
    return {"model_version": version_json(_one(ws, args))}


@rpc("DELETE", f"{_BASE}/delete", permission="registry:write")
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete a version and the aliases that point at it; `homeostat registry restore-version` would bring it back."""
    name, number = model_name(args), version_number(args)
    try:
        lifecycle.delete_version(ws, name, number)
    except NotFound:
        raise no_version(name, number) from None
    return {}


@rpc("GET", f"{_BASE}/search", permission="registry:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of versions. Those of prompts are left out unless the filter asks for them."""
    if (limit := args.integer("max_results", 10_000)) < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {limit}")
    if limit > _LARGEST:
        raise invalid(
            f"Invalid value for request parameter max_results. It must be at most {_LARGEST}, but got {limit}"
        )
    found, token = find_versions(ws, args.text("filter"), limit, args.texts("order_by"), args.text("page_token"))
    listed = [version_json(version, listed=True) for version in found]
    return present({"model_versions": listed, "next_page_token": token})


@rpc("GET", f"{_BASE}/get-download-uri", permission="registry:read", at_once=True)
def download_uri(ws: Workspace, args: Args) -> dict[str, Any]:
    """Where a version's files lie: of a copy, where those of its original do, and of a logged model, where its do."""
    version = _one(ws, args)
    for _ in range(_MOST_COPIES):
        name, _, number = version.source.removeprefix("models:/").partition("/")
        if not (version.source.startswith("models:/") and number.isdecimal() and len(number) < 10):
            break
        try:
            version = versions.get_version(ws, name, int(number))
        except NotFound:
            break
    if version.source.startswith("models:/") and version.model_id:
        with suppress(NotFound):  # deleted since: its address is all that is left
            return {"artifact_uri": get_logged_model(ws, version.model_id).artifact_location}
    return {"artifact_uri": version_json(version)["source"]}


@rpc("GET", "/model-versions/get-artifact", permission="registry:read", raw=True)
async def get_artifact(ws: Workspace, request: Request) -> Response:
    """A file of a version, as links of pages ask for it."""
    asked = request.query_params
    if not asked.get("name") or not asked.get("path") or not asked.get("version"):
        raise invalid("Request must specify name, version and path.")

    safe_path(asked["path"])

    def make() -> Response:
        version = _one(ws, Args({"name": asked["name"], "version": asked["version"]}))
        path = asked["path"]
        files = version_files(ws, version)
        if path not in files:
            raise NotFound(f"No such artifact: '{path[:300]}'")
        made = Artifact(path=path, digest=files[path].digest, size=files[path].size, at_ms=version.created_ms)
        return ArtifactResponse(ws, request, made)

    return await run_in_threadpool(make)


@rpc("POST", f"{_BASE}/set-tag", permission="registry:write", at_once=True)
def set_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set a tag of a version."""
    name, number = model_name(args), version_number(args)
    try:
        models.annotate(ws, name, number, tags={tag_key(args): tag_value(args)})
    except NotFound:
        raise no_version(name, number) from None
    return {}


@rpc("DELETE", f"{_BASE}/delete-tag", permission="registry:write", at_once=True)
def delete_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Remove a tag of a version; one that is not there is no error."""
    name, number = model_name(args), version_number(args)
    try:
        models.delete_tag(ws, name, tag_key(args), number)
    except NotFound:
        raise no_version(name, number) from None
    return {}


def _one(ws: Workspace, args: Args) -> ModelVersion:
    name, number = model_name(args), version_number(args)
    try:
        return versions.get_version(ws, name, number)
    except NotFound:
        raise no_version(name, number) from None


def _filled(ws: Workspace, wanted: ModelVersion, lineage: Lineage) -> ModelVersion:
    if lineage.parent is not None:
        # A copy is what its original is: the same files, whatever becomes of the original.
        was = lineage.parent
        return msgspec.structs.replace(
            wanted, digest=was.digest, files=was.files, size=was.size, flavor=was.flavor, flavors=was.flavors,
            signature=was.signature, environment=was.environment, onnx=was.onnx, classes=was.classes,
        )  # fmt: skip
    try:
        files = sources.files_of(ws, lineage.source) if lineage.files is None else lineage.files
    except (InvalidInput, NotFound):
        return wanted
    # An MLmodel that nobody can read does not stop the registration, as it does not elsewhere.
    if (known := sources.described(ws, files, wanted)) is None:
        raise First(partial(_describe, ws, files, wanted))
    return known


def _describe(ws: Workspace, files: dict[str, File], wanted: ModelVersion) -> None:
    with suppress(InvalidInput, NotFound):
        sources.describe(ws, files, wanted)
