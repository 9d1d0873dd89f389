"""MLflow's calls that log: one metric, or a batch of metrics, parameters and tags."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.foreign import Args, ForeignError, invalid, rpc
from homeostat.core.foreign_names import check_name, invalid_value, may_name
from homeostat.core.statements import change, change_many
from homeostat.core.workspace import Workspace
from homeostat.tracking.codec import Journalled, encode_journal
from homeostat.tracking.inlet import inlet
from homeostat.tracking.metrics import put_points, summarised
from homeostat.tracking.mlflow.runs import active_row, put_params, put_tags, written
from homeostat.tracking.mlflow.wording import (
    INT_MAX,
    INT_MIN,
    KEY_CHARS,
    PARAM_CHARS,
    metric_number,
    not_active,
    not_found,
    pairs,
    required,
    run_id,
)

_MOST = 1000  # points in a batch
_PUT_MODEL = (
    "insert into tracking_model_metric (model_id, run_seq, key, step, at_ms, value, dataset_name, dataset_digest)"
    " values (?, ?, ?, ?, ?, ?, ?, ?)"
)


@rpc("POST", "2.0/mlflow/runs/log-metric", permission="tracking:write")
async def log_metric(ws: Workspace, args: Args) -> bytes:
    """One point."""
    given = args.values
    wanted = run_id(args)
    for name in ("key", "value", "timestamp"):
        if given.get(name) is None or given[name] == "":
            raise args.missing(name)
    points = [_point(given, "")]
    if given.get("model_id") or given.get("dataset_name") or given.get("dataset_digest"):
        await written(ws, lambda c: _put_all(c, wanted, points, [], [], _of_models([given], points)))
    else:
        await _put(ws, wanted, points)
    return b"{}"


class _Metric(msgspec.Struct, gc=False):
    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class Points(msgspec.Struct):
    """What most batches are: points of a run, nothing else, and nothing to be said against any of them."""

    run_id: str
    metrics: list[_Metric]
    params: list[Any] | None = None
    tags: list[Any] | None = None

    def __post_init__(self) -> None:
        metrics = self.metrics
        times, steps = [metric.timestamp for metric in metrics], [metric.step for metric in metrics]
        if (
            self.params or self.tags or not self.run_id or "\0" in self.run_id or not 0 < len(metrics) <= _MOST
            or min(times) < 0 or max(times) > INT_MAX or min(steps) < INT_MIN or max(steps) > INT_MAX
            or not all(0 < len(key) <= KEY_CHARS and may_name(key) for key in {metric.key for metric in metrics})
            or any(m.model_id is not None or m.dataset_name or m.dataset_digest for m in metrics)
        ):  # fmt: skip
            raise ValueError("more is to be said about it")


@rpc("POST", "2.0/mlflow/runs/log-batch", permission="tracking:write", form=Points)
async def log_batch(ws: Workspace, args: Args | Points) -> bytes:
    """Many points, parameters and tags, all or none."""
    if isinstance(args, Points):
        await _put(ws, args.run_id, [Journalled(m.key, m.step, m.timestamp, m.value) for m in args.metrics])
        return b"{}"
    wanted = args.text("run_id", required=True)
    metrics, params, tags = args.items("metrics"), args.items("params"), args.items("tags")
    points = [_at(metric, index) for index, metric in enumerate(metrics)]
    given = pairs(params, "params", PARAM_CHARS)
    named = pairs(tags, "tags")
    _check_limits(len(metrics), len(params), len(tags))
    if len(given) < len(params):
        keys = [str(item["key"]) for item in params]
        raise invalid(
            f"Duplicate parameter keys have been submitted: {[k for i, k in enumerate(keys) if k in keys[:i]]}. Please"
            " ensure the request contains only one param value per param key."
        )
    of_models = _of_models(metrics, points)
    if points and not (given or named or of_models):
        await _put(ws, wanted, points)
    else:
        await written(ws, lambda c: _put_all(c, wanted, points, given, named, of_models))
    return b"{}"


async def _put(ws: Workspace, wanted: str, points: list[Journalled]) -> None:
    refused = await inlet(ws).log(wanted, points)
    if refused is not None:
        raise not_found(wanted) if refused.lifecycle is None else not_active(wanted, refused.lifecycle)


def _put_all(
    c: sa.Connection,
    wanted: str,
    points: list[Journalled],
    params: list[tuple[str, str]],
    tags: list[tuple[str, str]],
    of_models: list[tuple[Any, ...]],
) -> None:
    seq = active_row(c, wanted)[0]
    if changed := put_params(c, seq, params):
        told = [{"key": key, "old_value": old, "new_value": new} for key, old, new in changed]
        raise invalid(
            f"Changing param values is not allowed. Params were already logged='{told}' for run ID='{wanted}'."
        )
    put_tags(c, seq, tags)
    if points:
        change(c, "update tracking_run set pending = pending + ? where seq = ?", (len(points), seq))
        put_points(c, seq, encode_journal(points), summarised(points))
        change_many(c, _PUT_MODEL, [(model, seq, *rest) for model, *rest in of_models])


def _at(metric: dict[str, Any], index: int) -> Journalled:
    key, value, at, step = metric.get("key"), metric.get("value"), metric.get("timestamp"), metric.get("step", 0)
    if (
        type(key) is str and type(value) is float and type(at) is int and type(step) is int
        and 0 < len(key) <= KEY_CHARS and 0 <= at <= INT_MAX and INT_MIN <= step <= INT_MAX
    ):  # fmt: skip
        try:
            check_name(key, "metrics.name")
        except ForeignError:
            check_name(key, f"metrics[{index}].name")  # says which one; written only where it is needed
        return Journalled(key, step, at, value)
    path = f"metrics[{index}]"
    for name in ("key", "value", "timestamp"):
        required(metric, name, path)
    return _point(metric, path)


def _point(metric: dict[str, Any], path: str) -> Journalled:
    args, dot = Args(metric), f"{path}." if path else ""
    key = args.text("key", required=True)
    check_name(key, f"{dot}name")
    value = metric_number(metric.get("value"), f"{dot}value")
    at, step = args.integer("timestamp"), args.integer("step")
    if at < 0:
        raise invalid_value(
            f"{dot}timestamp", at,
            f"metric '{key}' (value={value}). Timestamp must be a nonnegative long (64-bit integer) ",
        )  # fmt: skip
    if len(key) > KEY_CHARS:
        raise invalid(f"'Metric name' exceeds the maximum length of {KEY_CHARS} characters")
    return Journalled(key, step, at, value)


def _of_models(metrics: list[dict[str, Any]], points: list[Journalled]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for metric, point in zip(metrics, points, strict=True):
        if not (metric.get("model_id") or metric.get("dataset_name") or metric.get("dataset_digest")):
            continue
        args = Args(metric)
        of = _dataset(args)
        if args.text("model_id"):
            value = point.value if point.value == point.value else None
            found.append((args.text("model_id", longest=64), point.key, point.step, point.at_ms, value, *of))
    return found


def _dataset(args: Args) -> tuple[str, str]:
    name, digest = args.text("dataset_name", longest=500), args.text("dataset_digest", longest=64)
    if bool(name) != bool(digest):
        raise invalid("Both dataset_name and dataset_digest must be provided if one is provided")
    return name, digest


def _check_limits(metrics: int, params: int, tags: int) -> None:
    for what, limit, count in (
        ("metrics", _MOST, metrics),
        ("params", 100, params),
        ("tags", 100, tags),
        ("metrics, params, and tags", 1000, metrics + params + tags),
    ):
        if count > limit:
            raise ForeignError(
                "INVALID_PARAMETER_VALUE",
                f"A batch logging request can contain at most {limit} {what}. Got {count} {what}."
                f" Please split up {what} across multiple requests and try again.",
            )
