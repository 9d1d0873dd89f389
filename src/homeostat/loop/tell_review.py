"""A review's decision in the words of a colleague: one headline, one reason, the evidence in order of weight."""

from __future__ import annotations

from homeostat.loop.facts import Fault, Gap, Moved, ReviewFacts
from homeostat.loop.hold import MEASURES
from homeostat.loop.model import Evidence, Kind, VariableStatus
from homeostat.loop.words import between, count, gain, listed, measured, sentences, span, upper, with_band


def headline_of(kind: Kind, ground: str, facts: ReviewFacts) -> str:
    """What was decided, as one would say it in passing."""
    if kind == "fix_data":
        return f"{upper(facts.faults[0].source)} is broken: mend it before anything learns from it."
    if kind == "collect":
        return "Labels are missing: quality cannot be told without them."
    worst = _worst(facts)
    if kind == "retrain":
        if ground == "limits" and worst is not None:
            return f"{upper(worst.label)} {_stands(worst)}, and learning again is expected to help."
        return "The model holds, but learning again would make it better."
    if ground == "canary":
        return f"v{facts.canary} is being let in; one change at a time."
    if ground == "hindered":
        return "Learning again would help, but not yet."
    if ground == "no_gain" and worst is not None:
        return f"{upper(worst.label)} {_stands(worst)}, but a new model would not help."
    if ground == "young":
        return "Too early to tell: the truth is still arriving."
    if ground == "close":
        named = [v for v in facts.variables if v.state in ("out", "at_risk")]
        return f"Quality holds; {listed([v.label for v in named])} {_stands(named[0], len(named) > 1)}."
    if ground == "drift":
        return f"{upper(count(len(facts.moved), 'input'))} moved, the model did not suffer."
    return f"All {count(len(facts.variables), 'essential variable')} hold."


def reason_of(kind: Kind, ground: str, facts: ReviewFacts, min_gain: float, hindered: str = "") -> str:
    """Why, in two to four sentences with the numbers that carried it. `hindered` says what stands in the way."""
    if kind == "fix_data":
        others = facts.faults[1:]
        return sentences(
            _fault(facts.faults[0]),
            f"Also: {'; '.join(_fault(f).rstrip('.') for f in others[:3])}" if others else "",
            "Nothing is learnt and nothing is promoted until it is sound again",
        )
    if kind == "collect":
        asked = facts.labels.asked
        return sentences(
            f"{facts.labels.overdue:.0%} of {count(facts.labels.predictions, 'prediction')} lack the label that is due",
            f"The labels of {listed(asked)} would tell most" if asked else "",
            _estimate(facts),
        )
    if ground == "canary":
        return f"Until it is in or back, v{facts.canary} is watched by the canary's own rule."
    worst = _worst(facts)
    central = worst or _central(facts)
    said = _against_limit(central) if central is not None and central.value is not None else ""
    if ground == "young":
        said = f"{count(facts.labels.matured, 'row')} have their truth so far"
        return sentences(upper(said), _estimate(facts), _drift(facts.moved))
    return sentences(
        said,
        "Inputs are sound" if kind == "retrain" or ground in ("no_gain", "hindered") else "",
        _gap(facts.gap, min_gain),
        upper(hindered),
        (f"Drift behind it: {_names(facts.moved)}" if facts.moved else "")
        if kind == "retrain"
        else _drift(facts.moved),
    )


def evidence_of(facts: ReviewFacts, min_gain: float) -> list[Evidence]:
    """The evidence in order of weight; what speaks loudest first within a weight."""
    found = [_variable(v, facts.data) for v in facts.variables]
    found += [
        Evidence(
            name=f"expected {e.measure}", kind="variable", weight=2, value=e.value, n=e.n, data=facts.data,
            text=_estimated_text(e.measure, e.value, e.track, e.tracked),
        )
        for e in facts.estimated
    ]  # fmt: skip
    found += [
        Evidence(name=m.name, kind="drift", weight=3, value=m.effect, text=f"{m.name}: {m.why}", data=facts.data)
        for m in facts.moved[:12]
    ]
    gap = facts.gap
    if gap is not None:
        found.append(
            Evidence(
                name="gap", kind="gap", weight=4, value=gap.value, lo=gap.lo, hi=gap.hi, limit=min_gain, n=gap.n,
                text=_gap(gap, min_gain), data=facts.data,
            )
        )  # fmt: skip
    labels = facts.labels
    learnt = f" (the champion learnt from {labels.trained_on:,})" if labels.trained_on else ""
    text = f"{labels.since:,} labelled rows since the champion's training data ended{learnt}"
    found.append(
        Evidence(name="labels", kind="labels", weight=5, value=float(labels.since), n=labels.matured, text=text)
    )
    age = facts.at_ms - facts.champion_since_ms
    text = f"v{facts.champion} has been live for {span(max(0, age) // 3_600_000 * 3_600_000) if age > 0 else 'no time'}"
    found.append(Evidence(name="age", kind="age", weight=6, value=float(age), text=text))
    found += [
        Evidence(name=f.source, kind="input", weight=7, text=_fault(f), data=[f.version] if f.version else [])
        for f in facts.faults
    ]
    return found


