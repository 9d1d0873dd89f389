"""The judgement of a canary: errors, latency, and the rewards that feedback or labels bring. Pure.

Three tests share the false-alarm rate `alpha` of the policy, each valid at every look (see `sequential`), so equal
versions are rolled back with probability at most `alpha` over the whole life of the canary.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
from msgspec.structs import asdict

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.serving.sequential import Arm, difference, race

Action = Literal["wait", "step", "promote", "roll_back"]


class CanaryPolicy(Record):
    """When a canary is given more traffic, and when it is taken back.

    `weights`: its shares, one after another; 1 ends it as the champion. A step is taken after `min_requests` answers of
    the canary and `hold_s` seconds at the present one, once an error rate higher by `error_margin` or more is excluded,
    and, where `min_rewards` of each version are asked for, also a mean reward lower by `reward_margin` or more.
    It is rolled back when it is shown to fail more often, to be slow more than `slow_ratio` times as often as the
    champion (slow: beyond the champion's 95th percentile before), or to earn less. `alpha`: the probability that this
    happens to a canary that is no worse.
    """

    weights: list[float] = msgspec.field(default_factory=lambda: [0.01, 0.05, 0.25, 1.0])
    min_requests: int = 500
    hold_s: float = 60.0
    error_margin: float = 0.01
    slow_ratio: float = 2.0
    min_rewards: int = 0
    reward_margin: float = 0.02
    alpha: float = 0.05


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What has been seen of both versions since the canary began. `errors` and `slow` as `race` takes them."""

    answered: Arm
    answered_by_champion: Arm
    errors: list[tuple[int, int, float]]
    slow: list[tuple[int, int, float]]
    rewards: Arm
    rewards_of_champion: Arm
    step_requests: int
    step_s: float


class Judgement(Record):
    """What to do with a canary, and why in one sentence. The intervals are canary minus champion, valid at any time;
    None while there is too little to bound them. `errors_evidence` and `slow_evidence`: 1/alpha or more is proof."""

    action: Action
    reason: str
    errors_evidence: float
    slow_evidence: float
    error_rate_lo: float | None
    error_rate_hi: float | None
    reward_lo: float | None
    reward_hi: float | None


def check_policy(policy: CanaryPolicy) -> None:
    """InvalidInput unless the weights rise within (0, 1] and the numbers make sense."""
    weights = policy.weights
    if not weights or not all(a < b for a, b in zip([0.0, *weights], weights, strict=False)) or weights[-1] > 1:
        raise InvalidInput(f"the weights {weights} do not rise from above 0 to at most 1", hint="such as 0.01, 0.1, 1")
    if not all(math.isfinite(number) for number in asdict(policy).values() if isinstance(number, float)):
        raise InvalidInput("a policy's numbers are finite", hint="leave one out for what it is by default")
    if not 0 < policy.alpha < 1 or policy.min_requests < 1 or policy.slow_ratio < 1 or policy.hold_s < 0:
        raise InvalidInput("alpha lies between 0 and 1, min_requests and slow_ratio are at least 1, hold_s at least 0")


def judge(seen: Seen, policy: CanaryPolicy) -> Judgement:
    """Whether the canary goes back, goes on, or waits."""
    alpha = policy.alpha / 3
    errors, slow = race(seen.errors), race(seen.slow, policy.slow_ratio)
    error_lo, error_hi = difference(seen.answered, seen.answered_by_champion, alpha)
    reward_lo, reward_hi = difference(seen.rewards, seen.rewards_of_champion, alpha)

    def found(action: Action, reason: str) -> Judgement:
        known = error_hi < float("inf"), reward_hi < float("inf")
        return Judgement(
            action=action, reason=reason, errors_evidence=min(errors, 1e9), slow_evidence=min(slow, 1e9),
            error_rate_lo=error_lo if known[0] else None, error_rate_hi=error_hi if known[0] else None,
            reward_lo=reward_lo if known[1] else None, reward_hi=reward_hi if known[1] else None,
        )  # fmt: skip

    if errors >= 1 / alpha:
        return found("roll_back", f"it fails more often: {seen.answered.mean:.2%} of its requests, "
                     f"{seen.answered_by_champion.mean:.2%} of the champion's")  # fmt: skip
    if slow >= 1 / alpha:
        return found("roll_back", f"it is slow more than {policy.slow_ratio:g} times as often as the champion")
    if reward_hi < 0:
        return found("roll_back", f"it earns less: {seen.rewards.mean:.4g} a request, the champion "
                     f"{seen.rewards_of_champion.mean:.4g}")  # fmt: skip
    if seen.step_requests < policy.min_requests:
        return found("wait", f"it has answered {seen.step_requests} of {policy.min_requests} requests of this step")
    if seen.step_s < policy.hold_s:
        return found("wait", f"this step lasts {seen.step_s:.0f} of {policy.hold_s:g} seconds")
    if error_hi > policy.error_margin:
        return found("wait", f"an error rate higher by {policy.error_margin:.1%} is not excluded yet")
    if policy.min_rewards:
        fewest = min(seen.rewards.n, seen.rewards_of_champion.n)
        if fewest < policy.min_rewards:
            return found("wait", f"{fewest} of {policy.min_rewards} rewards of each version have arrived")
        if reward_lo < -policy.reward_margin:
            return found("wait", f"a reward lower by {policy.reward_margin:g} is not excluded yet")
    return found("step", "nothing speaks against it")
