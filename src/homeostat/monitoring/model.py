"""Records of monitoring: what was measured, how sure it is, on how many rows."""

from __future__ import annotations

from typing import Literal

import msgspec

from homeostat.core.event import Event
from homeostat.core.records import Record


class Measurement(Record):
    """A measure of a live model. `value` is None (state "unknown") where there is nothing to measure.

    `lo` to `hi` is the interval at `level`; `n` rows carried it, `mature` is the share of the span's predictions whose
    truth is known or will not come any more. `level_name` names the slice where one was asked for.
    """

    measure: str
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    state: Literal["measured", "unknown"]
    mature: float
    level: float = 0.90
    slice: str | None = None


class Quality(Record):
    """What `quality` gives: the measure over all rows, and by slice (worst first) where a column was named."""

    overall: Measurement
    slices: list[Measurement] = msgspec.field(default_factory=list)


class DriftedColumn(Record):
    """One column against the reference. See `homeostat.monitoring.drift_rule` for the rule and each field's meaning."""

    name: str
    psi: float
    effect: float
    effect_lo: float
    floor: float
    p: float
    importance: float | None
    drifted: bool
    missing: float
    missing_change: float
    tail_change: float
    new_levels: float
    why: str


class DriftReport(Record):
    """Every input of a model over a span of time against its training reference, what moved most first.

    `prediction` is the score's own drift. `reference` says in words what was compared with.
    """

    model: str
    version: int
    from_ms: int
    to_ms: int
    rows: int
    reference: str
    reference_rows: int
    columns: list[DriftedColumn]
    prediction: DriftedColumn | None


class ColumnQuality(Record):
    """A column's data quality beside what was usual: missing values, levels never seen. `fault` is empty when well."""

    name: str
    missing: float
    missing_usual: float
    new_levels: float
    outside: float
    fault: str = ""


class Estimate(Record):
    """Quality expected without labels, if the scores still mean what they meant on `reference_rows` labelled rows."""

    model: str
    version: int
    auc: float | None
    accuracy: float | None
    brier: float | None
    positive_share: float | None
    n: int
    reference_rows: int
    assumption: str = "the share of positives at each score is what it was on the reference"


class Latency(Record):
    """Time from request to answer as logged, in milliseconds, and the share of answers that were errors."""

    model: str
    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    p99_lo: float | None
    p99_hi: float | None
    errors: float | None
    errors_lo: float | None
    errors_hi: float | None
    failed: int = 0


class Freshness(Record):
    """How old a table's newest row is at `at_ms`; `column` is the time column, None when the last write was taken."""

    table: str
    version: int | None
    column: str | None
    newest_ms: int | None
    age_ms: int | None
    at_ms: int


class LabelsRecorded(Event, tag="labels_recorded"):
    """Truth arrived for `rows` predictions of `model`, known from `from_ms` to `to_ms`."""

    model: str
    rows: int
    from_ms: int
    to_ms: int


class TrainingTable(Record):
    """A table of the data repository with one row per example.

    `time` is the column (ms UTC) of the moment of prediction, `target` that of the truth, `key` that of the row's key.
    `known` is the column that says when the truth was known; without it, truth is taken to be known `within_ms` after
    `time`. `version` None reads the newest.
    """

    table: str
    time: str
    target: str
    key: str | None = None
    known: str | None = None
    within_ms: int = 86_400_000
    version: int | None = None
