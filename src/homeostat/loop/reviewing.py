"""Verbs: look at a model and decide what is due, offer a version, say yes to one that waits."""

from __future__ import annotations

from homeostat.core.context import current_actor
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.loop.model import Decision


@verb(permission="loop:write")
def review(ws: Workspace, model: str, at_ms: int | None = None, now: bool = False) -> list[Decision]:
    """Look at `model` as of `at_ms` (default: now), decide what is due, act on it; the decisions of that moment.

    Every look reads the essential variables and moves a canary on, or back. A full review, with its decision, is taken
    when it is due (`learn.review`), or when `now` asks for it. Looks come in order of time; one that was cut off is
    finished first. The same moment again changes nothing and gives the same decisions.

    Raises: NotFound for a model that is not declared or not deployed; InvalidInput for a moment that is still to come;
    Refused for one before one that was looked at already; Unavailable while another process looks.
    """
    from homeostat.loop.look import look

    return look(ws, model, at_ms, now)


@verb(permission="loop:write")
def offer(ws: Workspace, model: str, version: int, at_ms: int | None = None) -> Decision:
    """Judge a registered version against the champion by the rule that judges every challenger, and act on it.

    Raises: Refused when the version is the champion, or while another one is being let in; NotFound.
    """
    from homeostat.loop.look import offered

    return offered(ws, model, version, at_ms, None)


@verb(permission="loop:admin")
def approve(ws: Workspace, model: str, version: int, at_ms: int | None = None) -> Decision:
    """Say yes to a version that waits for a person (`promote.approve`). It is judged again, on what is known now."""
    from homeostat.loop.look import offered

    return offered(ws, model, version, at_ms, current_actor())
