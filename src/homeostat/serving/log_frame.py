"""Spooled batches as a Polars frame: one row per prediction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from homeostat.serving import tensors
from homeostat.serving.model import NODE_TIME, ROLES
from homeostat.serving.spool import Batch, Block

_NO_TIME = -(1 << 63)
SCHEMA = pl.Schema({
    "request_id": pl.String, "row": pl.UInt32, "key": pl.String, "time_ms": pl.Int64, "logged_ms": pl.Int64,
    "model": pl.String, "version": pl.Int64, "route": pl.String, "latency_us": pl.UInt32, "status": pl.UInt16,
})  # fmt: skip


def column_name(name: str) -> str:
    """The log's column for an input or output: its own name, or `input:name` where the log has a column of that name.

    >>> column_name("route"), column_name("wind")
    ('input:route', 'wind')
    """
    return f"input:{name}" if name in SCHEMA else name


def to_frame(batch: Batch, columns: set[str] | None, from_ms: int | None, to_ms: int | None) -> pl.DataFrame:
    """The rows of `batch` whose time lies in [from_ms, to_ms), with the log's own columns and those in `columns`
    (None: all)."""
    counts = np.frombuffer(batch.counts, "<u4")
    total = int(counts.sum())
    logged = np.repeat(np.frombuffer(batch.logged_ms, "<i8"), counts)
    times = np.frombuffer(batch.times, "<i8") if batch.times is not None else None
    event = logged if times is None else np.where(times == _NO_TIME, logged, times)
    first = np.cumsum(counts) - counts
    data: dict[str, Any] = {
        "request_id": pl.Series(batch.ids, dtype=pl.String).gather(np.repeat(np.arange(len(counts)), counts)),
        "row": (np.arange(total) - np.repeat(first, counts)).astype("u4"),
        "key": pl.Series([None if k is None else str(k) for k in batch.keys], dtype=pl.String)
        if batch.keys is not None
        else pl.Series([None], dtype=pl.String).new_from_index(0, total),
        "time_ms": event,
        "logged_ms": logged,
        "model": pl.Series([batch.model]).new_from_index(0, total),
        "version": np.full(total, batch.version, "<i8"),
        "route": pl.Series(ROLES).gather(np.repeat(np.frombuffer(batch.roles, "u1"), counts)),
        "latency_us": np.repeat(np.frombuffer(batch.latency_us, "<u4"), counts),
        "status": np.full(total, batch.status, "<u2"),
    }
    for block in (*batch.outputs, *batch.inputs):
        _add_block(data, block, total, columns)
    frame = pl.DataFrame(data)
    return _within(frame, from_ms, to_ms)


def _add_block(data: dict[str, Any], block: Block, total: int, columns: set[str] | None) -> None:
    if len(block.names) > 1:  # a matrix: one column of the log for each of its columns
        wanted = [(at, name) for at, name in enumerate(block.names) if columns is None or column_name(name) in columns]
        if wanted:
            matrix = tensors.from_bytes("", block.datatype, [total, len(block.names)], block.data)
            for at, name in wanted:
                # What was answered stands: an input of an output's name is not kept.
                data.setdefault(column_name(name), np.ascontiguousarray(matrix[:, at]))
        return
    (name,) = block.names
    name = column_name(name)
    if name in data or (columns is not None and name not in columns):
        return
    tail = [] if block.tail == [1] else block.tail
    array = tensors.from_bytes("", block.datatype, [total, *tail], block.data)
    if block.datatype == "BYTES":
        texts = pl.Series([item.decode("utf-8", "replace") for item in array.reshape(-1).tolist()], dtype=pl.String)
        data[name] = texts.reshape((total, math.prod(tail))) if tail else texts
    elif name.startswith(NODE_TIME):
        data[name] = pl.Series(array).set(pl.Series(array < 0), None)  # nodes that were not asked, or did not answer
    elif not tail:
        data[name] = array
    else:
        data[name] = pl.Series(name, array.reshape(total, -1))


def _within(frame: pl.DataFrame, from_ms: int | None, to_ms: int | None) -> pl.DataFrame:
    if from_ms is not None:
        frame = frame.filter(pl.col("time_ms") >= from_ms)
    if to_ms is not None:
        frame = frame.filter(pl.col("time_ms") < to_ms)
    return frame


def newest(frames: Sequence[pl.DataFrame], routes: Iterable[str] | None) -> pl.DataFrame:
    """The frames as one, each prediction once: of equal (request_id, row) the one logged last, and a shadow's
    beside it. Ordered by time, then request and row, so that equal logs give equal frames."""
    if not frames:
        return pl.DataFrame(schema=SCHEMA)
    frame = pl.concat(_alike(frames), how="diagonal_relaxed") if len(frames) > 1 else frames[0]
    if routes is not None:
        frame = frame.filter(pl.col("route").is_in(list(routes)))
    shadowing = pl.when(pl.col("route") == "shadow").then(pl.col("version"))
    return (
        frame.with_columns(shadowing.alias("_shadow"))
        .sort("logged_ms", maintain_order=True)
        .unique(["request_id", "row", "_shadow"], keep="last", maintain_order=True)
        .drop("_shadow")
        .sort("time_ms", "request_id", "row", "version")
    )


def _alike(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """The frames with lists in every column that has lists in one of them: a number where another version of the model
    gave several is a list of one."""
    many = {name for frame in frames for name, dtype in frame.schema.items() if dtype.is_nested()}
    if not many:
        return list(frames)
    return [
        frame.with_columns(
            pl.when(pl.col(name).is_not_null()).then(pl.concat_list(name)).alias(name)
            for name, dtype in frame.schema.items()
            if name in many and not dtype.is_nested()
        )
        for frame in frames
    ]
