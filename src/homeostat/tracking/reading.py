"""Rows to `Run` records: one query for each kind of detail, however many runs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from homeostat.tracking import store
from homeostat.tracking.model import Run

# Numbers bound in one statement.
_AT_ONCE = 500


def one(c: sa.Connection, run_id: str) -> Run:
    """The run of that id. Raises NotFound."""
    return read_runs(c, [store.seq_of(c, run_id)])[0]


def read_runs(c: sa.Connection, seqs: list[int], columns: list[str] | None = None) -> list[Run]:
    """The runs of these internal numbers, in this order, with their details: those that `columns` names, or all."""
    rows: dict[int, Any] = {}
    for start in range(0, len(seqs), _AT_ONCE):
        part = seqs[start : start + _AT_ONCE]
        query = (
            sa.select(store.run, store.experiment.c.name.label("experiment"))
            .join(store.experiment, store.experiment.c.id == store.run.c.experiment_id)
            .where(store.run.c.seq.in_(part))
        )
        rows.update({row.seq: row for row in c.execute(query)})
    params = _pairs(c, store.param, store.param.c.value, seqs, _named("params", columns))
    tags = _pairs(c, store.tag, store.tag.c.value, seqs, _named("tags", columns))
    metrics = _pairs(c, store.series, store.series.c.last_value, seqs, _named("metrics", columns))
    return [
        Run(
            id=row.id, experiment=row.experiment, name=row.name, status=row.status, kind=row.kind,
            start_ms=row.start_ms, end_ms=row.end_ms, parent_id=row.parent_id, source=row.source,
            code_version=row.code_version, error=row.error, lifecycle=row.lifecycle, owner=row.owner,
            params=params[row.seq], tags=tags[row.seq],
            metrics={key: float("nan") if value is None else value for key, value in metrics[row.seq].items()},
        )
        for row in (rows[seq] for seq in seqs)
    ]  # fmt: skip


def _named(group: str, columns: list[str] | None) -> list[str] | None:
    prefix = f"{group}."
    return None if columns is None else [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]


def _pairs(
    c: sa.Connection, table: sa.Table, value: sa.Column[Any], seqs: list[int], keys: list[str] | None
) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    if keys == []:
        return found
    for start in range(0, len(seqs), _AT_ONCE):
        query = (
            sa.select(table.c.run_seq, table.c.key, value)
            .where(table.c.run_seq.in_(seqs[start : start + _AT_ONCE]))
            .order_by(table.c.run_seq, table.c.key)
        )
        if keys is not None:
            query = query.where(table.c.key.in_(keys))
        for seq, key, kept in c.execute(query):
            found[seq][key] = kept
    return found
