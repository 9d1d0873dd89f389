"""Rows to `Run` records: one question for each kind of detail, however many runs, all of them asked at once."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from homeostat.core.statements import among, marks, rows_of
from homeostat.tracking import store
from homeostat.tracking.model import Run

_RUN = (
    "select r.seq, r.id, e.name, r.name, r.status, r.kind, r.start_ms, r.end_ms, r.parent_id, r.source,"
    " r.code_version, r.error, r.lifecycle, r.owner"
    " from tracking_run r join tracking_experiment e on e.id = r.experiment_id where r.seq "
)
# Where each kind of detail is kept.
_DETAILS = (
    ("params", "tracking_param", "value"),
    ("tags", "tracking_tag", "value"),
    ("metrics", "tracking_series", "last_value"),
)
_NAN = float("nan")


def one(c: sa.Connection, run_id: str) -> Run:
    """The run of that id. Raises NotFound."""
    return read_runs(c, [store.seq_of(c, run_id)])[0]


def read_runs(c: sa.Connection, seqs: list[int], columns: list[str] | None = None) -> list[Run]:
    """The runs of these internal numbers, in this order, with their details: those that `columns` names, or all."""
    if not seqs:
        return []
    these, bound = among(c, seqs)
    asked = [(f"{_RUN}{these}", bound)]
    groups = [group for group, _, _ in _DETAILS if _named(group, columns) != []]
    for group, table, value in _DETAILS:
        if group in groups:
            keys = _named(group, columns) or []
            which = f" and key in ({marks(len(keys))})" if keys else ""
            sql = f"select run_seq, key, {value} from {table} where run_seq {these}{which} order by run_seq, key"  # noqa: S608 - names of this file; values are bound
            asked.append((sql, [*bound, *keys]))
    runs, *details = rows_of(c, asked)
    found = dict(zip(groups, map(_by_run, details), strict=True))
    params, tags, metrics = (found.get(group, defaultdict(dict)) for group, _, _ in _DETAILS)
    made = {
        seq: Run(
            id=id, experiment=experiment, name=name, status=status, kind=kind, start_ms=start_ms, end_ms=end_ms,
            parent_id=parent_id, source=source, code_version=code_version, error=error, lifecycle=lifecycle,
            owner=owner, params=params[seq], tags=tags[seq],
            metrics={key: _NAN if value is None else value for key, value in metrics[seq].items()},
        )
        for (
            seq, id, experiment, name, status, kind, start_ms, end_ms, parent_id, source, code_version, error,
            lifecycle, owner,
        ) in runs
    }  # fmt: skip
    return [made[seq] for seq in seqs]


def _named(group: str, columns: list[str] | None) -> list[str] | None:
    prefix = f"{group}."
    return None if columns is None else [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]


def _by_run(rows: list[Any]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for seq, key, value in rows:
        found[seq][key] = value
    return found
