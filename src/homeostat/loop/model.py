"""Records of the loop: what is held, how it stands, what was decided and why."""

from __future__ import annotations

from typing import Literal

import msgspec

from homeostat.core.event import Event
from homeostat.core.records import Record

State = Literal["unknown", "within", "at_risk", "out"]
Kind = Literal["wait", "fix_data", "collect", "retrain", "promote", "refuse", "canary", "roll_back"]


class Point(Record):
    """A value as it was measured at one review; `mature` is the share of its predictions whose truth was known."""

    at_ms: int
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    mature: float


class VariableStatus(Record):
    """An essential variable as it stands: `value` with its interval against `limit`.

    `variable` is the text as written in `hold:`. `n` rows were measured, of the `min_n` needed to claim anything.
    `detail` says what the number alone does not (the worst slice, what is missing).
    """

    variable: str
    label: str
    measure: str
    by: str | None
    of: str | None
    value: float | None
    lo: float | None
    hi: float | None
    limit: float
    comparison: Literal[">=", "<="]
    window_ms: int | None
    n: int
    min_n: int
    state: State
    detail: str = ""
    history: list[Point] = msgspec.field(default_factory=list)


class Evidence(Record):
    """One thing a decision rests on. `weight` is its rank in the rule: 1 weighs most. `data` names what was read."""

    name: str
    kind: Literal["variable", "gap", "slice", "drift", "input", "labels", "age", "guard", "sequence", "history"]
    text: str
    weight: int
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    limit: float | None = None
    n: int | None = None
    data: list[str] = msgspec.field(default_factory=list)


class Alternative(Record):
    """What else could have been decided, and why it was not."""

    kind: Kind
    why_not: str


class Rule(Record):
    """The rule that decided, fixed before the data it judged, with its parameters."""

    name: str
    version: int
    params: dict[str, float | str | bool | None]


class Effect(Record):
    """A gain in a measure, expected beforehand or realised afterwards, with its interval. `n` rows, None beforehand."""

    measure: str
    value: float
    lo: float | None = None
    hi: float | None = None
    n: int | None = None


class Decision(Record):
    """One decision: a function of recorded evidence alone. The same evidence gives the same record, id included."""

    id: str
    model: str
    kind: Kind
    at_ms: int
    headline: str
    reason: str
    evidence: list[Evidence]
    rule: Rule
    alternatives: list[Alternative]
    champion: int | None
    challenger: int | None
    expected: Effect | None
    realised: Effect | None
    next_review_ms: int
    run_id: str | None = None


class Explanation(Record):
    """A decision recomputed from its recorded evidence. `same` says that the record stands as it was written."""

    decision: Decision
    recomputed: bool
    same: bool
    sentences: list[str]


class Stage(Record):
    """One station of the loop."""

    name: Literal["data", "features", "train", "validate", "serve", "watch"]
    label: str
    detail: str
    state: Literal["ok", "working", "warn", "bad", "idle"]


class Canary(Record):
    """A version on its way in, and the share of traffic it has (0 to 1)."""

    version: int
    weight: float


class LoopStatus(Record):
    """One model's loop at a glance."""

    model: str
    state: Literal["holding", "at_risk", "out", "unknown"]
    sentence: str
    at_ms: int
    champion: int | None
    canary: Canary | None
    stages: list[Stage]
    variables: list[VariableStatus]
    next_review_ms: int | None
    central: VariableStatus | None


class QualityPoint(Record):
    """Quality of one day: `live` as served, with its band, and `frozen`, what the first model would have had."""

    at_ms: int
    n: int
    live: float | None
    live_lo: float | None
    live_hi: float | None
    frozen: float | None
    mature: float


class Change(Record):
    """One difference between the configuration in force and the one proposed. `was` is empty for what is new."""

    what: str
    was: str
    becomes: str


class PlanResult(Record):
    """What applying a configuration changes, or has changed."""

    model: str
    applied: bool
    changes: list[Change]
    variables: list[str]
    version: int


class DecisionMade(Event, tag="decision_made"):
    """The loop decided something. `headline` and `reason` are fit to be sent to people."""

    id: str
    model: str
    kind: str
    at_ms: int
    headline: str
    reason: str
    champion: int | None = None
    challenger: int | None = None


class VariableChanged(Event, tag="variable_changed"):
    """An essential variable passed from one state to another."""

    model: str
    variable: str
    was: str
    state: str
    at_ms: int
    value: float | None = None
    limit: float | None = None
