"""MLflow's calls on logged models."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.foreign import Args, ForeignError, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.tracking import logged_models as models
from homeostat.tracking.artifact_files import entries, place_of
from homeostat.tracking.artifact_paths import Place
from homeostat.tracking.logged_model_search import Dataset, Order, search_logged_models
from homeostat.tracking.mlflow.artifacts import send_file, shown
from homeostat.tracking.mlflow.details import number
from homeostat.tracking.mlflow.runs import some_name
from homeostat.tracking.mlflow.traces import page_offset, page_token
from homeostat.tracking.mlflow.wording import experiment_id_of, safe_path

_BAD_CHARACTERS = ("/", ":", ".", "%", '"', "'")
_IN: dict[Any, models.ModelStatus] = {
    "LOGGED_MODEL_PENDING": "pending", "LOGGED_MODEL_READY": "ready", "LOGGED_MODEL_UPLOAD_FAILED": "failed",
    1: "pending", 2: "ready", 3: "failed",
}  # fmt: skip
_OUT = {status: name for name, status in _IN.items() if isinstance(name, str)}
_PAGE, _MOST = 100, 1000
_VALUE_CHARS = 1_000_000  # texts without a limit there: agents keep their instructions in parameters of a model
_ONE = "2.0/mlflow/logged-models/{model_id}"


@rpc("POST", "2.0/mlflow/logged-models", permission="tracking:write")
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """A new model, pending until its files are there."""
    experiment = experiment_id_of(args.text("experiment_id", required=True))
    name = args.text("name", longest=500)
    if any(char in name for char in _BAD_CHARACTERS):
        raise invalid(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and cannot contain the"
            f" following characters: {_BAD_CHARACTERS}"
        )
    made = models.create_logged_model(
        ws, experiment, name or some_name(), args.text("model_type", longest=500),
        args.text("source_run_id", longest=64), _pairs(args, "params"), _pairs(args, "tags"),
    )  # fmt: skip
    return {"model": shape(made)}


@rpc("GET", _ONE, permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """A model by id."""
    return {"model": shape(models.get_logged_model(ws, args.text("model_id"), args.flag("allow_deleted")))}


@rpc("PATCH", _ONE, permission="tracking:write")
def finalize(ws: Workspace, args: Args) -> dict[str, Any]:
    """Its files are there, or will not come."""
    given = args.values.get("status")
    if given is None:
        raise args.missing("status")
    status = _IN.get(int(given) if given in ("1", "2", "3") else given) if isinstance(given, str | int) else None
    if status is None:
        raise invalid(f"Invalid value {str(given)[:80]!r} for parameter 'status' supplied.")
    return {"model": shape(models.finalize_logged_model(ws, args.text("model_id"), status))}


@rpc("DELETE", _ONE, permission="tracking:write", audit=True)
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Hide a model."""
    models.delete_logged_model(ws, args.text("model_id"))
    return {}


@rpc("PATCH", _ONE + "/tags", permission="tracking:write")
def set_tags(ws: Workspace, args: Args) -> dict[str, Any]:
    """Set tags."""
    models.set_logged_model_tags(ws, args.text("model_id"), _pairs(args, "tags"))
    return {}


@rpc("DELETE", _ONE + "/tags/{tag_key:path}", permission="tracking:write")
def delete_tag(ws: Workspace, args: Args) -> dict[str, Any]:
    """Take a tag off."""
    models.delete_logged_model_tag(ws, args.text("model_id"), args.text("tag_key"))
    return {}


@rpc("POST", _ONE + "/params", permission="tracking:write")
def log_params(ws: Workspace, args: Args) -> dict[str, Any]:
    """Add parameters."""
    models.log_logged_model_params(ws, args.text("model_id"), _pairs(args, "params"))
    return {}


