"""Evidence → decision: wait, fix the data, collect labels, or retrain. A pure function of what a review recorded.

In this order:
1. broken inputs → **fix data**: a model must not learn from a broken pipeline;
2. a canary is on its way → **wait**: one change at a time;
3. a quality variable is out or at risk, or a challenger's gap excludes `min_gain`, *and* a retrained model is
expected to
   help → **retrain**, unless there is no pipeline or the budget (`at_most`) is spent;
4. quality cannot be told because labels that should have come did not → **collect**;
5. otherwise → **wait**.

Drift never decides by itself: it explains, and it is told. Estimated quality is told beside its track record.
"""

from __future__ import annotations

from homeostat.core.records import Record
from homeostat.loop.facts import ReviewFacts, decision_id
from homeostat.loop.hold import MEASURES
from homeostat.loop.model import Alternative, Decision, Effect, Kind, Rule, VariableStatus
from homeostat.loop.tell_review import evidence_of, headline_of, reason_of
from homeostat.loop.words import span

NAME, VERSION = "homeostat/review", 1


class ReviewRule(Record):
    """Parameters of the rule.

    `min_gain` is the AUC below which a retraining is not worth its cost and its risk; `likely` how many standard errors
    a gain must be from zero to be likely. `at_most` retrainings fall in `at_most_per_ms`.
    """

    min_gain: float = 0.0075
    likely: float = 1.28
    at_most: int = 1
    at_most_per_ms: int = 7 * 86_400_000
    every_ms: int = 14 * 86_400_000
    min_new_rows: int = 2000
    max_overdue: float = 0.5


class Choice(Record):
    """What was decided and the ground for it, before it is put into words."""

    kind: Kind
    ground: str
    alternatives: list[Alternative]
    hindered: str = ""


def decide(facts: ReviewFacts, rule: ReviewRule) -> Decision:
    """The decision that `facts` call for under `rule`. Pure: equal arguments, equal records."""
    choice = choose(facts, rule)
    gap = facts.gap
    pays = choice.kind == "retrain" and gap is not None
    return Decision(
        id=decision_id(facts.model, facts.at_ms, choice.kind, None),
        model=facts.model,
        kind=choice.kind,
        at_ms=facts.at_ms,
        headline=headline_of(choice.kind, choice.ground, facts),
        reason=reason_of(choice.kind, choice.ground, facts, rule.min_gain, choice.hindered),
        evidence=evidence_of(facts, rule.min_gain),
        rule=Rule(name=NAME, version=VERSION, params={f: getattr(rule, f) for f in rule.__struct_fields__}),
        alternatives=choice.alternatives,
        champion=facts.champion,
        challenger=None,
        expected=Effect(measure="auc", value=gap.value, lo=gap.lo, hi=gap.hi) if pays and gap else None,
        realised=None,
        next_review_ms=facts.at_ms + rule.every_ms,
    )


def choose(facts: ReviewFacts, rule: ReviewRule) -> Choice:
    """The kind of decision, its ground in one word, and why not the others."""
    if facts.faults:
        return Choice(
            kind="fix_data",
            ground="faults",
            alternatives=[Alternative(kind="retrain", why_not="a model must not learn from broken inputs")],
        )
    if facts.canary is not None:
        return Choice(
            kind="wait",
            ground="canary",
            alternatives=[Alternative(kind="retrain", why_not=f"v{facts.canary} is still being let in")],
        )
    need, ground = wants_retraining(facts, rule)
    if need:
        refusal = hindrance(facts, rule)
        if refusal is None:
            waits = (
                "a variable has left its limits" if ground == "limits" else "the gain is larger than its uncertainty"
            )
            return Choice(kind="retrain", ground=ground, alternatives=[Alternative(kind="wait", why_not=waits)])
        why = [Alternative(kind="retrain", why_not=refusal)]
        return Choice(kind="wait", ground="hindered", alternatives=why, hindered=refusal)
    if cannot_tell(facts, rule):
        why = [Alternative(kind="wait", why_not="labels that should have arrived did not")]
        return Choice(kind="collect", ground="overdue", alternatives=why)
    return Choice(
        kind="wait",
        ground=waiting_ground(facts),
        alternatives=[Alternative(kind="retrain", why_not=no_gain(facts, rule))],
    )


def quality(facts: ReviewFacts) -> list[VariableStatus]:
    """The variables that labels speak about: those a retraining can move."""
    return [v for v in facts.variables if MEASURES[v.measure].needs == "labels"]


def wants_retraining(facts: ReviewFacts, rule: ReviewRule) -> tuple[bool, str]:
    """Whether a retrained model is wanted and expected to help, and on which ground: "limits" or "gap"."""
    states = {v.state for v in quality(facts)}
    ground = "limits" if states & {"out", "at_risk"} else "gap"
    gap = facts.gap
    if gap is None:
        # Without a challenger to ask, fresh labels are the only sign that learning again could help.
        return "out" in states and facts.labels.since >= rule.min_new_rows, ground
    if gap.value < rule.min_gain:
        return False, ground
    # Out of its limit, a likely gain is enough; otherwise it must be larger than its uncertainty.
    return gap.lo > 0.0 or ("out" in states and gap.value > rule.likely * gap.se), ground


def hindrance(facts: ReviewFacts, rule: ReviewRule) -> str | None:
    """Why a wanted retraining cannot be done now, or None."""
    if facts.pipeline is None:
        return "no pipeline is named in homeostat.yaml, so nothing can be retrained"
    recent = [t for t in facts.retrains_ms if t > facts.at_ms - rule.at_most_per_ms]
    if len(recent) >= rule.at_most:
        last = max(3_600_000, (facts.at_ms - recent[-1]) // 3_600_000 * 3_600_000)
        times = {1: "once", 2: "twice"}.get(rule.at_most, f"{rule.at_most} times")
        return f"it last learnt {span(last)} ago, and may do so {times} in {span(rule.at_most_per_ms)}"
    return None


def cannot_tell(facts: ReviewFacts, rule: ReviewRule) -> bool:
    """True when quality is unknown for want of labels that are overdue, not merely young."""
    unknown = [v for v in quality(facts) if v.state == "unknown"]
    enough = facts.labels.predictions >= max((v.min_n for v in unknown), default=0)
    return bool(unknown) and enough and facts.labels.overdue > rule.max_overdue


def waiting_ground(facts: ReviewFacts) -> str:
    """Why waiting is right: "young", "drift", "close", "no_gain", or "well"."""
    states = {v.state for v in quality(facts)}
    if states & {"out", "at_risk"}:
        return "no_gain"
    if states and states <= {"unknown"}:
        return "young"
    if any(v.state in ("out", "at_risk") for v in facts.variables):
        return "close"
    return "drift" if facts.moved else "well"


def no_gain(facts: ReviewFacts, rule: ReviewRule) -> str:
    """Why retraining was not chosen."""
    gap = facts.gap
    if gap is None:
        return "there is not yet enough truth to say whether a new model would be better"
    if gap.value < rule.min_gain:
        return f"a challenger does not gain the {rule.min_gain:g} that would be worth it"
    return "a challenger gains nothing that its uncertainty does not cover"
