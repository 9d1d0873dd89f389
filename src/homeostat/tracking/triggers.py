"""Triggers that tell which runs changed: at all, and in what words are looked for in.

A trigger sees every writer, those to come and those of other versions too; and it costs a row at the end of a narrow
table, in the transaction of the change. What is told of is used in `changes.py` and `texts.py`. That points came shows
in the run's `pending`, which grows with each batch of them: to watch the series would cost a row for each metric.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import event

from homeostat.tracking import store

# What is looked for in a run's own row; and what of it says nothing of the run, or is seen by its growing.
_WORDS = ("name", "source", "kind")
_WITHIN = ("seq", "heartbeat_ms", "told_ms", "pending")
_TOLD = tuple(column.name for column in store.run.columns if column.name not in _WITHIN)
_OF_WORDS, _OTHER = (store.param.name, store.tag.name), (store.run_dataset.name, store.run_model.name)

_STALE = "insert into tracking_stale (run_seq) {}"
_NEXT = "(select coalesce(max(stamp), 0) + 1 from tracking_change)"
_CHANGE = "insert into tracking_change (stamp, run_seq) {} on conflict do nothing"

# Of PostgreSQL: what came or went is told of once for each statement, what changed row by row: mostly nothing did.
_FUNCTION = "create or replace function {}() returns trigger language plpgsql as $$ begin {}; return null; end $$"
_STATEMENTS = {
    "tracking_changed_of": (
        _STALE.format("select distinct run_seq from changed"),
        _CHANGE.format("select distinct txid_current(), run_seq from changed"),
    ),
    "tracking_changed_runs": (
        _STALE.format("select seq from changed"),
        _CHANGE.format("select txid_current(), seq from changed"),
    ),
    "tracking_changed_run": (_STALE.format("values (new.seq)"),),
    "tracking_changed_value": (
        _STALE.format("values (new.run_seq)"),
        _CHANGE.format("values (txid_current(), new.run_seq)"),
    ),
    "tracking_told_of": (_CHANGE.format("select distinct txid_current(), run_seq from changed"),),
    "tracking_told_runs": (_CHANGE.format("select txid_current(), seq from changed"),),
    "tracking_told_run": (_CHANGE.format("values (txid_current(), new.seq)"),),
}


def _sqlite() -> list[str]:
    run, differs = store.run.name, " or ".join(f"new.{column} is not old.{column}" for column in _WORDS)
    told = " or ".join(f"new.{column} is not old.{column}" for column in _TOLD)

    def made(table: str, name: str, on: str, *inserted: str) -> str:
        return f"create trigger {table}_{name} after {on} begin {'; '.join(inserted)}; end"

    def stale(row: str) -> str:
        return _STALE.format(f"values ({row})")

    def change(row: str) -> str:
        return f"insert into tracking_change (stamp, run_seq) values ({_NEXT}, {row})"  # noqa: S608 - written here

    triggers = [
        made(run, "put", f"insert on {run}", stale("new.seq"), change("new.seq")),
        made(run, "changed", f"update of {', '.join(_WORDS)} on {run} when {differs}", stale("new.seq")),
        made(
            run, "told", f"update of pending, {', '.join(_TOLD)} on {run} when new.pending > old.pending or {told}",
            change("new.seq"),
        ),
        # Of the words of a run that has gone, what is left is found by nobody.
        made(run, "gone", f"delete on {run}", change("old.seq")),
    ]  # fmt: skip
    for table in _OF_WORDS:
        update = f"update of value on {table} when new.value is not old.value"
        for name, on, row in (("put", f"insert on {table}", "new"), ("changed", update, "new"),
                              ("gone", f"delete on {table}", "old")):  # fmt: skip
            triggers.append(made(table, name, on, stale(f"{row}.run_seq"), change(f"{row}.run_seq")))
    for table in _OTHER:
        for name, on, row in (("put", "insert", "new"), ("changed", "update", "new"), ("gone", "delete", "old")):
            triggers.append(made(table, name, f"{on} on {table}", change(f"{row}.run_seq")))
    return triggers


def _postgres() -> list[str]:
    run, differs = store.run.name, " or ".join(f"new.{column} is distinct from old.{column}" for column in _WORDS)
    told = " or ".join(f"new.{column} is distinct from old.{column}" for column in _TOLD)

    def each(table: str, name: str, on: str, function: str) -> str:
        which = {"insert": "new", "update": "new", "delete": "old"}[on]
        return (
            f"create trigger {table}_{name} after {on} on {table} referencing {which} table as changed"
            f" for each statement execute function {function}()"
        )

    triggers = [
        each(run, "put", "insert", "tracking_changed_runs"),
        f"create trigger {run}_changed after update of {', '.join(_WORDS)} on {run} for each row"
        f" when ({differs}) execute function tracking_changed_run()",
        f"create trigger {run}_told after update of pending, {', '.join(_TOLD)} on {run} for each row"
        f" when (new.pending > old.pending or {told}) execute function tracking_told_run()",
        each(run, "gone", "delete", "tracking_told_runs"),
    ]
    for table in _OF_WORDS:
        triggers += [
            each(table, "put", "insert", "tracking_changed_of"),
            f"create trigger {table}_changed after update of value on {table} for each row"
            " when (new.value is distinct from old.value) execute function tracking_changed_value()",
            each(table, "gone", "delete", "tracking_changed_of"),
        ]
    for table in _OTHER:
        for name, on in (("put", "insert"), ("changed", "update"), ("gone", "delete")):
            triggers.append(each(table, name, on, "tracking_told_of"))
    return triggers


def _listen() -> None:
    """Have each trigger made with its table, and the functions with the first of them."""
    tables = {table.name: table for table in (store.run, store.param, store.tag, store.run_dataset, store.run_model)}
    for table in tables.values():
        for name, inserted in _STATEMENTS.items():
            function = sa.DDL(_FUNCTION.format(name, "; ".join(inserted)))
            event.listen(table, "before_create", function.execute_if(dialect="postgresql"))
    for dialect, triggers in (("sqlite", _sqlite()), ("postgresql", _postgres())):
        for trigger in triggers:
            table = tables[trigger.split(" on ", 1)[1].split()[0]]
            event.listen(table, "after_create", sa.DDL(trigger).execute_if(dialect=dialect))


_listen()
