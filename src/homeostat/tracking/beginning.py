"""The rows of a run that begins, put down in as few exchanges with the database as may be: nobody waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from homeostat.core.context import current_actor
from homeostat.core.events import publish
from homeostat.core.statements import must, put
from homeostat.core.workspace import Workspace
from homeostat.tracking.attributes import number_of_text
from homeostat.tracking.model import RunKind, RunStarted

_INSERT = (
    "insert into tracking_run (id, experiment_id, name, status, lifecycle, owner, actor, kind, parent_id, start_ms,"
    " source, code_version, pending, told_ms)"
    " values (?, ?, ?, 'running', 'active', ?, ?, ?, ?, ?, ?, ?, 0, 0)"
)
# The same, where the experiment is as it was.
_INSERT_WHERE = (
    f"{_INSERT.replace('values (', 'select ')[:-1]} from tracking_experiment"  # noqa: S608 - made of the above
    " where id = ? and name = ? and artifact_location = ? and lifecycle = 'active'"
)
# The number of the run that the same connection has added last, or of that with an id.
_SEQ = {"postgresql": "currval('tracking_run_seq_seq')", "sqlite": "(select seq from tracking_run where id = ?)"}
_PARAMS = "insert into tracking_param (run_seq, key, value, number) values "
_TAGS = "insert into tracking_tag (run_seq, key, value) values "
# So many rows are put down by one statement.
_AT_ONCE = 200


class Beginning(NamedTuple):
    """What is known of a run when it begins."""

    id: str
    experiment_id: int
    experiment: str
    name: str
    owner: str
    start_ms: int
    kind: RunKind = "run"
    parent_id: str | None = None
    source: str = ""
    code_version: str = ""


def begin(
    ws: Workspace,
    c: sa.Connection,
    run: Beginning,
    tags: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    believed: str | None = None,
) -> None:
    """Add a run within the open transaction. One of that id fails it, at the latest at its end.

    `believed` is where the experiment's artifacts lie, on PostgreSQL, if nobody has looked there now: then the write is
    done over where the experiment is not active, or has another place or name (see `statements.must`).
    """
    actor = current_actor()[:255]
    of_run = (run.kind, run.parent_id, run.start_ms, run.source, run.code_version)
    row = (run.id, run.experiment_id, run.name, run.owner, actor, *of_run)
    if believed is None or not must(c, _INSERT_WHERE, (*row, run.experiment_id, run.experiment, believed)):
        put(c, _INSERT, row)
    named = (run.id,) if c.dialect.name == "sqlite" else ()
    _put_all(c, _PARAMS, [(*named, key, value, number_of_text(value)) for key, value in (params or {}).items()])
    _put_all(c, _TAGS, [(*named, key, value) for key, value in tags.items()])
    publish(ws, c, RunStarted(run_id=run.id, experiment=run.experiment, kind=run.kind, parent_id=run.parent_id))


def _put_all(c: sa.Connection, sql: str, rows: list[tuple[object, ...]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        of_run = _SEQ[c.dialect.name]
        one = f"({of_run}{', ?' * (len(some[0]) - of_run.count('?'))})"
        put(c, sql + ", ".join([one] * len(some)), [value for row in some for value in row])
