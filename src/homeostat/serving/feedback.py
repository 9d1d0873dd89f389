"""Verbs: what answers turned out to be worth, told by the id of their request."""

from __future__ import annotations

import math

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.serving import store
from homeostat.serving.model import Feedback

MAX_AT_ONCE = 10_000
_CHUNK = 500  # what a statement may name at once, in every database
_LONGEST = 255


class _Told(msgspec.Struct):
    feedback: list[Feedback] | None = None


@verb(permission="serving:write")
def record_feedback(ws: Workspace, model: str, feedback: list[Feedback]) -> int:
    """Record rewards for answered requests; the newest counts where a request is told of twice. Their number.

    A reward is what the caller wants more of: 1 for a click and 0 for none, a margin, minus an error. It is joined to
    the prediction log by the request's id when versions are compared; it may come before the log is written. Where
    there is no feedback, labels tell it (`monitoring.reward_answers`).

    Raises: InvalidInput for an empty id or a reward that is not a finite number.
    """
    if len(feedback) > MAX_AT_ONCE:
        raise InvalidInput(f"{len(feedback)} rewards at once", hint=f"send at most {MAX_AT_ONCE}")
    for one in feedback:
        if not 0 < len(one.request_id) <= _LONGEST or "\x00" in one.request_id:  # which PostgreSQL's texts cannot hold
            raise InvalidInput("a request id has 1 to 255 characters, none of them NUL", hint="the id of the answer")
        if not math.isfinite(one.reward):
            raise InvalidInput(f"the reward of '{one.request_id}' is not a finite number")
    _record(ws, store.feedback, model, {one.request_id: one.reward for one in feedback})
    return len(feedback)


def record_truth(ws: Workspace, model: str, rewards: dict[str, float], since_ms: int) -> int:
    """Record what answers given since then, by their request's id, were worth by the truth about them; how many of the
    rewards are news."""
    known = dict(_told_since(ws, store.truth, model, since_ms))
    news = {id: reward for id, reward in rewards.items() if known.get(id) != reward and len(id) <= _LONGEST}
    _record(ws, store.truth, model, news)
    return len(news)


def _record(ws: Workspace, table: sa.Table, model: str, rewards: dict[str, float]) -> None:
    ids, at_ms = list(rewards), now_ms()

    def write(connection: sa.Connection, some: list[str]) -> None:
        for start in range(0, len(some), _CHUNK):
            chunk = some[start : start + _CHUNK]
            connection.execute(sa.delete(table).where(table.c.model == model, table.c.request_id.in_(chunk)))
            connection.execute(
                sa.insert(table),
                [{"model": model, "request_id": id, "reward": rewards[id], "at_ms": at_ms} for id in chunk],
            )

    for start in range(0, len(ids), MAX_AT_ONCE):  # others want to write, too
        ws.db.write(lambda c, some=ids[start : start + MAX_AT_ONCE]: write(c, some))


def read_feedback(body: bytes) -> list[Feedback]:
    """The rewards in a request to the data plane: `{"request_id": …, "reward": …}`, or a list under "feedback".

    Raises: InvalidInput when the body is neither.

    >>> read_feedback(b'{"request_id": "r1", "reward": 1}')
    [Feedback(request_id='r1', reward=1.0)]
    """
    try:
        told = msgspec.json.decode(body, type=_Told)
        return told.feedback if told.feedback is not None else [msgspec.json.decode(body, type=Feedback)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"the body is not feedback: {error}", hint='{"feedback": [{"request_id": "r1", "reward": 1}]}'
        ) from None


def rewards_since(ws: Workspace, model: str, since_ms: int) -> list[tuple[str, float]]:
    """(request id, reward) of what was told since then: by feedback; where there is none of it, by the truth."""
    return _told_since(ws, store.feedback, model, since_ms) or _told_since(ws, store.truth, model, since_ms)


def _told_since(ws: Workspace, table: sa.Table, model: str, since_ms: int) -> list[tuple[str, float]]:
    query = sa.select(table.c.request_id, table.c.reward).where(table.c.model == model, table.c.at_ms >= since_ms)
    return ws.db.read(lambda c: [(row.request_id, row.reward) for row in c.execute(query)])
