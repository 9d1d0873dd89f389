"""Let a promoted version in by steps, and take it back by itself: a sequential rule that may be asked at any time.

Both versions score every row since the canary began; the paired difference of log loss is followed by a confidence
sequence. A step is taken when "worse by `worse_by`" is excluded on at least `step_rows` new rows; the canary is
rolled back when "not worse by `worse_by`" is excluded, when its errors or its latency leave generous limits, or when
`max_ms` pass without an answer. Otherwise nothing happens and nothing is recorded.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.loop.facts import CanaryFacts, Paired, decision_id
from homeostat.loop.model import Alternative, Decision, Evidence, Kind, Rule
from homeostat.loop.words import count, gain, sentences, span
from homeostat.monitoring import sequence_width, share_interval, widened

NAME, VERSION = "homeostat/canary", 1


class CanaryRule(Record):
    """Parameters. `steps` are the shares of traffic, rising to 1; `worse_by` is in nats of log loss."""

    steps: list[float] = msgspec.field(default_factory=lambda: [0.05, 0.25, 1.0])
    worse_by: float = 0.01
    error: float = 0.05
    tuned_rows: int = 3000
    step_rows: int = 300
    step_every_ms: int = 3_600_000
    max_ms: int = 14 * 86_400_000
    max_errors: float = 0.01
    max_p99_ms: float = 200.0
    latency_factor: float = 5.0
    every_ms: int = 7 * 86_400_000


class Move(Record):
    """What to do with a canary now, and why in one sentence."""

    action: Literal["hold", "step", "roll_back"]
    why: str


def read_steps(by: str) -> list[float]:
    """The shares in `promote.by`.

    >>> read_steps("canary 5% 25% 100%"), read_steps("at once")
    ([0.05, 0.25, 1.0], [1.0])
    """
    if by.strip() == "at once":
        return [1.0]
    found = re.fullmatch(r"canary((?:\s+\d+(?:\.\d+)?%)+)", by.strip())
    steps = [float(one.rstrip("%")) / 100 for one in found[1].split()] if found else []
    if not steps or steps != sorted(set(steps)) or steps[0] <= 0 or steps[-1] != 1.0:
        raise InvalidInput(f"promote.by: {by!r} cannot be read", hint="write 'canary 5% 25% 100%' or 'at once'")
    return steps


def move(facts: CanaryFacts, rule: CanaryRule) -> Move:
    """Hold, step or roll back. Pure."""
    broken = _broken(facts, rule)
    if broken:
        return Move(action="roll_back", why=broken)
    since, together = facts.since, facts.together
    if since is not None and since.mean - half_width(since, rule) > rule.worse_by:
        least = gain(since.mean - half_width(since, rule))
        return Move(action="roll_back", why=f"It is worse: {gain(since.mean)} log loss per row, {least} at least")
    new_rows = since.n if since is not None else 0
    due = facts.at_ms - facts.step_since_ms >= rule.step_every_ms and new_rows >= rule.step_rows * (facts.step + 1)
    if due and together is not None and together.mean + half_width(together, rule) < rule.worse_by:
        said = f"{gain(together.mean)} log loss per row on {count(together.n, 'row')} scored by both"
        return Move(action="step", why=f"{said}; worse by {rule.worse_by:g} is excluded")
    if facts.at_ms - facts.started_ms > rule.max_ms:
        return Move(action="roll_back", why=f"{span(rule.max_ms)} have passed and it could not be shown to be no worse")
    return Move(action="hold", why="there is not enough evidence for the next step yet")


def half_width(found: Paired, rule: CanaryRule) -> float:
    """Half the width of the confidence sequence: holds at every look, allows for few blocks."""
    return widened(sequence_width(found.n, rule.tuned_rows, 1.0 - rule.error), found.blocks) * found.se


def decide_canary(facts: CanaryFacts, rule: CanaryRule) -> Decision | None:
    """The decision a canary's facts call for, or None while it should stay as it is. Pure."""
    found = move(facts, rule)
    if found.action == "hold":
        return None
    kind: Kind = "canary" if found.action == "step" else "roll_back"
    new, old = f"v{facts.canary}", f"v{facts.champion}"
    if found.action == "roll_back":
        headline = f"{new} is taken back; {old} serves everything again."
        why_not = "it broke its promise on the way in"
    else:
        share = rule.steps[facts.step + 1]
        headline = f"{new} serves everything now." if share >= 1.0 else f"{new} now takes {share:.0%} of the traffic."
        why_not = "nothing on the way in speaks against it"
    other: Kind = "roll_back" if kind == "canary" else "canary"
    return Decision(
        id=decision_id(facts.model, facts.at_ms, kind, facts.canary),
        model=facts.model,
        kind=kind,
        at_ms=facts.at_ms,
        headline=headline,
        reason=sentences(found.why, _served(facts) if found.action == "step" else ""),
        evidence=_evidence(facts, rule),
        rule=Rule(name=NAME, version=VERSION, params=_params(rule)),
        alternatives=[Alternative(kind=other, why_not=why_not)],
        champion=facts.champion,
        challenger=facts.canary,
        expected=None,
        realised=None,
        next_review_ms=facts.at_ms + rule.every_ms,
        run_id=facts.run_id,
    )


