"""How many requests took how long, by version, route, node and step of time: small, and kept of what was read already.

The requests themselves have the empty node; of a graph's there are also the nodes on their way.

A request counts in a bucket of latencies that is one hundredth wide. Of the predictions of a workspace only what was
added since the last look is read: the further end of a spool file that still grows, and files that are new.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from homeostat.core.workspace import Workspace
from homeostat.serving.model import FAILED_NODE, NODE_TIME, ROLES
from homeostat.serving.spool import Timings, read_timings

if TYPE_CHECKING:
    import polars as pl

_KEYS = ["model", "version", "route", "node", "failed", "at_ms", "bucket"]
_READ = ["model", "version", "route", "node", "logged_ms", "latency_us", "status"]
_MOST_ROWS = 1_000_000  # of all tallies of a workspace; 50 bytes each


class Tally(NamedTuple):
    """What was read of one source: requests answered at `since_ms` or later, the first `size` bytes of its file."""

    since_ms: int
    size: int
    frame: pl.DataFrame


class Tallies:
    """The tallies of one workspace, in steps of some lengths; those not asked for longest are forgotten."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Tally] = OrderedDict()
        self._lock = threading.Lock()

    def of_spooled(self, path: Path, step_ms: int, since_ms: int) -> pl.DataFrame:
        """A spool file's. Raises FileNotFoundError when it was folded meanwhile."""
        with self._lock:
            known = self._known(path.name, step_ms, since_ms)
            size = known.size if known else 0
            if known is None or path.stat().st_size > size:
                added, size = read_timings(path, size)
                frame = _tallied(_of_timings(added), step_ms, since_ms)
                known = Tally(since_ms, size, _added(known.frame, frame) if known else frame)
            return self._keep(path.name, step_ms, known)

    def of_segment(self, ws: Workspace, model: str, digest: str, step_ms: int, since_ms: int) -> pl.DataFrame:
        """A folded segment's, which never changes."""
        with self._lock:
            name = f"{model}/{digest}"
            known = self._known(name, step_ms, since_ms)
            if known is None:
                known = Tally(since_ms, 0, tally_of_segment(ws, model, digest, step_ms, since_ms))
            return self._keep(name, step_ms, known)

    def _known(self, name: str, step_ms: int, since_ms: int) -> Tally | None:
        known = self._kept.get((name, step_ms))
        return known if known is not None and known.since_ms <= since_ms else None

    def _keep(self, name: str, step_ms: int, tally: Tally) -> pl.DataFrame:
        self._kept[name, step_ms] = tally
        self._kept.move_to_end((name, step_ms))
        rows = sum(kept.frame.height for kept in self._kept.values())
        while rows > _MOST_ROWS and len(self._kept) > 1:
            _, forgotten = self._kept.popitem(last=False)
            rows -= forgotten.frame.height
        return tally.frame


_of_workspaces: WeakKeyDictionary[Workspace, Tallies] = WeakKeyDictionary()
_first = threading.Lock()


def tallies_of(ws: Workspace) -> Tallies:
    """The tallies of a workspace."""
    with _first:
        return _of_workspaces.setdefault(ws, Tallies())


def no_requests() -> pl.DataFrame:
    """The tally of nothing."""
    return _tallied(_of_timings([]), 1, 0)


def tally_of_spooled(path: Path, step_ms: int, since_ms: int, before_ms: int) -> pl.DataFrame:
    """The tally of a spool file's requests in [since_ms, before_ms), read anew. Raises FileNotFoundError."""
    import polars as pl

    return _tallied(_of_timings(read_timings(path)[0]).filter(pl.col("logged_ms") < before_ms), step_ms, since_ms)


def tally_of_segment(
    ws: Workspace, model: str, digest: str, step_ms: int, since_ms: int, before_ms: int | None = None
) -> pl.DataFrame:
    """The tally of a segment's requests in [since_ms, before_ms), read anew."""
    import polars as pl

    lazy = pl.scan_parquet(ws.blobs.local_path(digest)).filter(pl.col("logged_ms") >= since_ms, pl.col("row") == 0)
    if before_ms is not None:
        lazy = lazy.filter(pl.col("logged_ms") < before_ms)
    one = lazy.with_columns(pl.lit(model).alias("model"))
    frames = [one.with_columns(pl.lit("").alias("node")), *_of_nodes(one)]
    return _tallied(pl.concat([frame.select(_READ) for frame in frames]).collect(), step_ms, since_ms)


