"""Traces that were there before schema 0010 are found and counted by what it fills, as if they came in today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.db import Database
from homeostat.core.schema import upgrade
from homeostat.engines.postgres import open_postgres
from homeostat.engines.sqlite import open_sqlite
from homeostat.tracking import store, trace_store
from homeostat.tracking.trace_spans import put_spans
from homeostat.tracking.traces import Trace, create_assessment, put_trace
from tests.tracking.test_traces import span

FILLED = (store.trace, store.assessment, trace_store.word, trace_store.fact)
VALUES: list[Any] = [1, 2.5, True, "yes", "no way", {"a": [1]}, None]


def lived(ws: hs.Workspace) -> None:
    """Traces of many kinds: more than are filled at once."""
    for number in range(520):
        put_trace(ws, Trace(
            id=f"tr-{number}", experiment_id="0", request_ms=number * 1000, client_request_id="x" * (number % 3),
            tags={"mlflow.traceName": f"name {number % 4}", "word": "ü" * number, "mlflow.linkedPrompts":
                  '[{"name": "greeting", "version": "2"}]' if number % 5 == 0 else "odd"},
            metadata={"mlflow.trace.session": f"s-{number % 7}", "mlflow.trace.tokenUsage":
                      json.dumps({"input_tokens": number, "total_tokens": 0.5}) if number % 3 else "none"},
        ))  # fmt: skip
        if number > 30:
            continue
        told: dict[str, Any] = {"mlflow__spanType": '"LLM"', "mlflow__llm__model": '"small"'} if number % 2 else {}
        cost = json.dumps({"input_cost": 0.25, "total_cost": number})
        put_spans(ws, "0", [
            span(number + 1, f"s{number}", of=f"tr-{number}", mlflow__llm__cost=cost, **told),
            {**span(900, "last", number + 1, of=f"tr-{number}"), "end_time_unix_nano": None,
             "status": {"code": "STATUS_CODE_ERROR"}},
        ])  # fmt: skip
        said = {"assessment_name": "n" * number, "feedback": {"value": VALUES[number % len(VALUES)]}}
        create_assessment(ws, f"tr-{number}", said)
        text = {"serialized_value": {"serialization_format": "JSON", "value": "[1]"}}
        whole = {"assessment_name": "e", "expectation": text, "metadata": {"mlflow.trace.session": "s"}, "valid": False}
        create_assessment(ws, f"tr-{number}", whole)
        create_assessment(ws, f"tr-{number}", {"assessment_name": "i", "issue": {"issue_name": "slow"}})


def rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    def read(c: sa.Connection) -> dict[str, list[dict[str, Any]]]:
        return {table.name: [dict(row) for row in c.execute(sa.select(table).order_by(*table.primary_key)).mappings()]
                for table in (*FILLED, store.span)}  # fmt: skip

    return database.read(read)


def as_text(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_old_traces_are_found_by_is_as_if_they_came_today(
    kind: str, ws: hs.Workspace, tmp_path: Path, request: pytest.FixtureRequest
):
    lived(ws)
    wanted = rows(ws.db)
    assert all(wanted.values()) and any(row["number"] == 2.5 for row in wanted[store.assessment.name])
    if kind == "sqlite":
        database = open_sqlite(f"sqlite:///{tmp_path / 'old.db'}")
    else:
        database = open_postgres(request.getfixturevalue("postgres").new_database())
    upgrade(database, "nothing", target="0009")
    with database.writer.begin() as connection:
        for table in (store.trace, store.span, store.assessment):
            old = sa.Table(table.name, sa.MetaData(), autoload_with=connection)
            kept = [{column.name: row[column.name] for column in old.columns} for row in wanted[table.name]]
            connection.execute(sa.insert(old), kept)
    upgrade(database, "0009")
    filled = rows(database)
    database.close()
    for name, found in wanted.items():
        assert sorted(map(as_text, filled[name])) == sorted(map(as_text, found)), name
