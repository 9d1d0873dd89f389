"""Verbs: versions that share the requests of a model by what their answers earn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.errors import Conflict, InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.serving import arms, store
from homeostat.serving.bandit import BanditPolicy, Earned, check_policy, shares
from homeostat.serving.deployments import (
    check_alike,
    check_servable,
    get_deployment,
    list_deployments,
    record,
    returns_to,
)
from homeostat.serving.model import Bandit, BanditArm, BanditReview, Deployment, Route
from homeostat.serving.prediction_table import requests_since

if TYPE_CHECKING:
    import polars as pl

_CHANGE = 0.02


@verb(permission="serving:write")
def start_bandit(
    ws: Workspace,
    model: str,
    versions: list[int],
    policy: BanditPolicy | None = None,
    expect_generation: int | None = None,
) -> Deployment:
    """Share the requests of `model` between its champion and `versions`, equally at first, then by what each earns.

    `homeostat up` sets the shares by the rewards that `record_feedback` tells of, or by the labels that arrive (see
    `BanditPolicy`, `compare`). It goes on until something else changes the routes: `deploy` of the version that won, or
    `rollback` to the routes before. With `expect_generation`, nothing changes unless the deployment is still at that
    generation.

    Raises: NotFound when the model is not deployed or has no such version; Refused when its gates have refused it, or
    it takes or gives something else than the champion;
    InvalidInput when no version is named beside the champion, or the policy makes no sense; Conflict when somebody else
    changed the deployment first.
    """
    policy = policy or BanditPolicy()
    check_policy(policy)
    current = get_deployment(ws, model)
    others = [version for version in dict.fromkeys(versions) if version != current.champion]
    if not others:
        raise InvalidInput("a bandit needs a version beside the champion", hint=f"versions other than {versions}")
    check_servable(ws, model, [Route(version=version, role="canary") for version in others])
    check_alike(ws, model, current.champion, others)
    arms_of = [current.champion, *others]
    at_ms = now_ms()

    def write(connection: sa.Connection) -> Deployment:
        now = store.read_expected(
            connection, model, current.generation if expect_generation is None else expect_generation
        )
        bandit = Bandit(versions=arms_of, policy=policy, since_ms=at_ms, before=returns_to(now))
        routes = _routes(now, arms_of, [1 / len(arms_of)] * len(arms_of))
        return record(ws, connection, replace(now, routes=routes, canary=None, bandit=bandit), "bandit", now)

    return ws.db.write(write)


@verb(permission="serving:write")
def review_bandits(ws: Workspace, at_ms: int | None = None) -> list[BanditReview]:
    """Look at what the versions of every bandit have earned, and set their shares by it."""
    reviews: list[BanditReview] = []
    for deployment in list_deployments(ws):
        bandit = deployment.bandit
        if bandit is None:
            continue
        review = _reviewed(ws, deployment, bandit, at_ms)
        before, found = _weights(deployment, bandit), [arm.weight for arm in review.versions]
        moved = max(abs(a - b) for a, b in zip(found, before, strict=True)) >= _CHANGE
        changed = moved and review.at_ms - deployment.updated_ms >= bandit.policy.hold_s * 1000
        if changed:
            try:
                _share(ws, deployment, bandit, found)
            except Conflict:
                continue  # somebody has just changed the routes: the next look sees what they are now
            reviews.append(replace(review, changed=True))
        else:
            reviews.append(_as_they_are(review, before))
    return reviews


@verb(permission="serving:read")
def bandit_arms(ws: Workspace, model: str) -> BanditReview | None:
    """What each version of the bandit of `model` has earned so far, and its share now; None when it has no bandit.

    Raises: NotFound when the model is not deployed.
    """
    deployment = get_deployment(ws, model)
    bandit = deployment.bandit
    return (
        None if bandit is None else _as_they_are(_reviewed(ws, deployment, bandit, None), _weights(deployment, bandit))
    )


def _reviewed(ws: Workspace, deployment: Deployment, bandit: Bandit, at_ms: int | None) -> BanditReview:
    """What was earned, and the shares that follow from it."""
    when = now_ms() if at_ms is None else at_ms
    window = int(bandit.policy.window_s * 1000)
    earned = _earned(ws, deployment, bandit, max(bandit.since_ms, when - window) if window else bandit.since_ms)
    found, best = shares(earned, bandit.policy)
    seen = [
        BanditArm(version=version, weight=share, rewards=one.n, mean=one.mean, best=chance)
        for version, share, one, chance in zip(bandit.versions, found, earned, best, strict=True)
    ]
    return BanditReview(model=deployment.model, changed=False, versions=seen, at_ms=when)


def _weights(deployment: Deployment, bandit: Bandit) -> list[float]:
    weight = {route.version: route.weight for route in deployment.routes if route.role != "shadow"}
    return [weight.get(version, 0.0) for version in bandit.versions]


def _as_they_are(review: BanditReview, weights: list[float]) -> BanditReview:
    return replace(review, versions=[replace(arm, weight=w) for arm, w in zip(review.versions, weights, strict=True)])


def _share(ws: Workspace, deployment: Deployment, bandit: Bandit, found: list[float]) -> None:
    def write(connection: sa.Connection) -> Deployment:
        now = store.read_deployment(connection, deployment.model)
        if now is None or now.generation != deployment.generation:
            raise Conflict(f"the deployment of '{deployment.model}' was changed at the same moment")
        changed = replace(now, routes=_routes(now, bandit.versions, found))
        # Going back leads to what was before the bandit, not to one of its shares.
        return record(ws, connection, changed, "bandit shares", now, back_to=bandit.before)

    ws.db.write(write)


def _routes(deployment: Deployment, versions: list[int], found: list[float]) -> list[Route]:
    shadows = [r for r in deployment.routes if r.role == "shadow" and r.version not in versions]
    rest = [round(share, 4) for share in found[1:]]
    champion = Route(version=versions[0], weight=max(0.0, 1 - math.fsum(rest)))
    others = [Route(version=v, weight=share, role="canary") for v, share in zip(versions[1:], rest, strict=True)]
    return [champion, *others, *shadows]


def _earned(ws: Workspace, deployment: Deployment, bandit: Bandit, since_ms: int) -> list[Earned]:
    import polars as pl

    frame = arms.rewarded(ws, deployment.model, requests_since(ws, deployment.model, bandit.since_ms), since_ms)
    return [_of_version(frame.filter(pl.col("version") == version)["reward"]) for version in bandit.versions]


def _of_version(rewards: pl.Series) -> Earned:
    squares = rewards * rewards
    return Earned(
        n=len(rewards), total=float(rewards.sum()), squares=float(squares.sum()),
        bounded=bool(((rewards >= 0) & (rewards <= 1)).all()),
    )  # fmt: skip