def _of_nodes(lazy: pl.LazyFrame) -> list[pl.LazyFrame]:
    """What the nodes of graphs took, and which of them failed."""
    import polars as pl

    names = lazy.collect_schema().names()
    timed = [
        lazy.drop_nulls(name).with_columns(
            pl.lit(name.removeprefix(NODE_TIME)).alias("node"), pl.col(name).cast(pl.UInt32).alias("latency_us"),
            pl.lit(200).cast(pl.UInt16).alias("status"),
        )
        for name in names if name.startswith(NODE_TIME)
    ]  # fmt: skip
    if FAILED_NODE not in names:
        return timed
    failed = lazy.filter(pl.col(FAILED_NODE) != "", pl.col("status") >= 500)
    return [*timed, failed.with_columns(pl.col(FAILED_NODE).alias("node"))]


def _tallied(frame: pl.DataFrame, step_ms: int, since_ms: int) -> pl.DataFrame:
    import polars as pl

    return (
        frame.lazy()
        .filter(pl.col("logged_ms") >= since_ms)
        .group_by(
            "model", pl.col("version").cast(pl.Int64), pl.col("route").cast(pl.String), "node",
            (pl.col("status") >= 500).alias("failed"),
            (pl.col("logged_ms") // step_ms * step_ms).alias("at_ms"),
            ((pl.col("latency_us").cast(pl.Float64) + 1).log() * 100).cast(pl.Int32).alias("bucket"),
        )
        .agg(pl.len().cast(pl.Int64).alias("requests"), pl.col("latency_us").cast(pl.Int64).sum().alias("total_us"))
        .collect()
    )  # fmt: skip


def _added(known: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return known if not more.height else pl.concat([known, more]).group_by(_KEYS).sum()


def _of_timings(spooled: list[Timings]) -> pl.DataFrame:
    import numpy as np
    import polars as pl

    counts = np.array([len(told.roles) for told in spooled], "<i8")
    roles = np.frombuffer(b"".join([told.roles for told in spooled]), "u1")
    models = list(dict.fromkeys(told.model for told in spooled))
    places = np.repeat(np.array([models.index(told.model) for told in spooled], "<i8"), counts)
    whole = pl.DataFrame({
        "model": pl.Series(models, dtype=pl.String).gather(places),
        "version": np.repeat(np.array([told.version for told in spooled], "<i8"), counts),
        "route": pl.Series(ROLES).gather(roles),
        "node": pl.Series([""]).new_from_index(0, len(roles)),
        "logged_ms": np.frombuffer(b"".join([told.logged_ms for told in spooled]), "<i8"),
        "latency_us": np.frombuffer(b"".join([told.latency_us for told in spooled]), "<u4"),
        "status": np.repeat(np.array([told.status for told in spooled], "<u2"), counts),
    })  # fmt: skip
    return pl.concat([whole, *_nodes_of_timings(spooled)])


def _nodes_of_timings(spooled: list[Timings]) -> list[pl.DataFrame]:
    """The same rows for the nodes of graphs, as `_of_nodes` has them."""
    import numpy as np
    import polars as pl

    from homeostat.serving import tensors

    parts: dict[tuple[str, int, str, int], list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for told in spooled:
        blocks = {block.names[0]: block for block in told.outputs}
        if not any(name.startswith(NODE_TIME) for name in blocks):
            continue
        counts = np.frombuffer(told.counts, "<u4").astype("<i8")
        first = np.cumsum(counts) - counts  # what is told of a request is told of each of its rows
        roles, logged = np.frombuffer(told.roles, "u1"), np.frombuffer(told.logged_ms, "<i8")
        for name, block in blocks.items():
            if name.startswith(NODE_TIME):
                took = np.frombuffer(block.bytes(), "<i4")[first]
                key = (told.model, told.version, name.removeprefix(NODE_TIME), 200)
                kept = took >= 0
                parts.setdefault(key, []).append((roles[kept], logged[kept], took[kept]))
        if told.status >= 500 and FAILED_NODE in blocks:
            data = blocks[FAILED_NODE].bytes()
            nodes = tensors.from_bytes("", "BYTES", [int(counts.sum())], data)[first]
            for node in set(nodes.tolist()) - {b""}:
                kept = nodes == node
                key = (told.model, told.version, node.decode(), told.status)
                parts.setdefault(key, []).append((roles[kept], logged[kept], np.zeros(int(kept.sum()), "<i4")))
    found: list[pl.DataFrame] = []
    for (model, version, node, status), three in parts.items():
        roles, logged, took = (np.concatenate(column) for column in zip(*three, strict=True))
        found.append(pl.DataFrame({
            "model": pl.Series([model]).new_from_index(0, len(took)),
            "version": np.full(len(took), version, "<i8"), "route": pl.Series(ROLES).gather(roles),
            "node": pl.Series([node]).new_from_index(0, len(took)), "logged_ms": logged,
            "latency_us": took.astype("<u4"), "status": np.full(len(took), status, "<u2"),
        }))  # fmt: skip
    return found
