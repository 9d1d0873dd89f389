"""one text of each run, where words are looked for

Made from 0005. Runs that are there have their texts made here: a search that made them all would take long.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TELL = "begin insert into tracking_stale (run_seq) values ({}); end"
_RENAMED = "after update of name, source, kind on tracking_run"
_SQLITE = (
    f"create trigger tracking_run_put after insert on tracking_run {_TELL.format('new.seq')}",
    f"create trigger tracking_run_changed {_RENAMED} when new.name is not old.name or new.source is not old.source"
    f" or new.kind is not old.kind {_TELL.format('new.seq')}",
    *(
        sql
        for table in ("tracking_param", "tracking_tag")
        for sql in (
            f"create trigger {table}_put after insert on {table} {_TELL.format('new.run_seq')}",
            f"create trigger {table}_changed after update of value on {table} when new.value is not old.value"
            f" {_TELL.format('new.run_seq')}",
            f"create trigger {table}_gone after delete on {table} {_TELL.format('old.run_seq')}",
        )
    ),
)
_FUNCTION = "create or replace function {} returns trigger language plpgsql as $$ begin {}; return null; end $$"
_POSTGRES = (
    _FUNCTION.format(
        "tracking_changed_of()", "insert into tracking_stale (run_seq) select distinct run_seq from changed"
    ),
    _FUNCTION.format("tracking_changed_runs()", "insert into tracking_stale (run_seq) select seq from changed"),
    _FUNCTION.format("tracking_changed_run()", "insert into tracking_stale (run_seq) values (new.seq)"),
    _FUNCTION.format("tracking_changed_value()", "insert into tracking_stale (run_seq) values (new.run_seq)"),
    "create trigger tracking_run_put after insert on tracking_run referencing new table as changed for each statement"
    " execute function tracking_changed_runs()",
    f"create trigger tracking_run_changed {_RENAMED} for each row when (new.name is distinct from old.name"
    " or new.source is distinct from old.source or new.kind is distinct from old.kind)"
    " execute function tracking_changed_run()",
    *(
        f"create trigger {table}_{name} after {event} on {table} referencing {which} table as changed"
        " for each statement execute function tracking_changed_of()"
        for table in ("tracking_param", "tracking_tag")
        for name, event, which in (("put", "insert", "new"), ("gone", "delete", "old"))
    ),
    *(
        f"create trigger {table}_changed after update of value on {table} for each row"
        " when (new.value is distinct from old.value) execute function tracking_changed_value()"
        for table in ("tracking_param", "tracking_tag")
    ),
)


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "tracking_stale",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("run_seq", serial, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "tracking_text",
        sa.Column("run_seq", serial, autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_seq"),
    )
    postgres = op.get_bind().dialect.name == "postgresql"
    for sql in _POSTGRES if postgres else _SQLITE:
        op.execute(sa.DDL(sql))
    _fill(postgres)


def _fill(postgres: bool) -> None:
    between = "chr(31)" if postgres else "char(31)"
    listed = f"string_agg({{}}, {between} order by v.key)" if postgres else f"group_concat({{}}, {between})"
    listed = listed.format(f"replace(v.value, {between}, ' ')")
    parts = [
        *(f"replace(r.{column}, {between}, ' ')" for column in ("name", "id", "source", "kind")),
        *(
            f"coalesce((select {listed} from {table} v where v.run_seq = r.seq), '')"  # noqa: S608 - names of this file
            for table in ("tracking_param", "tracking_tag")
        ),
    ]
    whole = f" || {between} || ".join(parts)
    body = f'({whole}) collate "C"' if postgres else f"({whole})"
    op.execute(f"insert into tracking_text (run_seq, body) select r.seq, lower({body}) from tracking_run r")  # noqa: S608 - names of this file
