"""Issues: what goes wrong in traces, named once and pointed to by every trace that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, InvalidInput, NotFound
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.scorers import check_experiment

STATUSES = ("pending", "rejected", "resolved")
SEVERITIES = ("not_an_issue", "low", "medium", "high")
_TABLE = store.issue


class Issue(Record):
    """One issue. Times in milliseconds; `last_seen_ms` is when a trace last showed it, as its finder says."""

    id: str
    experiment_id: str
    name: str
    description: str
    created_ms: int
    updated_ms: int
    last_seen_ms: int
    status: str = "pending"
    severity: str = ""
    root_causes: list[str] = []
    categories: list[str] = []
    source_run_id: str = ""
    created_by: str = ""
    updated_by: str = ""
    metadata: dict[str, str] = {}


def create_issue(ws: Workspace, issue: Issue) -> Issue:
    """Keep an issue. Raises: NotFound, AlreadyExists, InvalidInput."""

    def put(c: sa.Connection) -> Issue:
        check_experiment(c, int(issue.experiment_id))
        if c.execute(sa.select(_TABLE.c.id).where(_TABLE.c.id == issue.id)).scalar_one_or_none() is not None:
            raise AlreadyExists("Issue ID already exists")
        if issue.source_run_id:
            store.seq_of(c, issue.source_run_id)
            of = sa.select(store.run.c.experiment_id).where(store.run.c.id == issue.source_run_id)
            if str(c.execute(of).scalar_one()) != issue.experiment_id:
                raise InvalidInput("Source run must belong to the Issue experiment")
        row = {"id": issue.id, "experiment_id": int(issue.experiment_id), "created_ms": issue.created_ms}
        c.execute(sa.insert(_TABLE).values(**row, body=to_json(issue)))
        return issue

    return ws.db.write(put)


def get_issue(ws: Workspace, issue_id: str) -> Issue:
    """An issue by id. Raises NotFound."""
    return ws.db.read(lambda c: _found(c, issue_id))


def change_issue(ws: Workspace, issue_id: str, change: Callable[[Issue], Issue]) -> Issue:
    """Let `change` alter an issue. Raises NotFound."""

    def put(c: sa.Connection) -> Issue:
        changed = change(_found(c, issue_id))
        c.execute(sa.update(_TABLE).where(_TABLE.c.id == issue_id).values(body=to_json(changed)))
        return changed

    return ws.db.write(put)


def list_issues(ws: Workspace, experiment_id: int | None = None) -> list[Issue]:
    """The issues of an experiment, or of all."""
    query = sa.select(_TABLE.c.body)
    if experiment_id is not None:
        query = query.where(_TABLE.c.experiment_id == experiment_id)
    return [from_json(body, Issue) for body in ws.db.read(lambda c: c.execute(query).scalars().all())]


def traces_of_issues(ws: Workspace, ids: Sequence[str]) -> dict[str, int]:
    """How many traces point to each of the issues."""
    table, wanted = store.assessment, set(ids)
    query = sa.select(table.c.trace_id, table.c.body).where(table.c.body.contains('"issue":', autoescape=True))

    def read(c: sa.Connection) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {one: set() for one in wanted}
        for trace_id, body in c.execute(query):
            told = from_json(body, dict[str, Any])
            if "issue" in told and told.get("assessment_name") in wanted:
                found[told["assessment_name"]].add(trace_id)
        return found

    return {one: len(traces) for one, traces in ws.db.read(read).items()}


def new_times() -> dict[str, int]:
    """The times of an issue that is found now."""
    now = now_ms()
    return {"created_ms": now, "updated_ms": now, "last_seen_ms": now}


def _found(c: sa.Connection, issue_id: str) -> Issue:
    body = c.execute(sa.select(_TABLE.c.body).where(_TABLE.c.id == issue_id)).scalar_one_or_none()
    if body is None:
        raise NotFound(f"Issue with ID '{issue_id[:64]}' not found")
    return from_json(body, Issue)
