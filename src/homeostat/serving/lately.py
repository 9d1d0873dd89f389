"""Verb: what the versions of a model have answered lately, in steps of time, from the prediction log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.serving import store
from homeostat.serving.deployments import get_deployment, list_deployments
from homeostat.serving.model import ROLES, Deployment, Traffic, TrafficPoint, VersionTraffic
from homeostat.serving.spool import Timings, read_timings, spool_files

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

_DAY_MS = 86_400_000
_MOST_POINTS = 500
# Files are folded at most this long after their last row (twice the age at which a quiet data plane ends its file): an
# older segment holds nothing newer than its neighbour that came after it.
_FOLDED_LATE_MS = 1_200_000


@verb(permission="serving:read")
def traffic(
    ws: Workspace, model: str | None = None, window_ms: int = 900_000, points: int = 60, to_ms: int | None = None
) -> list[Traffic]:
    """Requests, failures and latencies of every deployed model, or of one, by version and step of time.

    The last `window_ms` (at most a day) before `to_ms` (now) in about `points` steps, by the server's own clock. What
    was answered is here 200 ms later. Requests that a model refused (4xx) are not in the log, and not here.

    Raises: NotFound when `model` is not deployed; InvalidInput for a window or a number of points out of bounds.
    """
    if not 1000 <= window_ms <= _DAY_MS or not 1 <= points <= _MOST_POINTS:
        raise InvalidInput(
            f"window_ms={window_ms}, points={points}", hint=f"1000 to {_DAY_MS} ms, in 1 to {_MOST_POINTS} points"
        )
    deployments = list_deployments(ws) if model is None else [get_deployment(ws, model)]
    end = now_ms() if to_ms is None else to_ms
    step = -(-window_ms // points)
    # Steps begin at multiples of their length, so that those asked for a moment later are the same ones.
    begin = (end - window_ms) // step * step
    answered = _answered(ws, [deployment.model for deployment in deployments], begin, end)
    return [_told(deployment, answered[deployment.model], begin, end, step) for deployment in deployments]


def _told(deployment: Deployment, frame: pl.DataFrame, begin: int, end: int, step: int) -> Traffic:
    import polars as pl

    by = ["version", "route"]
    stepped = frame.with_columns((pl.col("logged_ms") // step * step).alias("at_ms"))
    whole = _figures(frame.filter(pl.col("route") != "shadow"), [])[0]
    return Traffic(
        model=deployment.model, from_ms=begin, to_ms=end, step_ms=step, log_share=deployment.log_share, **whole,
        versions=[VersionTraffic(**row) for row in _figures(frame, by)],
        points=[TrafficPoint(**row) for row in _figures(stepped, ["at_ms", *by])],
    )  # fmt: skip


def _figures(frame: pl.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    import polars as pl

    well = pl.col("latency_us").filter(pl.col("status") < 500).cast(pl.Float64) / 1000
    told = [
        pl.len().alias("requests"), (pl.col("status") >= 500).sum().alias("failed"),
        well.quantile(0.5).alias("latency_ms"), well.quantile(0.95).alias("latency_p95_ms"),
    ]  # fmt: skip
    return (frame.group_by(by).agg(told).sort(by) if by else frame.select(told)).to_dicts()


def _answered(ws: Workspace, models: list[str], begin: int, end: int) -> dict[str, pl.DataFrame]:
    """A row for each request of each model in the time."""
    import polars as pl

    spooled, segments = _sources(ws, set(models), begin)
    found: dict[str, pl.DataFrame] = {}
    for model in models:
        frames = [_of_timings([told for told in spooled if told.model == model])]
        for digest in segments.get(model, []):
            frame = (
                pl.scan_parquet(ws.blobs.local_path(digest))
                .filter(pl.col("logged_ms") >= begin - _FOLDED_LATE_MS, pl.col("row") == 0)
                .select(frames[0].columns)
                .collect()
            )
            if not frame.height:
                break
            frames.append(frame)
        found[model] = pl.concat(frames).filter(pl.col("logged_ms").is_between(begin, end, closed="left"))
    return found


def _of_timings(spooled: list[Timings]) -> pl.DataFrame:
    import numpy as np
    import polars as pl

    counts = [len(told.roles) for told in spooled]
    roles = np.frombuffer(b"".join([told.roles for told in spooled]), "u1")
    return pl.DataFrame({
        "version": np.repeat(np.array([told.version for told in spooled], "<i8"), counts),
        "route": pl.Series(ROLES).gather(roles),
        "logged_ms": np.frombuffer(b"".join([told.logged_ms for told in spooled]), "<i8"),
        "latency_us": np.frombuffer(b"".join([told.latency_us for told in spooled]), "<u4"),
        "status": np.repeat(np.array([told.status for told in spooled], "<u2"), counts),
    })  # fmt: skip


def _sources(ws: Workspace, models: set[str], begin: int) -> tuple[list[Timings], dict[str, list[str]]]:
    """What is spooled, and by model the segments, newest first, that together hold every request once."""
    spooled: list[Timings] = []
    segments: dict[str, list[str]] = {}
    for _ in range(5):
        # Files first, index second. A file that is folded in between is named as such, or gone: then we look again.
        files = spool_files(ws.home)
        read = {path.name: _timings(path, models, begin) for path in files}
        segments, folded = ws.db.read(lambda connection: _index(connection, models))
        spooled = [told for name, batches in read.items() if name not in folded for told in batches]
        if all(path.exists() for path in files):
            break
    return spooled, segments


def _index(connection: sa.Connection, models: set[str]) -> tuple[dict[str, list[str]], set[str]]:
    query = (
        sa.select(store.segment.c.model, store.segment.c.digest)
        .where(store.segment.c.model.in_(models))
        .order_by(store.segment.c.id.desc())
    )
    segments: dict[str, list[str]] = {}
    for row in connection.execute(query):
        segments.setdefault(row.model, []).append(row.digest)
    return segments, set(connection.execute(sa.select(store.folded.c.file)).scalars())


def _timings(path: Path, models: set[str], begin: int) -> list[Timings]:
    try:
        if path.stat().st_mtime_ns // 1_000_000 < begin:
            return []
        return [told for told in read_timings(path) if told.model in models]
    except FileNotFoundError:
        return []  # folded while we looked
