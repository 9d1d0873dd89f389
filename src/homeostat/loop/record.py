"""Facts and decisions in the database: written once, found again, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from homeostat.core.errors import NotFound
from homeostat.core.events import publish
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.loop import store
from homeostat.loop.canary import CanaryRule, decide_canary
from homeostat.loop.decide import ReviewRule, decide
from homeostat.loop.facts import CanaryFacts, JudgeFacts, ReviewFacts
from homeostat.loop.judge import JudgeRule, judge
from homeostat.loop.model import Decision, DecisionMade, Effect

F = TypeVar("F", bound=Record)

# The place of each kind among the decisions of one moment.
_PLACES = {"canary": 0, "roll_back": 0, "promote": 2, "refuse": 2}


class Step(NamedTuple):
    """A rule with the records it reads: what recomputes a decision from its facts."""

    facts: type[Record]
    rule: type[Record]
    decide: Callable[..., Decision | None]


STEPS = {
    "review": Step(ReviewFacts, ReviewRule, decide),
    "judge": Step(JudgeFacts, JudgeRule, judge),
    "canary": Step(CanaryFacts, CanaryRule, decide_canary),
}


def facts_id(model: str, at_ms: int, step: str, detail: str = "") -> str:
    """The id of the facts of one step at one moment; `detail` tells several of one step apart."""
    return hashlib.blake2s(f"{model}\n{at_ms}\n{step}\n{detail}".encode(), digest_size=12).hexdigest()


def once(
    ws: Workspace, model: str, at_ms: int, step: str, rule: Record, gather: Callable[[], F], detail: str = ""
) -> tuple[str, F, Record]:
    """The facts of a step: gathered and kept the first time, read back ever after. Gives id, facts and rule as kept.

    So whatever was measured (a latency, a table's state) is measured once, and a restart decides on the same numbers.
    """
    key = facts_id(model, at_ms, step, detail)
    kept = ws.db.read(lambda c: _facts(c, key))
    if kept is None:
        gathered = gather()

        def keep(c: sa.Connection) -> None:
            if _facts(c, key) is None:
                c.execute(
                    sa.insert(store.facts).values(
                        id=key, model=model, at_ms=at_ms, step=step, facts=to_json(gathered), rule=to_json(rule)
                    )
                )

        ws.db.write(keep)
        kept = ws.db.read(lambda c: _facts(c, key))
    assert kept is not None
    kinds = STEPS[step]
    # What was read back is decided on, even the first time: JSON is what the record is.
    return key, from_json(kept.facts, kinds.facts), from_json(kept.rule, kinds.rule)  # pyright: ignore[reportReturnType]


def is_recorded(ws: Workspace, model: str, at_ms: int, step: str, detail: str = "") -> bool:
    """True when the facts of this step are kept already."""
    return ws.db.read(lambda c: _facts(c, facts_id(model, at_ms, step, detail))) is not None


def record(ws: Workspace, facts_key: str, decision: Decision) -> Decision:
    """Keep a decision and publish it, if it is not kept already; the decision as kept."""

    def keep(c: sa.Connection) -> Decision:
        t = store.decision
        before = c.execute(sa.select(t.c.record).where(t.c.id == decision.id)).scalar()
        if before is not None:
            return from_json(before, Decision)
        c.execute(
            sa.insert(t).values(
                id=decision.id, model=decision.model, at_ms=decision.at_ms, place=_PLACES.get(decision.kind, 1),
                kind=decision.kind, challenger=decision.challenger, facts_id=facts_key, record=to_json(decision),
            )
        )  # fmt: skip
        publish(
            ws, c,
            DecisionMade(
                id=decision.id, model=decision.model, kind=decision.kind, at_ms=decision.at_ms,
                headline=decision.headline, reason=decision.reason, champion=decision.champion,
                challenger=decision.challenger,
            ),
        )  # fmt: skip
        return decision

    return ws.db.write(keep)


def recompute(ws: Workspace, decision_id: str) -> tuple[Decision, Decision | None]:
    """A decision as it was written, and as its rule decides on its recorded facts now.

    Raises NotFound for an unknown id.
    """
    t = store.decision
    row = ws.db.read(lambda c: c.execute(sa.select(t).where(t.c.id == decision_id)).first())
    if row is None:
        raise NotFound(
            f"there is no decision '{decision_id[:40]}'", hint="list them with `homeostat loop decisions MODEL`"
        )
    kept = ws.db.read(lambda c: _facts(c, row.facts_id))
    written = from_json(row.record, Decision)
    if kept is None:
        return written, None
    kinds = STEPS[kept.step]
    again = kinds.decide(from_json(kept.facts, kinds.facts), from_json(kept.rule, kinds.rule))
    return written, None if again is None else from_json(to_json(again), Decision)


def decisions_of(
    ws: Workspace,
    model: str,
    *,
    limit: int = 200,
    at_ms: int | None = None,
    before_ms: int | None = None,
    kinds: list[str] | None = None,
) -> list[Decision]:
    """Decisions on a model, newest first, with what was realised since; of one moment where `at_ms` says so."""
    t = store.decision
    query = sa.select(t.c.record, t.c.realised).where(t.c.model == model)
    if at_ms is not None:
        query = query.where(t.c.at_ms == at_ms)
    if before_ms is not None:
        query = query.where(t.c.at_ms < before_ms)
    if kinds:
        query = query.where(t.c.kind.in_(kinds))
    query = query.order_by(t.c.at_ms.desc(), t.c.place.desc(), t.c.id).limit(limit)
    return [with_realised(row.record, row.realised) for row in ws.db.read(lambda c: c.execute(query).all())]


def with_realised(text: str, realised: str | None) -> Decision:
    """A stored decision with its realised effect, where that is known by now."""
    found = from_json(text, Decision)
    return found if realised is None else msgspec.structs.replace(found, realised=from_json(realised, Effect))


def keep_realised(ws: Workspace, decision_id: str, effect: Effect) -> None:
    """Keep what a promotion brought; the first answer stays."""
    t = store.decision
    where = (t.c.id == decision_id, t.c.realised.is_(None))
    ws.db.write(lambda c: c.execute(sa.update(t).where(*where).values(realised=to_json(effect))))


def reviews_of(ws: Workspace, model: str, before_ms: int) -> list[ReviewFacts]:
    """The facts of earlier full reviews, oldest first."""
    t = store.facts
    where = (t.c.model == model, t.c.step == "review", t.c.at_ms < before_ms)
    rows = ws.db.read(lambda c: c.execute(sa.select(t.c.facts).where(*where).order_by(t.c.at_ms)).scalars().all())
    return [from_json(text, ReviewFacts) for text in rows]


def _facts(c: sa.Connection, key: str) -> Any:
    t = store.facts
    return c.execute(sa.select(t.c.step, t.c.facts, t.c.rule).where(t.c.id == key)).first()
