"""Verbs: the prediction log as a table, wherever its rows lie at the moment."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.frames import Frame
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.serving import store
from homeostat.serving.model import FoldResult
from homeostat.serving.spool import Batch, is_finished, joined, read_spool, spool_files

if TYPE_CHECKING:
    import polars as pl

LogRoute = Literal["champion", "canary", "shadow", "direct"]
# What answered requests that named no version: the rows that the quality of a deployment is measured on.
_ANSWERED: list[LogRoute] = ["champion", "canary"]
# A fold writes one segment in place of this many small ones; large ones are never rewritten.
_MANY = 16
_SMALL_ROWS = 500_000


@verb(permission="serving:read")
def predictions(
    ws: Workspace,
    model: str,
    from_ms: int | None = None,
    to_ms: int | None = None,
    columns: list[str] | None = None,
    routes: list[LogRoute] = _ANSWERED,
) -> Frame:
    """The logged predictions of `model` whose time lies in [from_ms, to_ms), a row each.

    Columns: request_id, row (its place in the request), key, time_ms (the request's own, else when it was logged),
    logged_ms, model, version, route, latency_us, status (200; 500 where the model failed), then the outputs and the
    inputs. `columns` keeps only those named beside the log's own; an input that has the name of a log column is
    called `input:NAME`, one that has the name of an output is left out. Where an output has several values for a row,
    or had in one of the versions, it is a column of lists. Requests that were repeated count once: of equal
    (request_id, row) the newest is kept.
    `routes` may add "shadow" (mirrored requests) and "direct" (requests that named a version).

    What was answered is in the log at most 200 ms later, at once after `POST /v2/models/MODEL/flush`.
    """
    return _read(ws, model, from_ms, to_ms, None if columns is None else set(columns), routes)


@verb(permission="serving:read")
def count_predictions(
    ws: Workspace,
    model: str,
    from_ms: int | None = None,
    to_ms: int | None = None,
    routes: list[LogRoute] = _ANSWERED,
) -> int:
    """The number of rows that `predictions` would give."""
    return _read(ws, model, from_ms, to_ms, set(), routes).height


@verb(permission="serving:write")
def fold(ws: Workspace) -> FoldResult:
    """Move finished spool files of this machine into the repository as Parquet. Any process may do it, at any time.

    A file that a data plane still writes to is left to a later fold. Interrupted anywhere, nothing is lost and
    nothing counts twice.
    """
    if not any(is_finished(path) for path in spool_files(ws.home)):
        return FoldResult(files=0, rows=0, segments=0)  # asked every second: costs no write
    lease = ws.leases.acquire("serving:fold", ttl_s=300, owner=ws.instance)
    if lease is None:
        return FoldResult(files=0, rows=0, segments=0)
    try:
        known = ws.db.read(lambda c: set(c.execute(sa.select(store.folded.c.file)).scalars()))
        files = [path for path in spool_files(ws.home) if is_finished(path)]
        waiting = [path for path in files if path.name not in known]
        rows, segments = _fold_files(ws, waiting) if waiting else (0, 0)
        for path in files:
            path.unlink(missing_ok=True)
        # A row is dropped only after its file: seen the other way round, the rows would count twice for a moment.
        ws.db.write(
            lambda c: c.execute(sa.delete(store.folded).where(store.folded.c.file.in_([p.name for p in files])))
        )
        return FoldResult(files=len(waiting), rows=rows, segments=segments)
    finally:
        ws.leases.release(lease)


def _fold_files(ws: Workspace, files: list[Path]) -> tuple[int, int]:
    from homeostat.serving.log_frame import newest, to_frame

    by_model: dict[str, list[pl.DataFrame]] = {}
    for path in files:
        for batch in joined(read_spool(path)):
            by_model.setdefault(batch.model, []).append(to_frame(batch, None, None, None))
    segments: list[dict[str, Any]] = []
    replaced: list[int] = []
    for model, frames in by_model.items():
        small = sa.select(store.segment).where(store.segment.c.model == model, store.segment.c.rows < _SMALL_ROWS)
        old = ws.db.read(lambda c, small=small: c.execute(small.order_by(store.segment.c.id)).all())
        if len(old) >= _MANY:
            replaced += [row.id for row in old]
            frames = [*[_read_segment(ws, row.digest, None) for row in old], *frames]
        frame = newest(frames, None)
        segments.append({
            "model": model, "digest": _write_parquet(ws, frame), "rows": frame.height,
            "from_ms": frame["time_ms"].min(), "to_ms": frame["time_ms"].max(),
        })  # fmt: skip

    def write(connection: sa.Connection) -> None:
        if segments:
            connection.execute(sa.insert(store.segment), segments)
        connection.execute(sa.delete(store.segment).where(store.segment.c.id.in_(replaced)))
        connection.execute(sa.insert(store.folded), [{"file": path.name} for path in files])

    ws.db.write(write)
    return sum(s["rows"] for s in segments), len(segments)


def _write_parquet(ws: Workspace, frame: pl.DataFrame) -> str:
    with tempfile.TemporaryDirectory(dir=ws.home) as folder:
        path = Path(folder) / "predictions.parquet"
        frame.write_parquet(path, compression="zstd")
        return ws.blobs.put_file(path)


def _read(
    ws: Workspace, model: str, from_ms: int | None, to_ms: int | None, columns: set[str] | None, routes: list[LogRoute]
) -> pl.DataFrame:
    from homeostat.serving.log_frame import SCHEMA, newest, to_frame

    if from_ms is not None and to_ms is not None and from_ms > to_ms:
        raise InvalidInput(f"from_ms={from_ms} lies after to_ms={to_ms}")
    stored, batches = _snapshot(ws, model, from_ms, to_ms)
    wanted = None if columns is None else columns | set(SCHEMA)
    frames = [_read_segment(ws, digest, wanted, from_ms, to_ms) for digest in stored]
    frames += [to_frame(batch, wanted, from_ms, to_ms) for batch in batches]
    return newest(frames, routes)


def requests_since(ws: Workspace, model: str, since_ms: int) -> pl.DataFrame:
    """The requests of `model` that named no version and were answered since then, by the server's own clock: a row for
    each, with the log's own columns."""
    import polars as pl

    return _logged(ws, model, (pl.col("logged_ms") >= since_ms) & (pl.col("row") == 0), set(), _ANSWERED)


def answers_since(ws: Workspace, model: str, since_ms: int, columns: set[str]) -> pl.DataFrame:
    """The rows of such requests, with `columns` beside the log's own."""
    import polars as pl

    return _logged(ws, model, pl.col("logged_ms") >= since_ms, columns, _ANSWERED)


def mirrored_since(ws: Workspace, model: str, since_ms: int, columns: set[str]) -> pl.DataFrame:
    """The rows that were answered or mirrored since then, by the server's own clock, with `columns` beside the log's
    own."""
    import polars as pl

    return _logged(ws, model, pl.col("logged_ms") >= since_ms, columns, [*_ANSWERED, "shadow"])


def _logged(ws: Workspace, model: str, which: pl.Expr, columns: set[str], routes: list[LogRoute]) -> pl.DataFrame:
    import polars as pl

    from homeostat.serving.log_frame import SCHEMA, newest, to_frame

    stored, batches = _snapshot(ws, model, None, None)
    frames: list[pl.DataFrame] = []
    for digest in stored:
        frame = pl.scan_parquet(ws.blobs.local_path(digest)).filter(which)
        wanted = [name for name in frame.collect_schema().names() if name in columns or name in SCHEMA]
        frames.append(frame.select(wanted).collect())
    frames += [to_frame(batch, columns, None, None).filter(which) for batch in batches]
    return newest(frames, routes)


def _snapshot(ws: Workspace, model: str, from_ms: int | None, to_ms: int | None) -> tuple[list[str], list[Batch]]:
    """Segments and spooled batches that together hold every row once, whatever a fold does meanwhile."""
    query = sa.select(store.segment.c.digest).where(store.segment.c.model == model).order_by(store.segment.c.id)
    if from_ms is not None:
        query = query.where(store.segment.c.to_ms >= from_ms)
    if to_ms is not None:
        query = query.where(store.segment.c.from_ms < to_ms)

    for _ in range(20):
        # Files first, index second: a file that is folded in between is read twice, and counted once.
        files = spool_files(ws.home)
        try:
            batches = joined(batch for path in files for batch in read_spool(path) if batch.model == model)
        except FileNotFoundError:
            continue  # folded and deleted while we looked: look again
        return ws.db.read(lambda c: list(c.execute(query).scalars())), batches
    raise Unavailable("the prediction log is being reorganised", hint="try again in a moment")


def _read_segment(
    ws: Workspace, digest: str, columns: set[str] | None, from_ms: int | None = None, to_ms: int | None = None
) -> pl.DataFrame:
    import polars as pl

    frame = pl.scan_parquet(ws.blobs.local_path(digest))
    if columns is not None:
        frame = frame.select([name for name in frame.collect_schema().names() if name in columns])
    if from_ms is not None:
        frame = frame.filter(pl.col("time_ms") >= from_ms)
    if to_ms is not None:
        frame = frame.filter(pl.col("time_ms") < to_ms)
    return frame.collect()
