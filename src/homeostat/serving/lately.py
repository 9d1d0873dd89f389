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
from homeostat.serving.graph_deployments import get_graph
from homeostat.serving.graphs.nodes import Lookup, Member, walk
from homeostat.serving.model import GraphTraffic, NodeTraffic, Traffic, TrafficPoint, VersionTraffic
from homeostat.serving.spool import spool_files
from homeostat.serving.tallies import no_requests, tallies_of, tally_of_segment, tally_of_spooled

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

_DAY_MS = 86_400_000
_MOST_POINTS = 500
_GRAPH_POINTS = 60
# Files are folded at most this long after their last row (twice the age at which a quiet data plane ends its file): an
# older segment holds nothing newer than its neighbour that came after it.
_FOLDED_LATE_MS = 1_200_000


@verb(permission="serving:read")
def traffic(
    ws: Workspace, model: str | None = None, window_ms: int = 900_000, points: int = 60, to_ms: int | None = None
) -> list[Traffic]:
    """Requests, failures and latencies of every deployed model, or of one, by version and step of time.

    The last `window_ms` (at most a day) before `to_ms` (now) in about `points` steps, by the server's own clock. What
    was answered is here 200 ms later. Requests that a model refused (4xx) are not in the log, and not here. Latencies
    are told to within a hundredth: what was counted once is not read again, so asking every few seconds is cheap.

    Raises: NotFound when `model` is not deployed; InvalidInput for a window or a number of points out of bounds.
    """
    import polars as pl

    if not 1000 <= window_ms <= _DAY_MS or not 1 <= points <= _MOST_POINTS:
        raise InvalidInput(
            f"window_ms={window_ms}, points={points}", hint=f"1000 to {_DAY_MS} ms, in 1 to {_MOST_POINTS} points"
        )
    deployments = list_deployments(ws) if model is None else [get_deployment(ws, model)]
    if not deployments:
        return []
    end = now_ms() if to_ms is None else to_ms
    step = -(-window_ms // points)
    # Steps begin at multiples of their length, so that those asked for a moment later are the same ones.
    begin = (end - window_ms) // step * step
    whole_requests = pl.col("node") == ""
    tally = _answered(ws, {one.model for one in deployments}, begin, to_ms, step).filter(whole_requests)
    by = ["version", "route"]
    whole = _figures(tally.filter(pl.col("route") != "shadow"), [])
    versions, stepped = _figures(tally, by), _figures(tally, ["at_ms", *by])
    nothing = {"requests": 0, "failed": 0, "latency_ms": None, "latency_p95_ms": None}
    return [
        Traffic(
            model=one.model, from_ms=begin, to_ms=end, step_ms=step, log_share=one.log_share,
            **(whole.get(one.model) or [nothing])[0],
            versions=[VersionTraffic(**row) for row in versions.get(one.model, [])],
            points=[TrafficPoint(**row) for row in stepped.get(one.model, [])],
        )
        for one in deployments
    ]  # fmt: skip


@verb(permission="serving:read")
def graph_traffic(
    ws: Workspace, model: str, version: int | None = None, window_ms: int = 900_000, to_ms: int | None = None
) -> GraphTraffic:
    """How fast every member and lookup of a graph has answered lately, and how often it was the one that failed.

    Of the champion, or of another version, over the last `window_ms` (at most a day) before `to_ms` (now), from the
    prediction log, as `traffic` tells it of whole requests. A node's time is from asking it to its answer, waiting in
    its queue included.

    Raises: NotFound; InvalidInput for a version that is no graph, and a window out of bounds.
    """
    import polars as pl

    if not 1000 <= window_ms <= _DAY_MS:
        raise InvalidInput(f"window_ms={window_ms}", hint=f"1000 to {_DAY_MS} ms")
    declared = get_graph(ws, model, version)
    end = now_ms() if to_ms is None else to_ms
    step = -(-window_ms // _GRAPH_POINTS)
    begin = (end - window_ms) // step * step
    own = pl.col("version") == declared.version
    tally = _answered(ws, {model}, begin, to_ms, step).filter(own)
    figures = {row["node"]: row for row in _figures(tally, ["node"]).get(model, [])}
    nothing = {"requests": 0, "failed": 0, "latency_ms": None, "latency_p95_ms": None}
    return GraphTraffic(
        model=model, version=declared.version, from_ms=begin, to_ms=end,
        log_share=get_deployment(ws, model).log_share,
        nodes=[
            NodeTraffic(name=node.name if isinstance(node, Member) else node.source,
                        **(figures.get(path) or {"node": path, **nothing}))
            for path, node in walk(declared.graph) if isinstance(node, (Member, Lookup))
        ],
    )  # fmt: skip


def _figures(tally: pl.DataFrame, by: list[str]) -> dict[str, list[dict[str, Any]]]:
    """By model, the figures of each of what is named in `by`, in its order."""
    import polars as pl

    by = ["model", *by]
    many, failed = pl.col("requests"), pl.col("failed")
    told = tally.group_by(by).agg(many.sum(), many.filter(failed).sum().alias("failed"))
    well = (
        tally.filter(~failed)
        .group_by([*by, "bucket"])
        .agg(many.sum(), pl.col("total_us").sum())
        .sort([*by, "bucket"])
        .with_columns(
            many.cum_sum().over(by).alias("up_to"), many.sum().over(by).alias("all"),
            (pl.col("total_us") / many / 1000).alias("ms"),
        )
    )  # fmt: skip
    for name, share in (("latency_ms", 0.5), ("latency_p95_ms", 0.95)):
        there = well.filter(pl.col("up_to") > share * (pl.col("all") - 1)).unique(by, keep="first", maintain_order=True)
        told = told.join(there.select(*by, pl.col("ms").alias(name)), on=by, how="left")
    found: dict[str, list[dict[str, Any]]] = {}
    for row in told.sort(by).iter_rows(named=True):
        found.setdefault(row.pop("model"), []).append(row)
    return found


def _answered(ws: Workspace, models: set[str], begin: int, before: int | None, step: int) -> pl.DataFrame:
    """The requests of the models in the time. What ends at a moment of the past is read anew."""
    import polars as pl

    spooled, segments = _spooled(ws, models, begin, before, step)
    since = begin - _FOLDED_LATE_MS
    for model, digests in segments.items():
        for digest in digests:
            if before is None:
                tally = tallies_of(ws).of_segment(ws, model, digest, step, since)
            else:
                tally = tally_of_segment(ws, model, digest, step, since, before)
            spooled.append(tally)
            if not tally.filter(pl.col("at_ms") >= since // step * step).height:
                break
    return pl.concat([one.filter(pl.col("at_ms") >= begin, pl.col("model").is_in(models)) for one in spooled])


def _spooled(
    ws: Workspace, models: set[str], begin: int, before: int | None, step: int
) -> tuple[list[pl.DataFrame], dict[str, list[str]]]:
    """What is spooled, and by model the segments, newest first, that together hold every request once."""
    found: list[pl.DataFrame] = []
    segments: dict[str, list[str]] = {}
    for _ in range(5):
        # Files first, index second. A file that is folded in between is named as such, or gone: then we look again.
        files = spool_files(ws.home)
        read = {path.name: _of_file(ws, path, begin, before, step) for path in files}
        segments, folded = ws.db.read(lambda connection: _index(connection, models))
        found = [tally for name, tally in read.items() if tally is not None and name not in folded]
        if all(path.exists() for path in files):
            break
    return [no_requests(), *found], segments


def _of_file(ws: Workspace, path: Path, begin: int, before: int | None, step: int) -> pl.DataFrame | None:
    try:
        if path.stat().st_mtime_ns // 1_000_000 < begin:
            return None
        if before is None:
            return tallies_of(ws).of_spooled(path, step, begin)
        return tally_of_spooled(path, step, begin, before)
    except FileNotFoundError:
        return None  # folded while we looked


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
