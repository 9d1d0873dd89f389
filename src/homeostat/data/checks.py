"""The verbs on expectations: declare them for a table, and check a version against them."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.events import publish
from homeostat.core.extras import require
from homeostat.core.paths import check_name
from homeostat.core.records import from_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data import store
from homeostat.data.expectations import Expectation
from homeostat.data.model import CheckFailed, CheckReport


@verb(permission="data:write")
def set_expectations(ws: Workspace, name: str, expectations: list[Expectation]) -> int:
    """Declare what must hold for every later version of a table; how many rules there are.

    They replace what was declared before. The table need not exist yet. Rows already written are
    judged by `check_table`.
    """
    check_name(name, "table name")
    text = to_json(expectations)
    from_json(text, list[Expectation])  # plain dicts are welcome too, if they can be meant

    def change(connection: sa.Connection) -> None:
        store.declare(connection, name, now_ms())
        where = store.tables.c.name == name
        connection.execute(sa.update(store.tables).where(where).values(expectations=text))

    ws.db.write(change)
    return len(expectations)


@verb(permission="data:read")
def get_expectations(ws: Workspace, name: str) -> list[Expectation]:
    """What was declared for a table; empty when nothing was."""
    return ws.db.read(lambda connection: _declared(connection, name))


@verb(permission="data:write")
def check_table(ws: Workspace, name: str, version: int | None = None, at_ms: int | None = None) -> CheckReport:
    """Check a version against the table's expectations, and keep the report with it.

    The newest version by default. `at_ms` is "now" for freshness. A failing check of severity "error" publishes
    `check_failed`.
    """
    require("polars", extra="data")
    from homeostat.data.check_pass import evaluate
    from homeostat.data.data_files import scan

    snap, expectations = ws.db.read(lambda c: (store.snapshot(c, name, version), _declared(c, name)))
    report = evaluate(ws, name, snap.version, scan(ws, snap), expectations, now_ms() if at_ms is None else at_ms)
    where = (store.versions.c.name == name, store.versions.c.version == snap.version)

    def keep(connection: sa.Connection) -> None:
        connection.execute(sa.update(store.versions).where(*where).values(check_report=to_json(report)))
        announce_failures(ws, connection, report)

    ws.db.write(keep)
    return report


def announce_failures(ws: Workspace, connection: sa.Connection, report: CheckReport | None) -> None:
    """Publish `check_failed` when a check of severity "error" does not hold."""
    if report is not None and not report.passed:
        failed = [result.message for result in report.results if not result.passed and result.severity == "error"]
        publish(ws, connection, CheckFailed(table=report.table, version=report.version, failed=failed))


def _declared(connection: sa.Connection, name: str) -> list[Expectation]:
    text = connection.execute(
        sa.select(store.tables.c.expectations).where(store.tables.c.name == name)
    ).scalar_one_or_none()
    return from_json(text or "[]", list[Expectation])