@rpc("GET", _ONE + "/artifacts/directories", permission="tracking:read")
def list_artifacts(ws: Workspace, args: Args) -> dict[str, Any]:
    """What a folder of a model's files holds."""
    model = models.get_logged_model(ws, args.text("model_id"))
    place = _inside(ws, model, safe_path(args.text("artifact_directory_path"), empty=True))
    return present({"root_uri": model.artifact_location, "files": [shown(entry) for entry in entries(ws, place)]})


@rpc("GET", _ONE + "/artifacts/files", permission="tracking:read", raw=True)
async def get_artifact(ws: Workspace, request: Request) -> Response:
    """One of a model's files."""
    wanted = request.query_params.get("artifact_file_path")
    if not wanted:
        raise ForeignError("BAD_REQUEST", 'Request must include the "artifact_file_path" query parameter.')
    path = safe_path(wanted)

    def locate() -> Place:
        return _inside(ws, models.get_logged_model(ws, request.path_params["model_id"]), path)

    return await send_file(ws, request, await run_in_threadpool(locate))


@rpc("POST", "2.0/mlflow/logged-models/search", permission="tracking:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of the models that meet a filter."""
    if args.values.get("experiment_ids") == []:  # in no experiment there is no model
        return {}
    experiments = [experiment_id_of(given) for given in args.texts("experiment_ids", required=True)]
    limit = args.integer("max_results", default=_PAGE) or _PAGE
    if not 0 < limit <= _MOST:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be at most {_MOST}.")
    datasets = [_dataset(Args(item)) for item in args.items("datasets")]
    if not all(dataset and dataset.name for dataset in datasets):
        raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    order = [
        Order(field=item.text("field_name", required=True), ascending=item.flag("ascending", True),
              dataset=_dataset(item))
        for item in map(Args, args.items("order_by"))
    ]  # fmt: skip
    asked = hashlib.sha256(msgspec.json.encode([experiments, args.text("filter"), order, datasets])).hexdigest()[:16]
    offset = page_offset(args.text("page_token"), asked)
    found, more = search_logged_models(
        ws, experiments, args.text("filter"), [one for one in datasets if one], order, limit, offset
    )
    token = page_token(asked, offset + limit) if more else None
    return present({"models": [shape(model) for model in found], "next_page_token": token})


def shape(model: models.LoggedModel) -> dict[str, Any]:
    """A model as the protocol has it."""
    info = present({
        "model_id": model.id, "experiment_id": model.experiment_id, "name": model.name,
        "creation_timestamp_ms": model.created_ms, "last_updated_timestamp_ms": model.updated_ms,
        "artifact_uri": model.artifact_location, "status": _OUT[model.status],
        "status_message": model.status_message, "model_type": model.model_type,
        "source_run_id": model.source_run_id, "tags": _listed(model.tags),
    })  # fmt: skip
    metrics = [
        present({
            "key": point.key, "value": number(point.value), "timestamp": point.at_ms, "step": point.step,
            "dataset_name": point.dataset_name, "dataset_digest": point.dataset_digest, "model_id": model.id,
            "run_id": point.run_id,
        })
        for point in model.metrics
    ]  # fmt: skip
    return {"info": info, "data": present({"params": _listed(model.params), "metrics": metrics})}


def _inside(ws: Workspace, model: models.LoggedModel, path: str) -> Place:
    scheme, _, root = model.artifact_location.partition(":")
    if scheme != "mlflow-artifacts":
        raise ForeignError(
            "NOT_IMPLEMENTED", f"the files of this model lie at {model.artifact_location[:200]}; ask there", 501
        )
    return place_of(ws, f"{root.strip('/')}/{path}" if path else root.strip("/"))


def _listed(pairs: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in pairs.items()]


def _pairs(args: Args, name: str) -> dict[str, str]:
    items = [Args(item) for item in args.items(name)]
    return {item.text("key", required=True, longest=255): item.text("value", longest=_VALUE_CHARS) for item in items}


def _dataset(item: Args) -> Dataset | None:
    name, digest = item.text("dataset_name"), item.text("dataset_digest")
    return Dataset(name=name, digest=digest) if name or digest else None
