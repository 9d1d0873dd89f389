"""Verbs: canaries that rise and fall by themselves, and versions compared while they share the traffic."""

from __future__ import annotations

import math

import sqlalchemy as sa
from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.errors import Conflict, InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.serving import arms, store
from homeostat.serving.canary import Action, CanaryPolicy, Judgement, check_policy, judge
from homeostat.serving.deployments import (
    check_alike,
    check_servable,
    get_deployment,
    list_deployments,
    record,
    returns_to,
)
from homeostat.serving.model import Canary, CanaryReview, CanaryStep, Comparison, Deployment, Route
from homeostat.serving.prediction_table import requests_since
from homeostat.serving.sequential import Arm, difference

_HOUR_MS = 3_600_000


@verb(permission="serving:write")
def start_canary(
    ws: Workspace,
    model: str,
    version: int,
    policy: CanaryPolicy | None = None,
    expect_generation: int | None = None,
) -> Deployment:
    """Give `version` the first weight of the policy; `homeostat up` then raises it, or takes it back, by itself.

    It is judged by errors, latency and what its answers turn out to be worth, by `record_feedback` or, where nobody
    tells that, by the labels that arrive (`monitoring.reward_answers`), with tests that stay valid at every look (see
    `CanaryPolicy`). Whatever else changes the routes meanwhile, for example `deploy`, ends it. With
    `expect_generation`, nothing changes unless the deployment is still at that generation.

    Raises: NotFound when the model is not deployed or has no such version; Refused when its gates have refused it, and
    when it takes or gives something else than the champion, whose clients it would fail; InvalidInput when it is the
    champion already or the policy makes no sense; Conflict when somebody else changed the deployment first.
    """
    policy = policy or CanaryPolicy()
    check_policy(policy)
    current = get_deployment(ws, model)
    if current.champion == version:
        raise InvalidInput(f"version {version} is the champion of '{model}' already")
    check_servable(ws, model, [Route(version=version, role="canary")])
    check_alike(ws, model, current.champion, [version])
    at_ms = now_ms()
    slow_us = arms.slow_us(ws, model, current.champion, at_ms - _HOUR_MS)

    def write(connection: sa.Connection) -> Deployment:
        now = store.read_expected(
            connection, model, current.generation if expect_generation is None else expect_generation
        )
        step = CanaryStep(weight=policy.weights[0], at_ms=at_ms)
        canary = Canary(version=version, policy=policy, steps=[step], slow_us=slow_us, before=returns_to(now))
        changed = replace(now, routes=_routes(now, version, step.weight), canary=canary, bandit=None)
        return record(ws, connection, changed, "canary", now)

    return ws.db.write(write)


@verb(permission="serving:write")
def review_canaries(ws: Workspace, at_ms: int | None = None) -> list[CanaryReview]:
    """Judge every canary that `start_canary` began, and act: raise its weight, make it champion, or take it back."""
    reviews: list[CanaryReview] = []
    for deployment in list_deployments(ws):
        canary = deployment.canary
        if canary is None:
            continue
        review = _reviewed(ws, deployment, canary, at_ms)
        if review.judgement.action != "wait":
            try:
                _act(ws, deployment, canary, review.judgement.action, review.weight, review.at_ms)
            except Conflict:
                continue  # somebody has just changed the routes: the next look sees what they are now
        reviews.append(review)
    return reviews


@verb(permission="serving:read")
def judge_canary(ws: Workspace, model: str) -> CanaryReview | None:
    """What `review_canaries` would find of the canary of `model` now, without acting; None when it has none.

    Raises: NotFound when the model is not deployed.
    """
    deployment = get_deployment(ws, model)
    return None if deployment.canary is None else _reviewed(ws, deployment, deployment.canary, None)


def _reviewed(ws: Workspace, deployment: Deployment, canary: Canary, at_ms: int | None) -> CanaryReview:
    when = now_ms() if at_ms is None else at_ms
    weight, judged = _next(canary, judge(arms.seen_of(ws, deployment, canary, when), canary.policy))
    return CanaryReview(model=deployment.model, version=canary.version, weight=weight, judgement=judged, at_ms=when)


