"""which runs changed, told in the order of the changes

Made from 0007. Whoever keeps what was made of runs asks for what has changed since, instead of making all of it anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_STALE = "insert into tracking_stale (run_seq) values ({})"
_CHANGE = (
    "insert into tracking_change (stamp, run_seq)"
    " values ((select coalesce(max(stamp), 0) + 1 from tracking_change), {})"
)
_OF_RUN = (
    "id", "experiment_id", "name", "status", "lifecycle", "deleted_ms", "owner", "actor", "kind", "parent_id",
    "start_ms", "end_ms", "source", "code_version", "error",
)  # fmt: skip
_TOLD = f"after update of pending, {', '.join(_OF_RUN)} on tracking_run"
_VALUE = "update of value on {table} when new.value is not old.value"
_WITH_WORDS, _WITHOUT = ("tracking_param", "tracking_tag"), ("tracking_run_dataset", "tracking_run_model")
_EVENTS = (("put", "insert", "new"), ("changed", "update", "new"), ("gone", "delete", "old"))


def _sqlite() -> list[str]:
    told = " or ".join(f"new.{column} is not old.{column}" for column in _OF_RUN)
    both = f"begin {_STALE}; {_CHANGE}; end"
    made = [
        "drop trigger tracking_run_put",
        f"create trigger tracking_run_put after insert on tracking_run {both.format('new.seq', 'new.seq')}",
        f"create trigger tracking_run_told {_TOLD} when new.pending > old.pending or {told}"
        f" begin {_CHANGE.format('new.seq')}; end",
        f"create trigger tracking_run_gone after delete on tracking_run begin {_CHANGE.format('old.seq')}; end",
    ]
    for table in _WITH_WORDS:
        for name, on, row in _EVENTS:
            on = _VALUE.format(table=table) if on == "update" else f"{on} on {table}"
            seq = f"{row}.run_seq"
            made += [
                f"drop trigger {table}_{name}",
                f"create trigger {table}_{name} after {on} {both.format(seq, seq)}",
            ]
    for table in _WITHOUT:
        for name, on, row in _EVENTS:
            done = f"begin {_CHANGE.format(f'{row}.run_seq')}; end"
            made.append(f"create trigger {table}_{name} after {on} on {table} {done}")
    return made


def _postgres() -> list[str]:
    function = "create or replace function {}() returns trigger language plpgsql as $$ begin {}; return null; end $$"
    stale = "insert into tracking_stale (run_seq) {}; "
    change = "insert into tracking_change (stamp, run_seq) {} on conflict do nothing"
    of, runs = "select distinct txid_current(), run_seq from changed", "select txid_current(), seq from changed"
    bodies = {
        "tracking_changed_of": stale.format("select distinct run_seq from changed") + change.format(of),
        "tracking_changed_runs": stale.format("select seq from changed") + change.format(runs),
        "tracking_changed_value": stale.format("values (new.run_seq)")
        + change.format("values (txid_current(), new.run_seq)"),
        "tracking_told_of": change.format(of),
        "tracking_told_runs": change.format(runs),
        "tracking_told_run": change.format("values (txid_current(), new.seq)"),
    }
    told = " or ".join(f"new.{column} is distinct from old.{column}" for column in _OF_RUN)
    each = (
        "create trigger {table}_{name} after {on} on {table} referencing {row} table as changed"
        " for each statement execute function {function}()"
    )
    return [
        *(function.format(name, body) for name, body in bodies.items()),
        f"create trigger tracking_run_told {_TOLD} for each row when (new.pending > old.pending or {told})"
        " execute function tracking_told_run()",
        each.format(table="tracking_run", name="gone", on="delete", row="old", function="tracking_told_runs"),
        *(
            each.format(table=table, name=name, on=on, row=row, function="tracking_told_of")
            for table in _WITHOUT
            for name, on, row in _EVENTS
        ),
    ]


def upgrade() -> None:
    op.create_table(
        "tracking_change",
        sa.Column("stamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("stamp", "run_seq"),
        sqlite_with_rowid=False,
    )
    for sql in _postgres() if op.get_bind().dialect.name == "postgresql" else _sqlite():
        op.execute(sa.DDL(sql))
