"""What a search looks like from outside: frozen records, no I/O."""

from __future__ import annotations

from typing import Any, Literal

from homeostat.core.records import Record

Direction = Literal["minimize", "maximize"]
TrialStatus = Literal["running", "finished", "pruned", "failed"]
StudyStatus = Literal["running", "finished", "failed"]


class Range(Record, tag="range"):
    """Numbers from `low` to `high`, both included: on a log scale, whole numbers, or in steps, as said."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: float | None = None


class Choice(Record, tag="choice"):
    """One of a few values."""

    values: list[Any]


class Trial(Record):
    """One try: `number` counts from 0. `value` is what the search is about; `metrics` all that the objective gave.

    `reports` are the values told while it ran, by step. `seconds` is the time it took.
    """

    number: int
    params: dict[str, Any]
    status: TrialStatus
    value: float | None = None
    metrics: dict[str, float] = {}
    reports: dict[str, float] = {}
    error: str | None = None
    run_id: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    seconds: float = 0.0


class Study(Record):
    """A search: what was tried, and the best of it. `run_id` is the tracking run above the trials' runs."""

    id: str
    objective: str
    status: StudyStatus
    direction: Direction
    metric: str
    space: dict[str, Range | Choice]
    seed: int
    wanted: int
    trials: list[Trial]
    best: Trial | None
    run_id: str | None
    seconds: float
    start_ms: int
    end_ms: int | None = None
    once: str | None = None
    error: str | None = None

    @property
    def params(self) -> dict[str, Any]:
        """The best trial's parameters, {} while there is none."""
        return dict(self.best.params) if self.best else {}

    @property
    def value(self) -> float | None:
        """The best trial's value."""
        return self.best.value if self.best else None


def best_of(trials: list[Trial], direction: Direction) -> Trial | None:
    """The best finished trial; of equal ones the first."""
    finished = [trial for trial in trials if trial.status == "finished" and trial.value is not None]
    sign = 1 if direction == "minimize" else -1
    return min(finished, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)