@verb(permission="serving:read")
def compare(
    ws: Workspace, model: str, measure: arms.Measure = "errors", since_ms: int | None = None, alpha: float = 0.05
) -> list[Comparison]:
    """Every version that shares the requests of `model`, beside the champion: an A/B test one may look at any time.

    `measure`: "errors" (share of failed requests), "latency_ms" (mean), "reward" (mean of what `record_feedback`
    told; where it told nothing, of what labels say: one less the squared distance of a probability from what happened,
    or minus the absolute error of a number).
    The interval holds the true difference at all looks at once with probability 1 - `alpha`, shared among the versions;
    `since_ms` must be chosen beforehand, by default when the routes were last changed.

    Raises: NotFound when the model is not deployed.
    """
    if not 0 < alpha < 1:
        raise InvalidInput(f"alpha={alpha}", hint="between 0 and 1, such as 0.05")
    deployment = get_deployment(ws, model)
    since = deployment.updated_ms if since_ms is None else since_ms
    frame = requests_since(ws, model, since)
    others = [r.version for r in deployment.routes if r.role == "canary"]
    found = {v: _arm(ws, deployment, measure, frame, v, since) for v in (deployment.champion, *others)}
    base = found[deployment.champion]
    return [_compared(measure, v, found[v], deployment.champion, base, alpha / len(others)) for v in others]


def _arm(ws: Workspace, deployment: Deployment, measure: arms.Measure, frame: object, version: int, since: int) -> Arm:
    import polars as pl

    assert isinstance(frame, pl.DataFrame)
    own = frame.filter(pl.col("version") == version)
    if measure == "errors":
        return arms.share(arms.units(own, deployment), "failed")
    if measure == "latency_ms":
        return arms.mean(own.filter(pl.col("status") == 200)["latency_us"].cast(pl.Float64) / 1000)
    return arms.mean(arms.rewarded(ws, deployment.model, own, since)["reward"])


def _compared(measure: arms.Measure, version: int, arm: Arm, baseline: int, base: Arm, alpha: float) -> Comparison:
    lo, hi = difference(arm, base, alpha)
    higher = lo > 0
    verdict = "undecided"
    if higher or hi < 0:
        verdict = "better" if higher == (measure == "reward") else "worse"
    known = math.isfinite(lo)
    return Comparison(
        measure=measure, version=version, baseline=baseline, n=arm.n, n_baseline=base.n, mean=arm.mean,
        mean_baseline=base.mean, difference=arm.mean - base.mean, lo=lo if known else None, hi=hi if known else None,
        verdict=verdict,
    )  # fmt: skip


def _routes(deployment: Deployment, version: int, weight: float) -> list[Route]:
    shadows = [r for r in deployment.routes if r.role == "shadow" and r.version != version]
    if weight >= 1:
        return [Route(version=version), *shadows]
    champion = Route(version=deployment.champion, weight=1 - weight)
    canary = [Route(version=version, weight=weight, role="canary")] if weight else []
    return [champion, *canary, *shadows]


def _next(canary: Canary, judged: Judgement) -> tuple[float, Judgement]:
    """The weight that the judgement leads to."""
    here = canary.steps[-1].weight
    if judged.action == "roll_back":
        return 0.0, judged
    if judged.action == "wait":
        return here, judged
    higher = [weight for weight in canary.policy.weights if weight > here]
    if not higher:
        return here, replace(judged, action="wait", reason="it has reached the last weight of its policy")
    return higher[0], judged if higher[0] < 1 else replace(judged, action="promote")


def _act(ws: Workspace, deployment: Deployment, canary: Canary, action: Action, weight: float, at_ms: int) -> None:
    def write(connection: sa.Connection) -> Deployment:
        now = store.read_deployment(connection, deployment.model)
        if now is None or now.generation != deployment.generation:
            raise Conflict(f"the deployment of '{deployment.model}' was changed at the same moment")
        routes = _routes(now, canary.version, weight)
        if action == "step":
            steps = [*canary.steps, CanaryStep(weight=weight, at_ms=at_ms)]
            return record(ws, connection, replace(now, routes=routes, canary=replace(canary, steps=steps)),
                          "canary step", now, back_to=canary.before)  # fmt: skip
        changed = replace(now, routes=routes, canary=None)
        if action == "promote":
            return record(ws, connection, changed, "canary promoted", now, back_to=canary.before)
        # Going back from here must not lead to the canary again.
        _, further = store.read_change(connection, now.model, canary.before)
        return record(ws, connection, changed, "canary back", now, back_to=further)

    ws.db.write(write)
