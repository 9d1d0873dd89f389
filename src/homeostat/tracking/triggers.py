"""Triggers that tell which runs changed in what words are looked for in.

A trigger sees every writer, those to come and those of other versions too; and it costs a row at the end of a narrow
table, in the transaction of the change. What is told of is done in `texts.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import event

from homeostat.tracking import store

# Of PostgreSQL: what came or went is told of once for each statement, what changed row by row: mostly nothing did.
_FUNCTION = "create or replace function {} returns trigger language plpgsql as $$ begin {}; return null; end $$"
_FUNCTIONS = (
    _FUNCTION.format(
        "tracking_changed_of()", "insert into tracking_stale (run_seq) select distinct run_seq from changed"
    ),
    _FUNCTION.format("tracking_changed_runs()", "insert into tracking_stale (run_seq) select seq from changed"),
    _FUNCTION.format("tracking_changed_run()", "insert into tracking_stale (run_seq) values (new.seq)"),
    _FUNCTION.format("tracking_changed_value()", "insert into tracking_stale (run_seq) values (new.run_seq)"),
)
_OF_RUN = ("name", "source", "kind")


def _sqlite(table: str) -> list[str]:
    of_run = table == store.run.name
    key = "seq" if of_run else "run_seq"
    columns = _OF_RUN if of_run else ("value",)
    differs = " or ".join(f"new.{column} is not old.{column}" for column in columns)
    told = "begin insert into tracking_stale (run_seq) values ({row}.{key}); end"
    made = [
        f"create trigger {table}_put after insert on {table} {told.format(row='new', key=key)}",
        f"create trigger {table}_changed after update of {', '.join(columns)} on {table} when {differs}"
        f" {told.format(row='new', key=key)}",
    ]
    # What is left of a run that has gone is found by nobody.
    gone = f"create trigger {table}_gone after delete on {table} {told.format(row='old', key=key)}"
    return made if of_run else [*made, gone]


def _postgres(table: str) -> list[str]:
    put = f"create trigger {table}_put after insert on {table} referencing new table as changed for each statement"
    if table == store.run.name:
        differs = " or ".join(f"new.{column} is distinct from old.{column}" for column in _OF_RUN)
        return [
            f"{put} execute function tracking_changed_runs()",
            f"create trigger {table}_changed after update of {', '.join(_OF_RUN)} on {table} for each row"
            f" when ({differs}) execute function tracking_changed_run()",
        ]
    return [
        f"{put} execute function tracking_changed_of()",
        f"create trigger {table}_changed after update of value on {table} for each row"
        " when (new.value is distinct from old.value) execute function tracking_changed_value()",
        f"create trigger {table}_gone after delete on {table} referencing old table as changed for each statement"
        " execute function tracking_changed_of()",
    ]


def _listen() -> None:
    for table in (store.run, store.param, store.tag):
        for function in _FUNCTIONS:
            event.listen(table, "before_create", sa.DDL(function).execute_if(dialect="postgresql"))
        for dialect, triggers in (("sqlite", _sqlite(table.name)), ("postgresql", _postgres(table.name))):
            for trigger in triggers:
                event.listen(table, "after_create", sa.DDL(trigger).execute_if(dialect=dialect))


_listen()