def _params(rule: CanaryRule) -> dict[str, float | str | bool | None]:
    params = {f: getattr(rule, f) for f in rule.__struct_fields__ if f != "steps"}
    return {**params, "steps": " ".join(f"{s:g}" for s in rule.steps)}


def _broken(facts: CanaryFacts, rule: CanaryRule) -> str:
    """What is wrong with how the canary answers, apart from how well: errors, latency."""
    if facts.failed >= 3:
        share = share_interval(facts.failed, facts.served)
        usual = facts.champion_failed / facts.champion_served if facts.champion_served else 0.0
        if share.lo > max(rule.max_errors, 2 * usual):
            return f"{facts.failed:,} of its {facts.served:,} answers were errors"
    if facts.p99 is not None and facts.served >= 200:
        limit = max(rule.max_p99_ms, rule.latency_factor * (facts.champion_p99 or 0.0))
        if facts.p99 > limit:
            return (
                f"It answers in {span(facts.p99)} (p99), against {span(facts.champion_p99 or rule.max_p99_ms)} before"
            )
    return ""


def _served(facts: CanaryFacts) -> str:
    errors = "no errors" if not facts.failed else count(facts.failed, "error")
    return f"It answered {count(facts.served, 'request')} with {errors}" if facts.served else ""


def _evidence(facts: CanaryFacts, rule: CanaryRule) -> list[Evidence]:
    found: list[Evidence] = []
    for name, seen in (("since it began", facts.since), ("with its judgement", facts.together)):
        if seen is not None:
            half = half_width(seen, rule)
            found.append(
                Evidence(
                    name=f"log loss, canary minus champion, {name}", kind="sequence", weight=1, value=seen.mean,
                    lo=seen.mean - half, hi=seen.mean + half, limit=rule.worse_by, n=seen.n, data=facts.data,
                    text=f"{gain(seen.mean)} log loss per row on {seen.n:,} rows {name}, paired; holds at every look",
                )
            )  # fmt: skip
    served = facts.failed / facts.served if facts.served else None
    text = f"{facts.failed:,} errors in {facts.served:,} answers"
    found.append(
        Evidence(name="errors", kind="guard", weight=2, value=served, limit=rule.max_errors, n=facts.served, text=text)
    )
    if facts.p99 is not None:
        text = f"p99 {span(facts.p99)}" + (
            f", champion {span(facts.champion_p99)}" if facts.champion_p99 is not None else ""
        )
        found.append(Evidence(name="latency_p99", kind="guard", weight=3, value=facts.p99, n=facts.served, text=text))
    return found
