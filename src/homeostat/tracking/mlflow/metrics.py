"""MLflow's calls for histories of metrics: whole, of many runs, or sampled between two steps."""

from __future__ import annotations

import base64
import math
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from homeostat.core.foreign import Args, invalid, rpc
from homeostat.core.statements import marks, rows
from homeostat.core.workspace import Workspace
from homeostat.tracking.codec import Point
from homeostat.tracking.histories import history
from homeostat.tracking.mlflow.details import number
from homeostat.tracking.mlflow.wording import run_id

T = TypeVar("T")

_SEE = "See the API docs for more information about request parameters."
_BULK, _BULK_RUNS = 25_000, 100
_SAMPLES = 2500


@rpc("GET", "2.0/mlflow/metrics/get-history", permission="tracking:read")
def get_history(ws: Workspace, args: Args) -> bytes:
    """Every point of one metric, ordered by time, step and value; none of a run that there is not."""
    wanted, key = run_id(args), args.text("metric_key", required=True)
    limit = args.integer("max_results") if args.has("max_results") else None
    if limit is not None and limit <= 0:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer.")
    start = _offset(args.text("page_token"))

    points = ws.db.read(lambda c: [point for _, seq in _known(c, [wanted]) for point in history(c, seq, key)])
    page = points[start:] if limit is None else points[start : start + limit]
    more = start + len(page) < len(points)
    token = base64.b64encode(msgspec.json.encode({"offset": start + len(page)})).decode() if more else ""
    return _written(key, page, f',"next_page_token":"{token}"' if token else "")


@rpc("GET", "2.0/mlflow/metrics/get-history-bulk", permission="tracking:read")
def get_history_bulk(ws: Workspace, args: Args) -> dict[str, Any]:
    """The points of one metric of several runs, by run, time, step and value."""
    ids = args.texts("run_id")
    if not ids:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(ids) > _BULK_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {_BULK_RUNS} run_ids. Received {len(ids)} run_ids."
        )
    if not args.has("metric_key"):
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    key, limit = args.text("metric_key"), min(args.integer("max_results", default=_BULK), _BULK)

    def read(c: sa.Connection) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        for known, seq in _known(c, ids):
            made += [_metric(key, point, known) for point in history(c, seq, key)[: limit - len(made)]]
            if len(made) >= limit:
                break
        return made

    return {"metrics": ws.db.read(read)}


@rpc("GET", "2.0/mlflow/metrics/get-history-bulk-interval", permission="tracking:read")
def get_history_bulk_interval(ws: Workspace, args: Args) -> dict[str, Any]:
    """At most `max_results` points for each run, evenly over all of its points, the first and the last among them."""
    ids, key = args.texts("run_ids", required=True), args.text("metric_key", required=True)
    if len(ids) > _BULK_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {_BULK_RUNS} run_ids."
            f" Received {len(ids)} run_ids. {_SEE}"
        )
    limit = args.integer("max_results", default=_SAMPLES)
    if not 1 <= limit <= _SAMPLES:
        raise invalid(f"max_results must be between 1 and {_SAMPLES}. {_SEE}")
    if args.has("start_step") != args.has("end_step"):
        raise invalid("If either start step or end step are specified, both must be specified.")
    start, end = args.integer("start_step", default=-(2**63)), args.integer("end_step", default=2**63 - 1)
    if start > end:
        raise invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")

    def read(c: sa.Connection) -> list[dict[str, Any]]:
        seqs = dict(_known(c, ids))
        made: list[dict[str, Any]] = []
        for known in ids:
            if known in seqs:
                points = [point for point in history(c, seqs[known], key) if start <= point.step <= end]
                made += [_metric(key, point, known) for point in _sampled(sorted(points, key=_by_step), limit)]
        return made

    found = ws.db.read(read)
    return {"metrics": found} if found else {}


def _by_step(point: Point) -> tuple[int, int, float, bool]:
    lost = point.value != point.value
    return point.step, point.at_ms, 0.0 if lost else point.value, lost


def _sampled(points: list[T], limit: int) -> list[T]:
    """`limit` of `points`: the first of as many even parts, and the last one of all instead of the last of these.

    >>> _sampled(list(range(10)), 4), _sampled(list(range(10)), 1), _sampled([1, 2], 4)
    ([0, 3, 6, 9], [9], [1, 2])
    """
    if len(points) <= limit:
        return points
    size, longer = divmod(len(points), limit)
    firsts = [points[part * size + min(part, longer)] for part in range(limit)]
    return [*firsts[:-1], points[-1]]


def _known(c: sa.Connection, ids: list[str]) -> list[tuple[str, int]]:
    query = f"select id, seq from tracking_run where id in ({marks(len(ids))}) order by id"  # noqa: S608 - only marks
    return rows(c, query, ids)


def _metric(key: str, point: Point, of: str) -> dict[str, Any]:
    return {"key": key, "value": number(point.value), "timestamp": point.at_ms, "step": point.step, "run_id": of}


def _written(key: str, points: list[Point], rest: str) -> bytes:
    """Points as JSON, written by hand: it takes a third of the time, and this is most of the time."""
    if not points:
        return b"{}"
    name = msgspec.json.encode(key).decode()
    if all(map(math.isfinite, [point.value for point in points])):
        body = ",".join([f'{{"key":{name},"value":{v!r},"timestamp":{t},"step":{s}}}' for s, t, v in points])
    else:
        shown = [(s, t, v if isinstance(v := number(value), float) else f'"{v}"') for s, t, value in points]
        body = ",".join([f'{{"key":{name},"value":{v},"timestamp":{t},"step":{s}}}' for s, t, v in shown])
    return f'{{"metrics":[{body}]{rest}}}'.encode()


def _offset(token: str) -> int:
    if not token:
        return 0
    try:
        offset = msgspec.json.decode(base64.b64decode(token), type=dict[str, int])["offset"]
    except (ValueError, KeyError, msgspec.DecodeError):
        raise invalid("Invalid page token, could not base64-decode") from None
    if offset < 0:
        raise invalid(f"Invalid page token, parsed value={offset}")
    return offset
