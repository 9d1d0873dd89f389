"""MLflow's calls on scorers: registered, listed, found, deleted. Judging is the client's; nothing is run here."""

from __future__ import annotations

from typing import Any

from homeostat.core.foreign import Args, ForeignError, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.tracking import scorers
from homeostat.tracking.mlflow.serialized_scorers import check_scorer
from homeostat.tracking.mlflow.wording import experiment_id_of
from homeostat.tracking.scorers import ScorerVersion

_ROOT = "3.0/mlflow/scorers"


@rpc("POST", _ROOT + "/register", permission="tracking:write", audit=True)
def register(ws: Workspace, args: Args) -> dict[str, Any]:
    """The next version of a scorer."""
    of, name = experiment_id_of(args.text("experiment_id", required=True)), args.text("name", required=True)
    if not name.strip() or len(name) > 500:
        raise invalid("Scorer name cannot be empty or only whitespace, nor longer than 500 characters.")
    body = args.text("serialized_scorer", required=True)
    check_scorer(body)
    made = scorers.register_scorer(ws, of, name, body)
    return {
        "version": made.version, "scorer_id": made.scorer_id, "experiment_id": made.experiment_id, "name": made.name,
        "serialized_scorer": made.body, "creation_time": made.created_ms,
    }  # fmt: skip


@rpc("GET", _ROOT + "/list", permission="tracking:read")
def list_scorers(ws: Workspace, args: Args) -> dict[str, Any]:
    """The newest version of each scorer of an experiment, of several, or of all."""
    one, several = args.text("experiment_id"), args.texts("experiment_ids")
    if one and several:
        raise invalid(
            "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the query to"
            " multiple experiments, or 'experiment_id' to scope it to a single experiment."
        )
    ids = list(map(experiment_id_of, [one] if one else several)) or None
    return present({"scorers": list(map(_shape, scorers.newest_scorers(ws, ids, whole=bool(one))))})


@rpc("GET", _ROOT + "/versions", permission="tracking:read")
def versions(ws: Workspace, args: Args) -> dict[str, Any]:
    """Every version of a scorer."""
    return {"scorers": list(map(_shape, _named(ws, args)))}


@rpc("GET", _ROOT + "/get", permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """One version of a scorer, the newest unless another is asked for."""
    found = _named(ws, args)
    if not args.has("version"):
        return {"scorer": _shape(found[-1])}
    wanted = args.integer("version")
    for one in found:
        if one.version == wanted:
            return {"scorer": _shape(one)}
    raise ForeignError(
        "RESOURCE_DOES_NOT_EXIST",
        f"Scorer with name '{found[0].name}' and version {wanted} not found for experiment {found[0].experiment_id}.",
        404,
    )


@rpc("DELETE", _ROOT + "/delete", permission="tracking:write", audit=True)
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Delete a version of a scorer, or all of it."""
    of, name = experiment_id_of(args.text("experiment_id", required=True)), args.text("name", required=True)
    scorers.delete_scorer(ws, of, name, args.integer("version") if args.has("version") else None)
    return {}


@rpc("GET", _ROOT + "/online-configs", permission="tracking:read")
def online_configs(ws: Workspace, args: Args) -> dict[str, Any]:
    """Which scorers judge traces as they come: none, as no scorer runs here."""
    return {"configs": []}


@rpc("PUT", _ROOT + "/online-config", permission="tracking:write")
def put_online_config(ws: Workspace, args: Args) -> dict[str, Any]:
    """Let a scorer judge traces as they come; not here."""
    raise ForeignError("NOT_IMPLEMENTED", "this server runs no scorers: judge with `mlflow.genai.evaluate`", 501)


def _named(ws: Workspace, args: Args) -> list[ScorerVersion]:
    of = experiment_id_of(args.text("experiment_id", required=True))
    return scorers.scorer_versions(ws, of, args.text("name", required=True))


def _shape(one: ScorerVersion) -> dict[str, Any]:
    return {
        "experiment_id": int(one.experiment_id), "scorer_name": one.name, "scorer_version": one.version,
        "serialized_scorer": one.body, "creation_time": one.created_ms, "scorer_id": one.scorer_id,
    }  # fmt: skip
