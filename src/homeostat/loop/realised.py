"""What a promotion brought: the gap on the fortnight after it, which neither version had seen when it was decided."""

from __future__ import annotations

from homeostat.loop.model import Decision, Effect
from homeostat.loop.quick_challenger import gap_on
from homeostat.loop.record import decisions_of, keep_realised
from homeostat.loop.subject import Subject
from homeostat.monitoring import joined


def realise(subject: Subject) -> None:
    """Measure every promotion whose judging span has passed again since, once."""
    for made in decisions_of(subject.ws, subject.model, before_ms=subject.at_ms, kinds=["promote"]):
        if made.realised is None:
            _realise(subject, made)


def _realise(s: Subject, made: Decision) -> None:
    until = made.at_ms + s.config.judge_ms
    if until > s.matured_ms or made.champion is None or made.challenger is None:
        return
    rows = joined(s.ws, s.model, made.at_ms, until, s.at_ms, s.config.within_ms).labelled()
    if rows.height < 2 or rows["label"].n_unique() < 2:
        return
    found = gap_on(s, rows, s.scores(made.champion, rows), s.scores(made.challenger, rows), made.at_ms, "")
    if found is not None:
        effect = Effect(measure="auc", value=found.value, lo=found.lo, hi=found.hi, n=found.n)
        keep_realised(s.ws, made.id, effect)
