"""Verbs: how a model's loop stands, all of them at a glance, and what was decided."""

from __future__ import annotations

from typing import Literal

from homeostat.core.clock import iso
from homeostat.core.errors import NotFound
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.loop.applied import applied, declared
from homeostat.loop.model import Canary, Decision, LoopStatus, VariableStatus
from homeostat.loop.record import decisions_of
from homeostat.loop.schedule import last_look_ms, next_review_ms
from homeostat.loop.stages import stages_of
from homeostat.loop.watch import last_readings
from homeostat.loop.words import count, listed, measured, sentences, upper
from homeostat.serving import Deployment, Route, get_deployment


@verb(permission="loop:read")
def status(ws: Workspace, model: str, at_ms: int | None = None) -> LoopStatus:
    """How the loop of `model` stands: every essential variable with its history, the six stations, the next review.

    From what the last look recorded (of those up to `at_ms`, where given); nothing is measured anew. Raises NotFound
    for a model that is not declared.
    """
    current = applied(ws, model)
    variables = last_readings(ws, model, current.config.variables, at_ms=at_ms)
    deployment = _deployment(ws, model)
    looked = last_look_ms(ws, model)
    due = next_review_ms(ws, current.config) if looked is not None else None
    champion = deployment.champion if deployment else None
    canary = next((Canary(version=r.version, weight=r.weight) for r in _routes(deployment) if r.role == "canary"), None)
    return LoopStatus(
        model=model, state=_state(variables), sentence=_sentence(variables, champion, canary, due), at_ms=looked or 0,
        champion=champion, canary=canary, stages=stages_of(ws, current, deployment, variables),
        variables=variables, next_review_ms=due, central=variables[0] if variables else None,
    )  # fmt: skip


@verb(permission="loop:read")
def list_models(ws: Workspace) -> list[LoopStatus]:
    """Every declared model as `status` gives it, by name."""
    return [status(ws, model) for model in declared(ws)]


@verb(permission="loop:read")
def decisions(ws: Workspace, model: str, limit: int = 200, before_ms: int | None = None) -> list[Decision]:
    """What was decided about `model`, newest first; `before_ms` goes on further back. NotFound when not declared."""
    applied(ws, model)
    return decisions_of(ws, model, limit=max(1, min(limit, 10_000)), before_ms=before_ms)


def _deployment(ws: Workspace, model: str) -> Deployment | None:
    try:
        return get_deployment(ws, model)
    except NotFound:
        return None


def _routes(deployment: Deployment | None) -> list[Route]:
    return deployment.routes if deployment else []


def _state(variables: list[VariableStatus]) -> Literal["holding", "at_risk", "out", "unknown"]:
    states = {v.state for v in variables}
    if "out" in states:
        return "out"
    if "at_risk" in states:
        return "at_risk"
    return "holding" if "within" in states else "unknown"


def _sentence(variables: list[VariableStatus], champion: int | None, canary: Canary | None, due: int | None) -> str:
    """What one would answer to "how is it?"."""
    bad = [v for v in variables if v.state == "out"]
    close = [v for v in variables if v.state == "at_risk"]
    unknown = [v for v in variables if v.state == "unknown"]
    if bad:
        first = upper(listed([f"{v.label} ({_value(v)})" for v in bad]))
        how = f"{first} {'is' if len(bad) == 1 else 'are'} out of {'its limit' if len(bad) == 1 else 'their limits'}"
    elif close:
        holding = len(variables) - len(close) - len(unknown)
        how = f"{upper(count(holding, 'essential variable'))} hold; close to the limit: "
        how += listed([f"{v.label} ({_value(v)})" for v in close])
    elif len(unknown) == len(variables):
        how = "Nothing can be said yet: predictions and their truth are still arriving"
    else:
        how = (
            f"All {count(len(variables) - len(unknown), 'essential variable')} that can be told hold"
            if unknown
            else (f"All {count(len(variables), 'essential variable')} hold")
        )
    live = f"v{champion} is live" if champion is not None else "No version is deployed"
    if canary is not None:
        live += f", v{canary.version} takes {canary.weight:.0%} on its way in"
    return sentences(how, live, f"Next review on {iso(due)[:10]}" if due is not None else "")


def _value(v: VariableStatus) -> str:
    return measured(v.measure, v.value) if v.value is not None else "unknown"
