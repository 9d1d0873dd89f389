"""MLflow's calls on what a run read and made: datasets and models in, models out."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.records import to_json
from homeostat.core.statements import change_many, marks, rows
from homeostat.core.workspace import Workspace
from homeostat.tracking.mlflow.runs import active_row
from homeostat.tracking.mlflow.shapes import run_row
from homeostat.tracking.mlflow.wording import experiment_id_of

_LONGEST = {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}
_CONTEXT = "mlflow.data.context"
_PUT_MODEL = (
    "insert into tracking_run_model (run_seq, direction, model_id, step) values (?, ?, ?, ?) on conflict do nothing"
)
_SUMMARIES = 1000


@rpc("POST", "2.0/mlflow/runs/log-inputs", permission="tracking:write")
def log_inputs(ws: Workspace, args: Args) -> dict[str, Any]:
    """Datasets and models that a run read; what is there already stays as it is."""
    wanted = args.text("run_id", required=True)
    datasets = [_dataset(Args(item)) for item in args.items("datasets")]
    models = [Args(item).text("model_id", required=True, longest=64) for item in args.items("models")]

    def put(c: sa.Connection) -> None:
        row = active_row(c, wanted)
        for values, tags in datasets:
            dataset_id = _dataset_id(c, row[2], values)
            context = next((value for key, value in tags if key == _CONTEXT), None)
            change_many(
                c,
                "insert into tracking_run_dataset (run_seq, dataset_id, context, tags) values (?, ?, ?, ?)"
                " on conflict do nothing",
                [(row[0], dataset_id, context, to_json(tags))],
            )
        change_many(c, _PUT_MODEL, [(row[0], "input", model, 0) for model in models])

    ws.db.write(put)
    return {}


@rpc("POST", "2.0/mlflow/runs/outputs", permission="tracking:write")
def log_outputs(ws: Workspace, args: Args) -> dict[str, Any]:
    """Models that a run made, at which step."""
    wanted = args.text("run_id", required=True)
    made = [Args(item) for item in args.items("models", required=not args.has("models"))]
    models = [(item.text("model_id", required=True, longest=64), item.integer("step")) for item in made]

    def put(c: sa.Connection) -> None:
        seq = active_row(c, wanted)[0]
        change_many(c, _PUT_MODEL, [(seq, "output", model, step) for model, step in models])

    ws.db.write(put)
    return {}


@rpc("POST", "2.0/mlflow/experiments/search-datasets", permission="tracking:read")
def search_datasets(ws: Workspace, args: Args) -> dict[str, Any]:
    """The datasets that runs of some experiments read."""
    given = args.texts("experiment_ids")
    if not given:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(given) > 20:
        raise invalid(
            f"SearchDatasets request cannot specify more than 20 experiment_ids. Received {len(given)} experiment_ids."
        )
    ids = list(map(experiment_id_of, given))
    query = (
        "select distinct d.experiment_id, d.name, d.digest, u.context from tracking_dataset d"  # noqa: S608 - only marks
        " join tracking_run_dataset u on u.dataset_id = d.id join tracking_run r on r.seq = u.run_seq"
        f" where r.lifecycle = 'active' and d.experiment_id in ({marks(len(ids))})"
        f" order by d.experiment_id, d.name, d.digest, u.context limit {_SUMMARIES}"
    )
    found = ws.db.read(lambda c: rows(c, query, ids))
    return present({
        "dataset_summaries": [
            present({"experiment_id": str(e), "name": name, "digest": digest, "context": context})
            for e, name, digest, context in found
        ]
    })  # fmt: skip


@rpc("POST", "2.0/mlflow/runs/log-model", permission="tracking:write")
def log_model(ws: Workspace, args: Args) -> dict[str, Any]:
    """What clients before 3.0 told of a model: kept as the run's tag `mlflow.log-model.history`."""
    import msgspec

    wanted, text = args.text("run_id", required=True), args.text("model_json", required=True)
    try:
        model = msgspec.json.decode(text)
        missing = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(model)
    except (msgspec.DecodeError, TypeError):
        raise invalid(f"Malformed model info. \n {text[:1000]} \n is not a valid JSON.") from None
    if missing:
        raise invalid(f"Model json is missing mandatory fields: {missing}")
    key = "mlflow.log-model.history"

    def put(c: sa.Connection) -> None:
        seq = run_row(c, wanted)[0]
        before = rows(c, "select value from tracking_tag where run_seq = ? and key = ?", (seq, key))
        history = [*(msgspec.json.decode(before[0][0]) if before else []), model]
        change_many(
            c,
            "insert into tracking_tag (run_seq, key, value) values (?, ?, ?)"
            " on conflict (run_seq, key) do update set value = excluded.value",
            [(seq, key, to_json(history))],
        )

    ws.db.write(put)
    return {}


def _dataset(item: Args) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    dataset = item.object("dataset", required=True)
    assert dataset is not None
    for name in ("name", "digest", "source_type", "source"):
        if not dataset.has(name):
            raise invalid(f"Dataset {name} cannot be None")
    values = [
        dataset.text(name, longest=_LONGEST.get(name))
        for name in ("name", "digest", "source_type", "source", "schema", "profile")
    ]
    tags = [(Args(tag).text("key", required=True, longest=255), Args(tag).text("value", longest=500))
            for tag in item.items("tags")]  # fmt: skip
    return tuple(values), tags


def _dataset_id(c: sa.Connection, experiment_id: int, values: tuple[str, ...]) -> int:
    change_many(
        c,
        "insert into tracking_dataset (experiment_id, name, digest, source_type, source, schema, profile)"
        " values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
        [(experiment_id, *values)],
    )
    query = "select id from tracking_dataset where experiment_id = ? and name = ? and digest = ?"
    return rows(c, query, (experiment_id, *values[:2]))[0][0]
