"""What a review records before it decides: the whole input of the decision, so that anyone can decide again later."""

from __future__ import annotations

import hashlib

import msgspec

from homeostat.core.records import Record
from homeostat.loop.model import VariableStatus

DAY_MS = 86_400_000


class Fault(Record):
    """A broken input. `source` names it, `version` the version that broke it where one is known."""

    source: str
    what: str
    version: str | None = None
    since_ms: int | None = None


class Gap(Record):
    """How much better a challenger ranks than the champion on rows neither learnt from.

    `value` is AUC(challenger) - AUC(champion) on `n` rows of `days` days, `lo` to `hi` its 95 % interval, `se` its
    standard error. `how` says in words what the challenger was.
    """

    champion: float
    challenger: float
    value: float
    lo: float
    hi: float
    se: float
    n: int
    days: int
    from_ms: int
    to_ms: int
    how: str = "a quick challenger"


class Moved(Record):
    """A column that drifted: by how much, its share of the model's importance where known, and by which test."""

    name: str
    effect: float
    importance: float | None
    why: str


class Estimated(Record):
    """Quality expected without labels.

    `track` is how far the `tracked` earlier estimates of this model were off on average (None: there are none yet),
    `off` how far this one is, where its labels are known by now.
    """

    measure: str
    value: float
    n: int
    track: float | None = None
    tracked: int = 0
    off: float | None = None


class Labels(Record):
    """How much truth there is.

    `matured` rows of the judging window have it, `since` of those came after the champion's training data ended;
    `overdue` is the share of predictions whose label should have arrived and did not; `trained_on` rows taught the
    champion (None: not recorded). `asked` names rows whose labels would tell most.
    """

    matured: int
    since: int
    overdue: float
    predictions: int
    trained_on: int | None = None
    asked: list[str] = msgspec.field(default_factory=list)


class ReviewFacts(Record):
    """Everything known about a model at `at_ms`. `retrains_ms` are the times of earlier retrainings, oldest first."""

    model: str
    at_ms: int
    champion: int
    champion_since_ms: int
    variables: list[VariableStatus]
    faults: list[Fault]
    gap: Gap | None
    moved: list[Moved]
    columns: int
    estimated: list[Estimated]
    labels: Labels
    retrains_ms: list[int]
    canary: int | None = None
    pipeline: str | None = None
    data: list[str] = msgspec.field(default_factory=list)


class SliceGap(Record):
    """The gap in one slice, with an interval that allows for how many slices were looked at."""

    column: str
    level: str
    value: float
    lo: float
    hi: float
    n: int


class Guard(Record):
    """A promise to keep besides being better: `old` and `new` values, and the `limit` where one is set."""

    name: str
    old: float | None
    new: float | None
    new_lo: float | None = None
    limit: float | None = None


class JudgeFacts(Record):
    """What a challenger is judged on. `offers_before` counts the challengers this champion has already met.

    `failed` says why there is no challenger to judge: its training did not end well.
    """

    model: str
    at_ms: int
    champion: int
    challenger: int | None
    learnt: str
    gap: Gap | None
    slices: list[SliceGap]
    calibration: Guard | None
    latency: Guard | None
    size: Guard | None
    explained: str | None
    top_feature: str | None
    gates_failed: list[str]
    offers_before: int
    fitted_until_ms: int | None = None
    run_id: str | None = None
    approved_by: str | None = None
    failed: str = ""
    data: list[str] = msgspec.field(default_factory=list)


class Paired(Record):
    """A mean difference of losses, paired by row: `n` rows in `blocks` blocks (hours), `se` its standard error."""

    mean: float
    se: float
    n: int
    blocks: int


class CanaryFacts(Record):
    """How a canary does: loss(canary) - loss(champion), both scored on every matured row; errors, latency as served.

    `since` is over the rows since it started, `together` over those of its judgement as well; None where there are too
    few to speak of. `served` rows were answered by the canary, `failed` of them with an error.
    """

    model: str
    at_ms: int
    champion: int
    canary: int
    step: int
    step_since_ms: int
    started_ms: int
    since: Paired | None
    together: Paired | None
    served: int
    failed: int
    champion_served: int
    champion_failed: int
    p99: float | None
    champion_p99: float | None
    run_id: str | None = None
    data: list[str] = msgspec.field(default_factory=list)


def decision_id(model: str, at_ms: int, kind: str, challenger: int | None) -> str:
    """The id of a decision: the same decision taken again has the same id, so it is recorded once.

    >>> decision_id("m", 0, "wait", None) == decision_id("m", 0, "wait", None), len(decision_id("m", 0, "wait", None))
    (True, 16)
    """
    text = f"{model}\n{at_ms}\n{kind}\n{challenger}"
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
