"""May a challenger take the champion's place? A paired test on rows neither learnt from, then the guards.

"Better" means that the gap's lower bound clears `min_gain`. The bound allows for few days (Student's t on day blocks)
and for how many challengers this champion has met before: the k-th test may spend only its share of the error, so
that all the tests there will ever be fool us with a chance of `error` at most, however often one looks.
"""

from __future__ import annotations

import re

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.loop.facts import Gap, Guard, JudgeFacts, decision_id
from homeostat.loop.model import Alternative, Decision, Effect, Evidence, Kind, Rule
from homeostat.loop.words import between, count, gain, measured, sentences, span, upper
from homeostat.monitoring import spent, widened

NAME, VERSION = "homeostat/promote", 1


class JudgeRule(Record):
    """Parameters. `slice_worse_by` None leaves slices out; `approve` says that a person must agree."""

    min_gain: float = 0.0
    error: float = 0.05
    min_n: int = 2000
    slice_worse_by: float | None = 0.02
    explained: bool = True
    top_feature_share: float = 0.9
    latency_factor: float = 3.0
    max_size_mb: float = 500.0
    approve: str = ""
    every_ms: int = 14 * 86_400_000
    by: str = "5 → 25 → 100 %"


def read_conditions(when: list[str], rule: JudgeRule) -> JudgeRule:
    """`promote.when` of homeostat.yaml put into a rule.

    >>> read_conditions(["better by 0.005", "no_slice_worse_by 0.03"], JudgeRule()).min_gain
    0.005
    """
    rule = msgspec.structs.replace(rule, min_gain=0.0, slice_worse_by=None, explained=False)
    for text in when:
        found = re.fullmatch(r"\s*(better|no_slice_worse_by|explained)(?:\s+by)?(?:\s+([\d.]+))?\s*", text)
        numbered = found is not None and bool(found[2])
        if (
            found is None
            or (found[1] == "no_slice_worse_by" and not numbered)
            or (found[1] == "explained" and numbered)
        ):
            raise InvalidInput(
                f"promote.when: {text!r} is not a condition",
                hint="write 'better', 'better by 0.005', 'no_slice_worse_by 0.02' or 'explained'",
            )
        if found[1] == "better":
            rule = msgspec.structs.replace(rule, min_gain=float(found[2] or 0.0))
        elif found[1] == "explained":
            rule = msgspec.structs.replace(rule, explained=True)
        else:
            rule = msgspec.structs.replace(rule, slice_worse_by=float(found[2]))
    return rule


def judge(facts: JudgeFacts, rule: JudgeRule) -> Decision:
    """Promote, refuse, or (where a person must agree) wait. Pure: equal arguments, equal records."""
    against = objections(facts, rule)
    kind: Kind = "refuse" if against else "promote"
    if kind == "promote" and rule.approve and not facts.approved_by:
        kind = "wait"
    gap = facts.gap
    v_new, v_old = f"v{facts.challenger}", f"v{facts.champion}"
    if facts.failed:
        headline = "Learning again failed; the champion stays."
        others = [Alternative(kind="promote", why_not="there is no challenger")]
    elif kind == "refuse":
        headline = _refusal(facts, rule)
        others = [Alternative(kind="promote", why_not=reason) for reason in against]
    elif kind == "wait":
        headline = f"{v_new} is better than {v_old} and waits for a yes from {rule.approve}."
        others = [Alternative(kind="promote", why_not=f"{rule.approve} has not agreed yet")]
    else:
        headline = f"{v_new} is better where it counts, and nowhere worse."
        others = [Alternative(kind="refuse", why_not="every condition is met")]
    return Decision(
        id=decision_id(facts.model, facts.at_ms, kind, facts.challenger),
        model=facts.model,
        kind=kind,
        at_ms=facts.at_ms,
        headline=headline,
        reason=_reason(facts, rule, against, kind),
        evidence=_evidence(facts, rule),
        rule=Rule(name=NAME, version=VERSION, params={f: getattr(rule, f) for f in rule.__struct_fields__}),
        alternatives=others,
        champion=facts.champion,
        challenger=facts.challenger,
        expected=Effect(measure="auc", value=gap.value, lo=gap.lo, hi=gap.hi) if gap and kind != "refuse" else None,
        realised=None,
        next_review_ms=facts.at_ms + rule.every_ms,
        run_id=facts.run_id,
    )


def lower_bound(gap: Gap, offers_before: int, rule: JudgeRule) -> float:
    """The gap's lower bound for this test: wider with fewer days and with every challenger met before."""
    return gap.value - widened(spent(offers_before, rule.error), gap.days) * gap.se


def objections(facts: JudgeFacts, rule: JudgeRule) -> list[str]:
    """Everything that speaks against promotion, the weightiest first; empty when nothing does."""
    if facts.failed:
        return [facts.failed]
    found = [f"the gate '{gate}' failed" for gate in facts.gates_failed]
    gap = facts.gap
    if gap is None or gap.n < rule.min_n:
        known = gap.n if gap else 0
        return [*found, f"{known:,} labelled rows are too few to judge on; {rule.min_n:,} are needed"]
    if lower_bound(gap, facts.offers_before, rule) <= rule.min_gain:
        least = f" by {rule.min_gain:g}" if rule.min_gain else ""
        found.append("it is worse" if gap.hi < 0 else f"it is not surely better{least}")
    if rule.slice_worse_by is not None:
        found += [
            f"{s.column} {s.level} is worse by {-s.value:.3f}"
            for s in facts.slices
            if s.value < -rule.slice_worse_by and s.hi < 0.0
        ]
    found += _guards(facts, rule)
    if rule.explained and facts.explained is None:
        found.append("nothing explains what it learnt: its package holds no importances")
    if rule.explained and facts.top_feature is not None:
        found.append(f"almost all of it hangs on {facts.top_feature}, as a leak would")
    return found


