"""The records of the data slice: tables and their versions, file trees, checks, cleaning, profiles; and its events."""

from __future__ import annotations

from typing import Literal

from homeostat.core.blobs import File
from homeostat.core.event import Event
from homeostat.core.records import Record

Mode = Literal["append", "overwrite", "upsert"]
Severity = Literal["error", "warn", "info"]


class Column(Record):
    """A column of a table. `type` is one of int8 … int64, float32, float64, decimal(p,s), boolean, string, binary,
    date, datetime (no zone), datetime[UTC], list<…>, struct<…>.
    """

    name: str
    type: str
    nullable: bool = True


class CheckResult(Record):
    """One check's outcome: what was `observed`, what was `expected`, and in how many `rows` it does not hold."""

    check: str
    column: str | None = None
    passed: bool
    severity: Severity = "error"
    observed: str = ""
    expected: str = ""
    rows: int = 0
    message: str = ""


class CheckReport(Record):
    """Every expectation of a table against one version. `passed` is False when one of severity "error" fails."""

    table: str
    version: int
    passed: bool
    at_ms: int
    results: list[CheckResult]


class CleanReport(Record):
    """What cleaning found and changed. In `findings`, `rows` counts the rows (or cells) that a rule changed."""

    table: str
    rows_in: int
    rows_out: int
    findings: list[CheckResult]


class TableVersion(Record):
    """An immutable state of a table. `digest` names its content and layout; `rows` and `bytes` are of the whole."""

    table: str
    version: int
    rows: int
    bytes: int
    digest: str
    operation: Mode
    message: str = ""
    source: str = ""
    run_id: str | None = None
    created_ms: int
    check: CheckReport | None = None
    clean: CleanReport | None = None


class Table(Record):
    """A table as it is now. `key` names the columns that identify a row, empty when none were declared."""

    name: str
    version: int
    rows: int
    columns: list[Column]
    bytes: int
    key: list[str]
    updated_ms: int
    description: str = ""


class TreeVersion(Record):
    """An immutable state of a file tree: relative paths with `/`, each with its content's digest and size in bytes."""

    tree: str
    version: int
    digest: str
    files: dict[str, File]
    bytes: int
    message: str = ""
    run_id: str | None = None
    created_ms: int


class TreeSummary(Record):
    """A file tree as it is now, without its list of files."""

    name: str
    version: int
    digest: str
    files: int
    bytes: int
    updated_ms: int


class Bin(Record):
    """One bar of a histogram: values from `low` (included) to `high` (excluded, but included in the last bar)."""

    low: float
    high: float
    count: int


class Level(Record):
    """One value of a column and how often it occurs."""

    value: str
    count: int


class ColumnProfile(Record):
    """A column in figures. `min` and `max` are text as a person would write them; numeric columns and times have a
    `histogram` (times in ms UTC), the others their most frequent `levels`.
    """

    name: str
    type: str
    count: int
    nulls: int
    distinct: int
    min: str | None = None
    max: str | None = None
    mean: float | None = None
    histogram: list[Bin] = []
    levels: list[Level] = []


class TableProfile(Record):
    """Every column of one version of a table, in figures."""

    table: str
    version: int
    rows: int
    columns: list[ColumnProfile]


class TableWritten(Event, tag="table_written"):
    """A new version of a table exists."""

    table: str
    version: int
    rows: int
    operation: str


class CheckFailed(Event, tag="check_failed"):
    """Expectations of severity "error" do not hold in a version. `failed` says which, one sentence each."""

    table: str
    version: int
    failed: list[str]


class TreeWritten(Event, tag="tree_written"):
    """A new version of a file tree exists."""

    tree: str
    version: int
