"""Expectations: what must hold for every version of a table, declared as records.

A rule about values looks at values that are there: nulls are the business of `NotNull` alone. `severity` "error" makes
the version's report fail and publishes `check_failed`; "warn" and "info" are only shown.
"""

from __future__ import annotations

from homeostat.core.records import Record
from homeostat.data.model import Severity


class Expected(Record, tag_field="check", tag=True):
    """Base of expectations; `check` names the kind in JSON."""

    severity: Severity = "error"


class HasType(Expected, tag="has_type"):
    """The column exists and has this type ("int64", "string", "datetime[UTC]" …)."""

    column: str
    type: str


class NotNull(Expected, tag="not_null"):
    """At most `max_share` (0 to 1) of the column's values are missing."""

    column: str
    max_share: float = 0.0


class Unique(Expected, tag="unique"):
    """No two rows have equal values in all of these columns."""

    columns: list[str]


class InRange(Expected, tag="in_range"):
    """Values lie between `low` and `high`, both included; None leaves a side open. NaN lies in no range."""

    column: str
    low: float | None = None
    high: float | None = None


class InSet(Expected, tag="in_set"):
    """Values are among these."""

    column: str
    values: list[str | int | float | bool]


class Matches(Expected, tag="matches"):
    """Text values match the regular expression (Rust's syntax, linear time) somewhere; use ^ and $ for the whole."""

    column: str
    pattern: str


class RowCount(Expected, tag="row_count"):
    """The table has between `low` and `high` rows, both included."""

    low: int = 0
    high: int | None = None


class Fresh(Expected, tag="fresh"):
    """The newest time in the column is at most `within_s` seconds before the check. Times without zone count as UTC."""

    column: str
    within_s: float


class References(Expected, tag="references"):
    """Every value also occurs in `to_column` of the newest version of table `to_table`."""

    column: str
    to_table: str
    to_column: str


Expectation = HasType | NotNull | Unique | InRange | InSet | Matches | RowCount | Fresh | References
