"""`registered-models/*`: models, their tags and aliases."""

from __future__ import annotations

from typing import Any

from homeostat.core.errors import AlreadyExists, NotFound
from homeostat.core.foreign import Args, ForeignError, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.registry import aliases, lifecycle, models, store, versions
from homeostat.registry.mlflow.search import find_models, latest
from homeostat.registry.mlflow.shapes import model_json, version_json
from homeostat.registry.mlflow.wording import (
    alias_name,
    model_name,
    no_model,
    no_version,
    tag_key,
    tag_value,
    tags,
    version_number,
)
from homeostat.registry.names import PROMPT_TAG, is_prompt

_BASE = "2.0/mlflow/registered-models"
STAGES = ("None", "Staging", "Production", "Archived")


@rpc("POST", f"{_BASE}/create", permission="registry:write", at_once=True)
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Make a model, or a prompt, which is one with a tag that says so."""
    name, given = model_name(args), tags(args)
    try:
        made = models.create_model(ws, name, args.text("description"), given)
    except AlreadyExists:
        raise _taken(ws, name, is_prompt(given)) from None
    return {"registered_model": model_json(made, [])}


@rpc("GET", f"{_BASE}/get", permission="registry:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A model with the newest version of each stage."""
    return {"registered_model": _shown(ws, model_name(args))}


@rpc("POST", f"{_BASE}/rename", permission="registry:write")
def rename(ws: Workspace, args: Args) -> dict[str, Any]:
    """Give a model another name."""
    name = model_name(args)
    new_name = model_name(args, "new_name")
    try:
        models.rename_model(ws, name, new_name)
    except NotFound:
        raise no_model(name) from None
    except AlreadyExists:
        raise ForeignError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={new_name}) already exists.") from None
    return {"registered_model": _shown(ws, new_name)}


@rpc("PATCH", f"{_BASE}/update", permission="registry:write")
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Describe a model."""
    name = model_name(args)
    try:
        models.annotate(ws, name, description=args.text("description"))
    except NotFound:
        raise no_model(name) from None
    return {"registered_model": _shown(ws, name)}


@rpc("DELETE", f"{_BASE}/delete", permission="registry:write")
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete a model with its versions; `homeostat registry restore-model` would bring it back."""
    name = model_name(args)
    try:
        models.delete_model(ws, name)
    except NotFound:
        raise no_model(name) from None
    return {}


@rpc("GET", f"{_BASE}/search", permission="registry:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of models. Prompts are left out unless the filter asks for them."""
    found, newest, token = find_models(
        ws, args.text("filter"), args.integer("max_results", 100, least=1, most=1000), args.texts("order_by"),
        args.text("page_token"),
    )  # fmt: skip
    shown = [model_json(model, newest[model.name]) for model in found]
    return present({"registered_models": shown, "next_page_token": token})


@rpc("GET", f"{_BASE}/get-latest-versions", permission="registry:read")
@rpc("POST", f"{_BASE}/get-latest-versions", permission="registry:read")
def latest_versions(ws: Workspace, args: Args) -> dict[str, Any]:
    """The newest version of each of the stages that are asked for, of all of them by default."""
    name = model_name(args)
    _shown(ws, name)
    wanted = {stage_of(stage) for stage in args.texts("stages")} or set(STAGES)
    found = ws.db.read(lambda c: latest(c, [name]))[name]
    return present({"model_versions": [version_json(version) for version in found if version.stage in wanted]})


@rpc("POST", f"{_BASE}/set-tag", permission="registry:write", at_once=True)
def set_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set a tag of a model."""
    name = model_name(args)
    try:
        models.annotate(ws, name, tags={tag_key(args): tag_value(args)})
    except NotFound:
        raise no_model(name) from None
    return {}


@rpc("DELETE", f"{_BASE}/delete-tag", permission="registry:write", at_once=True)
def delete_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Remove a tag of a model; one that is not there is no error."""
    name = model_name(args)
    try:
        models.delete_tag(ws, name, tag_key(args))
    except NotFound:
        raise no_model(name) from None
    return {}


@rpc("POST", f"{_BASE}/alias", permission="registry:write", at_once=True)
def set_alias(ws: Workspace, args: Args) -> dict[str, Any]:
    """Point an alias at a version. Where a rule asks for approvals it is refused, and says what is missing."""
    name, alias, number = model_name(args), alias_name(args, writing=True), version_number(args)
    try:
        aliases.set_alias(ws, name, alias, number)
    except NotFound:
        raise no_version(name, number) from None
    return {}


@rpc("DELETE", f"{_BASE}/alias", permission="registry:write", at_once=True)
def delete_alias(ws: Workspace, args: Args) -> dict[str, Any]:
    """Remove an alias; one that is not there is no error."""
    name = model_name(args)
    try:
        aliases.delete_alias(ws, name, alias_name(args))
    except NotFound:
        raise no_model(name) from None
    return {}


@rpc("GET", f"{_BASE}/alias", permission="registry:read", at_once=True)
def by_alias(ws: Workspace, args: Args) -> dict[str, Any]:
    """The version that an alias points at; of "latest" the newest one."""
    name, alias = model_name(args), alias_name(args)
    try:
        version = versions.get_version(ws, name, alias=None if alias.lower() == "latest" else alias)
    except NotFound:
        _shown(ws, name)
        if alias.lower() == "latest":
            raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"Latest version not found for model {name}.", 404) from None
        raise invalid(f"Registered model alias {alias} not found.") from None
    return {"model_version": version_json(version)}


@rpc("POST", "2.0/mlflow/model-versions/transition-stage", permission="registry:write")
def transition(ws: Workspace, args: Args) -> dict[str, Any]:
    """Put a version into a stage."""
    name, number, wanted = model_name(args), version_number(args), args.text("stage", required=True)
    archive = args.flag("archive_existing_versions")
    stage = stage_of(wanted)
    if archive and stage not in ("Staging", "Production"):
        raise invalid(
            "Model version transition cannot archive existing model versions because"
            f" '{wanted}' is not an Active stage. Valid stages are ['Staging', 'Production']"
        )
    try:
        done = lifecycle.set_stage(ws, name, number, stage, archive)  # pyright: ignore[reportArgumentType] - one of STAGES
    except NotFound:
        raise no_version(name, number) from None
    return {"model_version": version_json(done)}


def stage_of(text: str) -> str:
    """A stage as it is written here, whatever the case."""
    for stage in STAGES:
        if stage.lower() == text.lower():
            return stage
    raise invalid(f"Invalid Model Version stage: {text[:200]}. Value must be one of {', '.join(STAGES)}.")


def _shown(ws: Workspace, name: str) -> dict[str, Any]:
    try:
        return ws.db.read(lambda c: model_json(models.one(c, name), latest(c, [name])[name]), settled=False)
    except NotFound:
        raise no_model(name) from None


def _taken(ws: Workspace, name: str, prompt: bool) -> ForeignError:
    tag = ws.db.read(lambda c: store.tag_of(c, name, PROMPT_TAG), settled=False)
    there = is_prompt({PROMPT_TAG: tag or ""})
    kinds = {True: "Prompt", False: "Registered Model"}
    if there != prompt:
        return ForeignError(
            "RESOURCE_ALREADY_EXISTS",
            f"Tried to create a {kinds[prompt].lower()} with name {name!r}, but the name is already taken by a"
            f" {kinds[there].lower()}. MLflow does not allow creating a model and a prompt with the same name.",
        )
    return ForeignError("RESOURCE_ALREADY_EXISTS", f"{kinds[prompt]} (name={name}) already exists.")