def _guards(facts: JudgeFacts, rule: JudgeRule) -> list[str]:
    found: list[str] = []
    one = facts.calibration
    if one is not None and one.limit is not None and one.new_lo is not None and one.new is not None:
        worse = one.old is None or one.new > one.old
        if one.new_lo > one.limit and worse:
            found.append(f"its probabilities are off by {one.new:.3f}, more than {one.limit:g}")
    one = facts.latency
    if one is not None and one.new is not None and one.limit is not None:
        # Wall-clock enters here, so the limit is generous: only a model slower by whole factors is refused.
        slow = max(one.limit, one.old or 0.0) * rule.latency_factor
        if one.new > slow:
            found.append(f"it answers in {span(one.new)}, against {span(one.limit)}")
    one = facts.size
    if one is not None and one.new is not None and one.new > rule.max_size_mb * 1e6:
        found.append(f"it weighs {one.new / 1e6:.0f} MB, more than {rule.max_size_mb:.0f}")
    return found


def _refusal(facts: JudgeFacts, rule: JudgeRule) -> str:
    gap = facts.gap
    new, old = f"v{facts.challenger}", f"v{facts.champion}"
    learnt = f"Learnt from {facts.learnt}, {new}" if facts.learnt else new
    if facts.gates_failed:
        return f"{learnt} did not pass validation."
    if gap is None or gap.n < rule.min_n:
        return f"{learnt} cannot be judged yet."
    if lower_bound(gap, facts.offers_before, rule) > rule.min_gain:
        return f"{learnt} is better than {old} on the whole, but not everywhere it must be."
    return f"{learnt} is worse than {old}." if gap.hi < 0 else f"{learnt} is not surely better than {old}."


def _reason(facts: JudgeFacts, rule: JudgeRule, against: list[str], kind: Kind) -> str:
    gap = facts.gap
    said = ""
    if gap is not None:
        unseen = f"{count(gap.n, 'row')} of the last {span(gap.to_ms - gap.from_ms)}, which neither has learnt from"
        said = f"{gain(gap.value)} AUC on {unseen} (95 %: {between(gap.lo, gap.hi)})"
    if kind == "refuse":
        first = against[0] in ("it is worse",) or against[0].startswith("it is not surely better")
        rest = against[1:] if first and gap is not None else against
        return sentences(said, _doubt(gap, facts.offers_before, rule), upper("; ".join(rest[:3])))
    levels = len(facts.slices)
    slices = ""
    if rule.slice_worse_by is not None and levels:
        column = facts.slices[0].column
        slices = f"No {column} of {levels} is worse by more than {rule.slice_worse_by:g}"
    met = f"{upper(count(facts.offers_before, 'challenger'))} came before it, and the test allows for that"
    return sentences(said, slices, met if facts.offers_before else "", f"Canary {rule.by}" if kind == "promote" else "")


def _doubt(gap: Gap | None, offers_before: int, rule: JudgeRule) -> str:
    """Why a gap is doubted whose plain interval lies above what is asked for; else nothing."""
    if gap is None or gap.lo <= rule.min_gain:
        return ""
    lower = lower_bound(gap, offers_before, rule)
    if lower > rule.min_gain:
        return ""
    earlier = f" and for {count(offers_before, 'earlier challenger')}" if offers_before else ""
    return f"Allowing for how its {count(gap.days, 'day')} differ{earlier}, only a gain above {gain(lower)} is sure"


def _evidence(facts: JudgeFacts, rule: JudgeRule) -> list[Evidence]:
    found: list[Evidence] = []
    gap = facts.gap
    if gap is not None:
        lower = lower_bound(gap, facts.offers_before, rule)
        text = (
            f"AUC {gap.champion:.3f} → {gap.challenger:.3f} on {gap.n:,} rows of {count(gap.days, 'day')}; the gap is "
            f"surely above {gain(lower)}, with {count(facts.offers_before, 'earlier challenger')} allowed for"
        )
        found.append(
            Evidence(
                name="gap", kind="gap", weight=1, value=gap.value, lo=gap.lo, hi=gap.hi, limit=rule.min_gain, n=gap.n,
                text=text, data=facts.data,
            )
        )  # fmt: skip
    limit = -rule.slice_worse_by if rule.slice_worse_by is not None else None
    found += [
        Evidence(
            name=f"{s.column}={s.level}", kind="slice", weight=2, value=s.value, lo=s.lo, hi=s.hi, limit=limit, n=s.n,
            text=f"{s.column} {s.level}: {gain(s.value)} AUC on {s.n:,} rows",
        )
        for s in facts.slices
    ]  # fmt: skip
    for guard in (facts.calibration, facts.latency, facts.size):
        if guard is not None and guard.new is not None:
            found.append(_guard_evidence(guard))
    if facts.explained:
        found.append(Evidence(name="explained", kind="guard", weight=3, text=facts.explained))
    return found


def _guard_evidence(guard: Guard) -> Evidence:
    def said(value: float | None) -> str:
        if value is None:
            return "unknown"
        return f"{value / 1e6:.1f} MB" if guard.name == "size" else measured(guard.name, value)

    return Evidence(
        name=guard.name, kind="guard", weight=3, value=guard.new, lo=guard.new_lo, limit=guard.limit,
        text=f"{upper(guard.name.replace('_', ' '))} {said(guard.old)} → {said(guard.new)}",
    )  # fmt: skip
