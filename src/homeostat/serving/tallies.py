"""How many requests took how long, by version, route and step of time: small, and kept of what was read already.

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
from homeostat.serving.model import ROLES
from homeostat.serving.spool import Timings, read_timings

if TYPE_CHECKING:
    import polars as pl

_KEYS = ["model", "version", "route", "failed", "at_ms", "bucket"]
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
    frame = lazy.select(pl.lit(model).alias("model"), "version", "route", "logged_ms", "latency_us", "status").collect()
    return _tallied(frame, step_ms, since_ms)


def _tallied(frame: pl.DataFrame, step_ms: int, since_ms: int) -> pl.DataFrame:
    import polars as pl

    return (
        frame.lazy()
        .filter(pl.col("logged_ms") >= since_ms)
        .group_by(
            "model", pl.col("version").cast(pl.Int64), pl.col("route").cast(pl.String),
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
    return pl.DataFrame({
        "model": pl.Series(models, dtype=pl.String).gather(places),
        "version": np.repeat(np.array([told.version for told in spooled], "<i8"), counts),
        "route": pl.Series(ROLES).gather(roles),
        "logged_ms": np.frombuffer(b"".join([told.logged_ms for told in spooled]), "<i8"),
        "latency_us": np.frombuffer(b"".join([told.latency_us for told in spooled]), "<u4"),
        "status": np.repeat(np.array([told.status for told in spooled], "<u2"), counts),
    })  # fmt: skip
