"""Recorded facts for tests of the rules: a healthy model, to be changed where a test says so."""

from __future__ import annotations

from typing import Any

import msgspec

from homeostat.loop.facts import CanaryFacts, Gap, JudgeFacts, Labels, Paired, ReviewFacts
from homeostat.loop.model import State, VariableStatus

DAY = 86_400_000
NOW = 1_380_000_000_000


def variable(
    measure: str = "auc", state: State = "within", value: float | None = 0.763, **changes: Any
) -> VariableStatus:
    names = {"auc": "AUC", "latency_p99": "latency p99", "freshness": "freshness of weather"}
    good = VariableStatus(
        variable=f"{measure} >= 0.72 over 14d", label=names.get(measure, measure), measure=measure, by=None, of=None,
        value=value, lo=None if value is None else value - 0.009, hi=None if value is None else value + 0.009,
        limit=0.72, comparison=">=", window_ms=14 * DAY, n=12000, min_n=1000, state=state,
    )  # fmt: skip
    return msgspec.structs.replace(good, **changes)


def gap(value: float, half: float = 0.003, **changes: Any) -> Gap:
    made = Gap(
        champion=0.74, challenger=0.74 + value, value=value, lo=value - half, hi=value + half, se=half / 1.7, n=12000,
        days=14, from_ms=NOW - 14 * DAY, to_ms=NOW, how="a quick challenger on all history",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def review_facts(**changes: Any) -> ReviewFacts:
    calm = ReviewFacts(
        model="m", at_ms=NOW, champion=1, champion_since_ms=NOW - 30 * DAY, variables=[variable()], faults=[],
        gap=gap(0.0), moved=[], columns=54, estimated=[],
        labels=Labels(matured=12000, since=30000, overdue=0.0, predictions=12500, trained_on=50000),
        retrains_ms=[], pipeline="pipeline:train",
    )  # fmt: skip
    return msgspec.structs.replace(calm, **changes)


def judge_facts(**changes: Any) -> JudgeFacts:
    better = JudgeFacts(
        model="m", at_ms=NOW, champion=1, challenger=2,
        learnt="all history", gap=gap(0.027), slices=[],
        calibration=None, latency=None, size=None, explained="importances are recorded",
        top_feature=None, gates_failed=[],
        offers_before=0,
    )  # fmt: skip
    return msgspec.structs.replace(better, **changes)


def paired(mean: float, se: float = 0.003, n: int = 900, blocks: int = 24) -> Paired:
    return Paired(mean=mean, se=se, n=n, blocks=blocks)


def canary_facts(**changes: Any) -> CanaryFacts:
    fine = CanaryFacts(
        model="m", at_ms=NOW, champion=1, canary=2, step=0,
        step_since_ms=NOW - DAY, started_ms=NOW - DAY, since=paired(-0.01, 0.01),
        together=paired(-0.02, 0.003, 13000, 300),
        served=45, failed=0, champion_served=855, champion_failed=0, p99=6.0, champion_p99=5.0,
    )  # fmt: skip
    return msgspec.structs.replace(fine, **changes)
