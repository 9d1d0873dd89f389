"""Cleaning rules: what may be changed in rows before they are kept, declared as records and applied in order."""

from __future__ import annotations

from homeostat.core.records import Record


class Rule(Record, tag_field="rule", tag=True):
    """Base of cleaning rules; `rule` names the kind in JSON."""


class DropDuplicates(Rule, tag="drop_duplicates"):
    """Of rows that are equal in every column, keep the first."""


class KeepNewest(Rule, tag="keep_newest"):
    """Of rows with equal `key` columns keep the one with the largest `by`; without `by`, the last one."""

    key: list[str]
    by: str | None = None


class NullImpossible(Rule, tag="null_impossible"):
    """Replace values below `low` or above `high` by null, and NaN too: they cannot have been measured."""

    column: str
    low: float | None = None
    high: float | None = None


class Trim(Rule, tag="trim"):
    """Remove white space around text; text that is empty then becomes null. None means every text column."""

    columns: list[str] | None = None


class DropMissing(Rule, tag="drop_missing"):
    """Drop rows in which one of these columns is null."""

    columns: list[str]


CleanRule = DropDuplicates | KeepNewest | NullImpossible | Trim | DropMissing
