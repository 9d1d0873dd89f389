"""Verb: how old the newest row of a table is."""

from __future__ import annotations

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data import get_table, scan_table
from homeostat.monitoring.model import Freshness


@verb(permission="monitoring:read")
def freshness(ws: Workspace, table: str, column: str | None = None, at_ms: int | None = None) -> Freshness:
    """The age of a table at `at_ms` (default: now): of its newest row by the time `column`, or of its last write.

    Rows of later times than `at_ms` do not count: they were not known then.

    Raises: NotFound for an unknown table; InvalidInput for a column that is not there or holds no time.
    """
    at = now_ms() if at_ms is None else at_ms
    found = get_table(ws, table)
    if column is None:
        newest = found.updated_ms if found.updated_ms <= at else None
    else:
        newest = _newest(ws, table, column, at)
    age = None if newest is None else at - newest
    return Freshness(table=table, version=found.version, column=column, newest_ms=newest, age_ms=age, at_ms=at)


def _newest(ws: Workspace, table: str, column: str, at_ms: int) -> int | None:
    import polars as pl

    lazy = scan_table(ws, table)
    schema = lazy.collect_schema()
    if column not in schema:
        raise InvalidInput(
            f"the table '{table}' has no column '{column[:80]}'", hint=f"it has {', '.join(schema.names())[:200]}"
        )
    kind = schema[column]
    if not (kind.is_temporal() or kind.is_integer()):
        raise InvalidInput(
            f"'{column}' of the table '{table}' is {kind}, not a time", hint="name a timestamp or ms UTC"
        )
    ms = pl.col(column).dt.epoch("ms") if kind.is_temporal() else pl.col(column).cast(pl.Int64)
    newest = lazy.select(ms.alias("ms")).filter(pl.col("ms") <= at_ms).max().collect().item()
    return None if newest is None else int(newest)
