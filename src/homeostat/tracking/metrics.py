"""Metrics: points in, histories out (the folding between is in `folding.py`).

Of several points of one run, key and step the one of the latest time counts (of one time, the greatest). So a repeated
request, or a stage that is run again after a crash, changes nothing. "Last" means of the highest step, not the latest
request. All points are kept as they came, each once: `points_of` has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from operator import lt
from typing import Any

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.events import publish
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.attributes import add_params, add_tags, check_key
from homeostat.tracking.codec import (
    STEP_MAX,
    STEP_MIN,
    Journalled,
    Point,
    decode_chunk,
    decode_journal,
    encode_journal,
)
from homeostat.tracking.courses import courses
from homeostat.tracking.folding import FOLD_AT, fold
from homeostat.tracking.model import Metric, RunMetrics

Summary = tuple[str, int, int, int, float | None, float | None, float | None]

_BATCH = 100_000  # points in one request
_TELL_MS = 1000

# Row by row comparison of (step, time, value): NaN, which is null here, counts as 0, as clients of MLflow know it.
_LATER = (
    "(excluded.last_step, excluded.last_ms, coalesce(excluded.last_value, 0))"
    " >= (tracking_series.last_step, tracking_series.last_ms, coalesce(tracking_series.last_value, 0))"
)
_SERIES = f"""
    insert into tracking_series (run_seq, key, points, last_step, last_ms, last_value, min_value, max_value)
    values (?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (run_seq, key) do update set
      points = tracking_series.points + excluded.points,
      last_value = case when {_LATER} then excluded.last_value else tracking_series.last_value end,
      last_ms = case when {_LATER} then excluded.last_ms else tracking_series.last_ms end,
      last_step = case when {_LATER} then excluded.last_step else tracking_series.last_step end,
      min_value = case when tracking_series.min_value is null or excluded.min_value < tracking_series.min_value
        then excluded.min_value else tracking_series.min_value end,
      max_value = case when tracking_series.max_value is null or excluded.max_value > tracking_series.max_value
        then excluded.max_value else tracking_series.max_value end
    """  # noqa: S608 - both are written here


@verb(permission="tracking:write")
def log_metrics(
    ws: Workspace, id: str, metrics: dict[str, float | None], step: int = 0, at_ms: int | None = None
) -> None:
    """Log one value of each key at `step`. None is NaN, as JSON cannot say it.

    Raises: NotFound for an unknown run; InvalidInput for a step outside 64 bits or a malformed key.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     run = ws.tracking.create_run()
    ...     for step, loss in enumerate([0.9, 0.5]):
    ...         ws.tracking.log_metrics(run.id, {"loss": loss}, step)
    ...     [m.value for m in ws.tracking.metric_history(run.id, "loss")], ws.tracking.get_run(run.id).metrics
    ([0.9, 0.5], {'loss': 0.5})
    """
    at = now_ms() if at_ms is None else at_ms
    log_batch(ws, id, [Metric(key=key, value=value, step=step, at_ms=at) for key, value in metrics.items()])


@verb(permission="tracking:write")
def log_batch(
    ws: Workspace,
    id: str,
    metrics: list[Metric] | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
) -> None:
    """Log many points, parameters and tags at once: all of them or, on an error, none. `at_ms` 0 means now."""
    metrics = metrics or []
    if len(metrics) > _BATCH:
        raise TooLarge(f"{len(metrics)} points in one request", hint=f"send at most {_BATCH} at a time")
    points = _checked(metrics)
    payload = encode_journal(points)
    last = summarised(points)

    def put(c: sa.Connection) -> int:
        seq, pending, told = _touch(c, id, len(points))
        add_params(c, id, seq, params or {})
        add_tags(c, seq, tags or {})
        if points:
            put_points(c, seq, payload, last)
            if told_long_ago(told):
                tell(ws, c, id, seq)
        return pending

    if ws.db.write(put) >= FOLD_AT:
        fold(ws, id)


@verb(permission="tracking:read")
def metric_history(ws: Workspace, id: str, key: str) -> list[Metric]:
    """Every point of one metric by step, one for each step; empty when the run never logged it."""
    course = ws.db.read(lambda c: courses(c, store.seq_of(c, id), [key])).get(key)
    if course is None:
        return []
    return [Metric(key=key, value=value, step=step, at_ms=at_ms) for step, at_ms, value in zip(*course, strict=True)]


def points_of(c: sa.Connection, seq: int, key: str) -> list[Point]:
    """Every point of one metric, each once, ordered by time, step and value."""
    chunks = statements.rows(
        c, "select payload from tracking_chunk where run_seq = ? and key = ? order by no", (seq, key)
    )
    points = [point for (payload,) in chunks for point in map(Point._make, zip(*decode_chunk(payload), strict=True))]
    waiting = statements.rows(c, "select payload from tracking_journal where run_seq = ? order by id", (seq,))
    for (payload,) in waiting:
        points.extend(Point(step, at, value) for k, step, at, value in decode_journal(payload) if k == key)
    order = [(p.at_ms, p.step, p.value) for p in points]
    # Mostly they come in their order and once, which is seen faster than it is brought about.
    if all(map(lt, order, order[1:])):
        return points
    once: dict[tuple[int, int, float | None], Point] = {}
    for p in points:
        once[p.at_ms, p.step, p.value if p.value == p.value else None] = p
    return sorted(once.values(), key=lambda p: (p.at_ms, p.step, p.value if p.value == p.value else 0.0))


def _checked(metrics: Iterable[Metric]) -> list[Journalled]:
    now = now_ms()
    points: list[Journalled] = []
    for metric in metrics:
        if not STEP_MIN <= metric.step <= STEP_MAX or not STEP_MIN <= metric.at_ms <= STEP_MAX:
            raise InvalidInput(f"metric '{metric.key[:80]}': step {metric.step} does not fit 64 bits")
        value = float("nan") if metric.value is None else float(metric.value)
        points.append(Journalled(check_key(metric.key), metric.step, metric.at_ms or now, value))
    return points


def put_points(c: sa.Connection, seq: int, payload: bytes, summaries: list[Summary]) -> None:
    """Add points within the open transaction: `payload` as `encode_journal` made it, with their `summarised`."""
    statements.change(c, "insert into tracking_journal (run_seq, payload) values (?, ?)", (seq, payload))
    statements.change_many(c, _SERIES, [(seq, *summary) for summary in summaries])


def summarised(points: list[Journalled]) -> list[Summary]:
    """What lists and searches need of `points`: key, how many, last step, time and value, least, greatest value."""
    if len(points) == 1:  # most of what comes
        key, step, at_ms, value = points[0]
        kept = value if value == value else None
        return [(key, 1, step, at_ms, kept, kept, kept)]
    by_key: dict[str, list[Journalled]] = defaultdict(list)
    for point in points:
        by_key[point.key].append(point)
    found: list[Summary] = []
    # In the order of keys, so that two processes lock rows in the same order.
    for key, group in sorted(by_key.items()):
        last = max((p.step, p.at_ms, p.value if p.value == p.value else 0.0, i) for i, p in enumerate(group))
        value = group[last[3]].value
        numbers = [point.value for point in group if point.value == point.value]
        kept = value if value == value else None
        found.append((key, len(group), last[0], last[1], kept, min(numbers, default=None), max(numbers, default=None)))
    return found


def _touch(c: sa.Connection, run_id: str, count: int) -> tuple[int, int, int]:
    row = c.execute(
        sa.update(store.run)
        .where(store.run.c.id == run_id)
        .values(pending=store.run.c.pending + count)
        .returning(store.run.c.seq, store.run.c.pending, store.run.c.told_ms)
    ).first()
    if row is None:
        raise store.unknown_run(run_id)
    return row.seq, row.pending, row.told_ms


def told_long_ago(told_ms: int) -> bool:
    """Whether `run_metrics` is to be told again: at most once a second for each run."""
    return now_ms() - told_ms >= _TELL_MS


def tell(ws: Workspace, c: sa.Connection, run_id: str, seq: int) -> None:
    """Publish the last values of a run within the open transaction."""
    rows = statements.rows(c, "select key, last_value from tracking_series where run_seq = ?", (seq,))
    statements.change(c, "update tracking_run set told_ms = ? where seq = ?", (now_ms(), seq))
    publish(ws, c, RunMetrics(run_id=run_id, metrics=dict(rows)))
