"""Verbs: hand in the truth, and read what was known of it at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from homeostat.core.clock import checked_ms
from homeostat.core.errors import Conflict, InvalidInput
from homeostat.core.events import publish
from homeostat.core.frames import Frame, to_polars
from homeostat.core.paths import check_name
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.monitoring import store
from homeostat.monitoring.model import LabelsRecorded

if TYPE_CHECKING:
    import polars as pl

_COLUMNS = ("key", "label", "label_ms")
_CHUNK = 5000


@verb(permission="monitoring:write")
def record_labels(ws: Workspace, model: str, labels: Frame) -> int:
    """Keep the truth about predictions: columns key, label (a number; 0/1 or true/false for a classifier), label_ms.

    A label is of the prediction with that `key`, of several the last; with a column `time_ms` of the one with that key
    and that time of its own; with `request_id` instead of `key` (and `row`, from 0, where a request has several) of
    that answer.

    `label_ms` is when the truth was known (ms UTC), not when it happened. The same row again changes nothing; a
    correction is a new row with a later `label_ms`, and the newest known one counts. Gives the number of new rows.

    Raises: InvalidInput for a missing column or value; Conflict when the same prediction has another label at the same
    moment.
    """
    check_name(model, "model name")
    frame = _checked(to_polars(labels))
    if frame.is_empty():
        return 0
    rows: list[dict[str, Any]] = [
        {"model": model, "key": key, "label": label, "label_ms": at} for key, label, at in frame.iter_rows()
    ]
    lowest, highest = int(frame["label_ms"].min()), int(frame["label_ms"].max())  # pyright: ignore[reportArgumentType]

    def add(c: sa.Connection) -> int:
        added = 0
        for first in range(0, len(rows), _CHUNK):
            added += _insert(c, rows[first : first + _CHUNK])
        if added < len(rows):
            _refuse_changed(c, model, lowest, highest, rows)
        if added:
            publish(ws, c, LabelsRecorded(model=model, rows=added, from_ms=lowest, to_ms=highest))
        return added

    return ws.db.write(add)


def read_labels(ws: Workspace, model: str, from_ms: int | None = None, to_ms: int | None = None) -> pl.DataFrame:
    """Labels known in [from_ms, to_ms): key, label, label_ms; of several for one key the newest.

    What is named by request, or by key and time, has a `key` of its own kind (`homeostat.monitoring.naming`).
    """
    import polars as pl

    t = store.label.c
    query = sa.select(t.key, t.label, t.label_ms).where(t.model == model)
    if from_ms is not None:
        query = query.where(t.label_ms >= from_ms)
    if to_ms is not None:
        query = query.where(t.label_ms < to_ms)
    rows = ws.db.read(lambda c: c.execute(query).all())
    schema = {"key": pl.String, "label": pl.Float64, "label_ms": pl.Int64}
    frame = pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")
    return frame.sort("label_ms").unique("key", keep="last", maintain_order=True)


def count_labels(ws: Workspace, model: str, from_ms: int, to_ms: int) -> int:
    """How many labels became known in [from_ms, to_ms); corrections count again."""
    t = store.label.c
    where = (t.model == model, t.label_ms >= from_ms, t.label_ms < to_ms)
    return ws.db.read(lambda c: c.execute(sa.select(sa.func.count()).where(*where)).scalar_one())


def _insert(c: sa.Connection, rows: list[dict[str, Any]]) -> int:
    from sqlalchemy.dialects import postgresql, sqlite

    t, times = store.label.c, [row["label_ms"] for row in rows]
    stretch = (t.model == rows[0]["model"], t.label_ms.between(min(times), max(times)))
    before = sa.select(sa.func.count()).where(*stretch)
    count = c.execute(before).scalar_one()
    insert = postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert
    c.execute(insert(store.label).on_conflict_do_nothing(), rows)
    return c.execute(before).scalar_one() - count


def _refuse_changed(c: sa.Connection, model: str, lowest: int, highest: int, rows: list[dict[str, Any]]) -> None:
    from homeostat.monitoring.naming import shown

    t = store.label.c
    query = sa.select(t.key, t.label_ms, t.label).where(t.model == model, t.label_ms.between(lowest, highest))
    kept = {(row.key, row.label_ms): row.label for row in c.execute(query)}
    for row in rows:
        before = kept[row["key"], row["label_ms"]]
        if before != row["label"]:
            raise Conflict(
                f"{shown(row['key'])} was labelled {before:g} at {row['label_ms']}, and now {row['label']:g}",
                hint="give the correction the later label_ms at which it became known",
                key=shown(row["key"]),
            )


def _told(name: str, given: list[str]) -> str:
    """What a column that lacks a value is called by who gave it."""
    if name != "key":
        return name
    if "request_id" in given:
        return "request_id or row" if "row" in given else "request_id"
    return "key or time_ms" if "time_ms" in given else "key"


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    from homeostat.monitoring.naming import named

    given = frame.columns
    for name in _COLUMNS:
        if name not in given and not (name == "key" and "request_id" in given):
            raise InvalidInput(
                f"the labels have no column '{name}'",
                hint=f"give key (or request_id), label, label_ms; got {', '.join(given)[:200]}",
            )
    kinds = {"key": pl.String, "label": pl.Float64, "label_ms": pl.Int64}
    try:
        frame = named(frame)
        checked = frame.select(pl.col(name).cast(kind) for name, kind in kinds.items())
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(
            f"the labels do not fit: {error}", hint="key is text, label a number, label_ms and time_ms ms UTC"
        ) from error
    for name in _COLUMNS:
        empty = checked[name].null_count()
        if empty:
            raise InvalidInput(
                f"{empty} of {checked.height} rows have no {_told(name, given)}",
                hint="leave out rows without truth yet",
            )
    if not checked["label"].is_finite().all():
        raise InvalidInput("a label is not a finite number", hint="leave out rows without truth yet")
    for ms in (checked["label_ms"].min(), checked["label_ms"].max()):
        if ms is not None:
            checked_ms(cast(int, ms), "label_ms")
    return checked