def _variable(v: VariableStatus, data: list[str]) -> Evidence:
    weight = 1 if MEASURES[v.measure].needs == "labels" else 7
    text = _against_limit(v) if v.value is not None else f"{v.label}: {v.detail or 'not known yet'}"
    return Evidence(
        name=v.variable, kind="variable", weight=weight, value=v.value, lo=v.lo, hi=v.hi, limit=v.limit, n=v.n,
        text=text, data=data,
    )  # fmt: skip


def _worst(facts: ReviewFacts) -> VariableStatus | None:
    """The quality variable in the worst state, the first written among equals."""
    bad = [v for v in facts.variables if MEASURES[v.measure].needs == "labels" and v.state in ("out", "at_risk")]
    return next((v for v in bad if v.state == "out"), bad[0] if bad else None)


def _central(facts: ReviewFacts) -> VariableStatus | None:
    return next((v for v in facts.variables if MEASURES[v.measure].needs == "labels"), None)


def _stands(v: VariableStatus, several: bool = False) -> str:
    verb = "are" if several else "is"
    return f"{verb} out of {'their' if several else 'its'} limit" if v.state == "out" else f"{verb} at risk"


def _against_limit(v: VariableStatus) -> str:
    """ "AUC is at risk: 0.728 ± 0.009 against 0.72 over 14 days"."""
    if v.value is None:
        return f"{upper(v.label)} is not known yet"
    over = f" over {span(v.window_ms)}" if v.window_ms else ""
    value, limit = with_band(v.measure, v.value, v.lo, v.hi), measured(v.measure, v.limit).rstrip("0").rstrip(".")
    where = f" ({v.detail})" if v.detail and v.by else ""
    if v.state in ("out", "at_risk"):
        return f"{upper(v.label)} {_stands(v)}: {value}{where} against {limit}{over}"
    return f"{upper(v.label)} {value}{where} against {limit}{over}"


def _gap(gap: Gap | None, min_gain: float) -> str:
    if gap is None:
        return ""
    if gap.lo > 0.0 and gap.value >= min_gain:
        return f"{upper(gap.how)} gains {between(gap.lo, gap.hi)} AUC"
    if gap.hi < 0.0:
        return f"{upper(gap.how)} is worse: {between(gap.lo, gap.hi)} AUC"
    if gap.lo > 0.0:
        return f"{upper(gap.how)} gains {gain(gap.value)} AUC, less than the {min_gain:g} that would be worth it"
    if gap.value < min_gain and gap.hi <= min_gain:
        return f"{upper(gap.how)} gains nothing worth having ({between(gap.lo, gap.hi)} AUC)"
    return f"{upper(gap.how)} gains nothing that its uncertainty does not cover ({between(gap.lo, gap.hi)} AUC)"


def _fault(fault: Fault) -> str:
    broke = f" since {fault.version}" if fault.version else ""
    return f"{upper(fault.source)}: {fault.what}{broke}"


def _names(moved: list[Moved]) -> str:
    return listed([m.name for m in moved])


def _drift(moved: list[Moved]) -> str:
    return f"{upper(count(len(moved), 'input'))} moved: {_names(moved)}" if moved else ""


def _estimate(facts: ReviewFacts) -> str:
    for e in facts.estimated:
        return upper(_estimated_text(e.measure, e.value, e.track, e.tracked))
    return ""


def _estimated_text(measure: str, value: float, track: float | None, tracked: int) -> str:
    label = MEASURES[measure].label if measure in MEASURES else measure
    record = (
        f"; such estimates were off by {track:.3f} on average in {count(tracked, 'window')}"
        if track is not None
        else ""
    )
    return f"{label} should be {measured(measure, value)} if the scores still mean what they meant{record}"
