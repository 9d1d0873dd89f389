"""Verbs: look at a model now. Evidence is recorded, then decided on, then acted on, each step once.

A look is a row that stays open until everything it leads to is done. Each step first asks what is recorded already:
facts are gathered once, a decision has an id made of what it is about, a pipeline runs once for its moment, routes
are set to what the decision says. So a look that was cut off anywhere goes on where it was, and gives the same records.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from homeostat.core.clock import checked_ms, iso, now_ms
from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.faults import fault
from homeostat.core.workspace import Workspace
from homeostat.loop import gate, store
from homeostat.loop.applied import Applied, applied
from homeostat.loop.canary import CanaryRule, decide_canary
from homeostat.loop.decide import ReviewRule, decide
from homeostat.loop.facts import JudgeFacts
from homeostat.loop.gather_canary import gather_canary
from homeostat.loop.gather_judge import gather_judge, training_failed
from homeostat.loop.gather_review import gather_review
from homeostat.loop.history import keep_quality
from homeostat.loop.judge import JudgeRule, judge
from homeostat.loop.model import Decision
from homeostat.loop.realised import realise
from homeostat.loop.record import decisions_of, is_recorded, once, record
from homeostat.loop.retrain import train_challenger
from homeostat.loop.rollout import let_in, move_on
from homeostat.loop.schedule import is_due
from homeostat.loop.subject import Subject
from homeostat.loop.turn import turn
from homeostat.loop.watch import watch

# Clocks of two machines differ a little.
_AHEAD_MS = 60_000


def look(ws: Workspace, model: str, at_ms: int | None, now: bool) -> list[Decision]:
    """What `review` does."""
    current = applied(ws, model)
    at = _moment(current, at_ms)

    with turn(ws, model):
        last = _finish_open(ws, current, at)
        if last is not None and at < last and not _was_looked_at(ws, model, at):
            raise Refused(
                f"'{model}' was looked at as of {last}; a look as of {at} would rewrite what was decided",
                hint="pass a later at_ms",
            )
        if last is None or at > last:
            _open(ws, model, at, full=now or is_due(Subject(ws, current, at)))
            fault("loop.opened")
            _carry_out(ws, current, at)
    return list(reversed(decisions_of(ws, model, at_ms=at)))


def offered(ws: Workspace, model: str, version: int, at_ms: int | None, approved_by: str | None) -> Decision:
    """What `offer` and `approve` do; `approved_by` says yes to it."""
    current = applied(ws, model)
    at = _moment(current, at_ms)
    with turn(ws, model):
        _finish_open(ws, current, at)
        subject = Subject(ws, current, at)
        yes = gate.agreed(ws, model, version, approved_by)
        earlier = [d for d in decisions_of(ws, model, at_ms=at) if d.challenger == version and d.kind != "canary"]
        if not earlier:
            _check_offer(subject, version)
        learnt = subject.version(version).tags.get("learnt", "")
        return _judged(subject, version, lambda: gather_judge(subject, version, learnt, yes), approved=bool(yes))


def _moment(current: Applied, at_ms: int | None) -> int:
    """The moment to look as of. Looks come in order of time, so one in the future would forbid all until then."""
    now = now_ms()
    at = now if at_ms is None else checked_ms(at_ms, "at_ms")
    if at > now + _AHEAD_MS and current.config.clock != "replay":
        raise InvalidInput(
            f"at_ms {at} is {iso(at)}, which is still to come", hint="`clock: replay` in its configuration allows that"
        )
    return at


def _check_offer(subject: Subject, version: int) -> None:
    if version == subject.champion:
        raise Refused(f"v{version} is the champion of '{subject.model}' already")
    if subject.canary is not None:
        raise Refused(
            f"v{subject.canary} of '{subject.model}' is being let in; one change at a time",
            hint="offer it again when that one is in or back",
        )


def _carry_out(ws: Workspace, current: Applied, at_ms: int) -> None:
    """Everything one look leads to. Each part finds what an interrupted run of itself has left."""
    subject = Subject(ws, current, at_ms)
    variables = watch(subject)
    keep_quality(subject)
    fault("loop.watched")
    if _follow_canary(subject) or _follow_approval(subject):
        subject = Subject(ws, current, at_ms)  # the routes may be others now
    if _is_full(ws, current.config.model, at_ms):
        realise(subject)
        rule = current.config.review_rule()
        key, facts, kept = once(ws, subject.model, at_ms, "review", rule, lambda: gather_review(subject, variables))
        fault("loop.gathered")
        assert isinstance(kept, ReviewRule)
        decision = record(ws, key, decide(facts, kept))
        fault("loop.decided")
        if decision.kind == "retrain":
            _retrain(subject)
    _close(ws, subject.model, at_ms)


def _follow_canary(subject: Subject) -> bool:
    """Move a canary that was let in before this look; True when there was one to move."""
    s = subject
    rule = s.config.canary_rule()
    begun_now = decisions_of(s.ws, s.model, at_ms=s.at_ms, kinds=["promote"])
    if not is_recorded(s.ws, s.model, s.at_ms, "canary") and (s.canary is None or begun_now):
        return False
    key, facts, kept = once(s.ws, s.model, s.at_ms, "canary", rule, lambda: gather_canary(s, rule))
    assert isinstance(kept, CanaryRule)
    decision = decide_canary(facts, kept)
    if decision is None:
        return False
    decision = record(s.ws, key, decision)
    fault("loop.decided")
    move_on(s.ws, decision, facts, kept)
    return True


def _follow_approval(subject: Subject) -> bool:
    """Judge a version again that waited and was approved since, on what is known now; True when there was one."""
    s = subject
    version = gate.approved_since(s)
    if version is None:
        return False
    yes = gate.agreed(s.ws, s.model, version)
    learnt = s.version(version).tags.get("learnt", "")
    _judged(s, version, lambda: gather_judge(s, version, learnt, yes), approved=True)
    return True


def _retrain(subject: Subject) -> None:
    version, learnt, failed = train_challenger(subject)

    def gather() -> JudgeFacts:
        return training_failed(subject, failed, learnt) if version is None else gather_judge(subject, version, learnt)

    _judged(subject, version, gather)


def _judged(
    subject: Subject, version: int | None, gather: Callable[[], JudgeFacts], *, approved: bool = False
) -> Decision:
    s = subject
    detail = f"{version}{' approved' if approved else ''}"
    key, facts, kept = once(s.ws, s.model, s.at_ms, "judge", gate.judge_rule(s), gather, detail=detail)
    fault("loop.judged")
    assert isinstance(kept, JudgeRule)
    decision = record(s.ws, key, judge(facts, kept))
    fault("loop.decided")
    if decision.kind == "promote":
        let_in(s.ws, decision, s.config.canary_rule())
    elif decision.kind == "wait" and version is not None and gate.withheld(s.ws, s.model, version):
        gate.point(s.ws, s.model, version, decision.headline)
    return decision


def _finish_open(ws: Workspace, current: Applied, at_ms: int) -> int | None:
    """Finish looks that were cut off, oldest first; the newest moment that was looked at."""
    t = store.look
    model = current.config.model
    where = (t.c.model == model, sa.not_(t.c.done), t.c.at_ms <= at_ms)
    for open_ms in ws.db.read(
        lambda c: c.execute(sa.select(t.c.at_ms).where(*where).order_by(t.c.at_ms)).scalars().all()
    ):
        _carry_out(ws, current, open_ms)
    return ws.db.read(lambda c: c.execute(sa.select(sa.func.max(t.c.at_ms)).where(t.c.model == model)).scalar())


def _was_looked_at(ws: Workspace, model: str, at_ms: int) -> bool:
    t = store.look
    query = sa.select(t.c.at_ms).where(t.c.model == model, t.c.at_ms == at_ms)
    return ws.db.read(lambda c: c.execute(query).first()) is not None


def _open(ws: Workspace, model: str, at_ms: int, *, full: bool) -> None:
    row = {"model": model, "at_ms": at_ms, "full": full, "done": False}
    ws.db.write(lambda c: c.execute(sa.insert(store.look).values(row)))


def _close(ws: Workspace, model: str, at_ms: int) -> None:
    t = store.look
    ws.db.write(lambda c: c.execute(sa.update(t).where(t.c.model == model, t.c.at_ms == at_ms).values(done=True)))


def _is_full(ws: Workspace, model: str, at_ms: int) -> bool:
    t = store.look
    query = sa.select(t.c.full).where(t.c.model == model, t.c.at_ms == at_ms)
    return bool(ws.db.read(lambda c: c.execute(query).scalar()))
