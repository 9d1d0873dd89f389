"""From a decision to the routes it stands for. Setting routes that are set already changes nothing."""

from __future__ import annotations

from homeostat.core.faults import fault
from homeostat.core.workspace import Workspace
from homeostat.loop.canary import CanaryRule
from homeostat.loop.facts import CanaryFacts
from homeostat.loop.gate import point, withheld
from homeostat.loop.model import Decision
from homeostat.serving import Route, get_deployment, set_routes


def routes_at(champion: int, canary: int, share: float) -> list[Route]:
    """Champion and canary at `share` of the traffic; at 1 the canary is the champion.

    >>> [(r.version, r.weight, r.role) for r in routes_at(1, 2, 0.05)]
    [(1, 0.95, 'champion'), (2, 0.05, 'canary')]
    """
    if share >= 1.0:
        return [Route(version=canary)]
    rest = round(1.0 - share, 9)
    return [Route(version=champion, weight=rest), Route(version=canary, weight=share, role="canary")]


def let_in(ws: Workspace, decision: Decision, rule: CanaryRule) -> None:
    """Begin the rollout that a promotion decided on."""
    assert decision.champion is not None
    assert decision.challenger is not None
    before = [Route(version=decision.champion)]
    _route(ws, decision, before, routes_at(decision.champion, decision.challenger, rule.steps[0]))


def move_on(ws: Workspace, decision: Decision, facts: CanaryFacts, rule: CanaryRule) -> None:
    """Take the step, or the way back, that a canary's decision stands for."""
    before = routes_at(facts.champion, facts.canary, rule.steps[facts.step])
    forward = decision.kind == "canary"
    after = routes_at(facts.champion, facts.canary, rule.steps[facts.step + 1]) if forward else _only(facts.champion)
    _route(ws, decision, before, after)


def _only(version: int) -> list[Route]:
    return [Route(version=version)]


def _route(ws: Workspace, decision: Decision, before: list[Route], after: list[Route]) -> None:
    """Set `after` where `before` is in force. Anything else means that the world has moved on: it is left alone."""
    current = get_deployment(ws, decision.model)
    if len(after) == 1 and after[0].version != before[0].version and withheld(ws, decision.model, after[0].version):
        # All of the traffic is what the rule on the alias is about: the canary stays where it is until then.
        point(ws, decision.model, after[0].version, decision.headline)
        return
    shadows = [route for route in current.routes if route.role == "shadow"]
    answering = [route for route in current.routes if route.role != "shadow"]
    if answering == before:
        set_routes(ws, decision.model, [*after, *shadows], expect_generation=current.generation)
    elif answering != after:
        return
    fault("loop.routed")
    if len(after) == 1:
        point(ws, decision.model, after[0].version, decision.headline)
