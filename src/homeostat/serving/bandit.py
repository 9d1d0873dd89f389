"""How a bandit shares requests: each version gets the probability that it is the best (Thompson sampling). Pure.

The probability is that of drawing the highest mean from what the rewards say of each: of rewards within [0, 1] a Beta
distribution, begun at 1 and 1; of others a normal one around their mean, no narrower than one more reward at the mean
of all versions leaves it. Draws are repeated in the same way for the same rewards, so a share can be checked later.
After Thompson, On the likelihood that one unknown probability exceeds another (1933), and Scott, A modern Bayesian look
at the multi-armed bandit (2010).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record

if TYPE_CHECKING:
    import numpy as np

_DRAWS = 10_000


class BanditPolicy(Record):
    """How a bandit explores. `explore`: the part of the requests that is always shared equally, so that no version is
    given up for good. Until each has `min_rewards`, all of them are. Rewards of the last `window_s` seconds count, when
    it is not 0: what is best may change. Shares are set anew every `hold_s` seconds at most, and only when one of them
    changes by 2 points or more."""

    explore: float = 0.05
    min_rewards: int = 50
    window_s: float = 0.0
    hold_s: float = 30.0


class Earned(msgspec.Struct, frozen=True, kw_only=True):
    """The rewards of one version: how many, their sum and that of their squares, and whether all lie within [0, 1]."""

    n: int
    total: float
    squares: float
    bounded: bool

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0


def check_policy(policy: BanditPolicy) -> None:
    """InvalidInput unless the numbers make sense."""
    if not all(math.isfinite(number) for number in asdict(policy).values() if isinstance(number, float)):
        raise InvalidInput("a policy's numbers are finite", hint="leave one out for what it is by default")
    if not 0 <= policy.explore <= 1 or policy.min_rewards < 1 or policy.window_s < 0 or policy.hold_s < 0:
        raise InvalidInput("explore lies between 0 and 1, min_rewards is at least 1, window_s and hold_s at least 0")


def shares(earned: list[Earned], policy: BanditPolicy) -> tuple[list[float], list[float]]:
    """The share of each version, adding up to 1, and the probability of each to be the best.

    >>> worse, better = (Earned(n=1000, total=hits, squares=hits, bounded=True) for hits in (100, 150))
    >>> found, best = shares([worse, better], BanditPolicy(explore=0.1))
    >>> [round(share, 2) for share in found], best[1] > 0.99
    ([0.05, 0.95], True)
    """
    import numpy as np

    count = len(earned)
    draws = np.stack(_draws(earned, np.random.default_rng(0)))
    winners = np.bincount(draws.argmax(axis=0), minlength=count) / _DRAWS
    best: list[float] = winners.tolist()
    if min(one.n for one in earned) < policy.min_rewards:
        return [1 / count] * count, best
    return [(1 - policy.explore) * each + policy.explore / count for each in best], best


def _draws(earned: list[Earned], rng: np.random.Generator) -> list[np.ndarray]:
    if all(one.bounded for one in earned):
        return [rng.beta(1 + one.total, 1 + one.n - one.total, _DRAWS) for one in earned]
    n = max(1, sum(one.n for one in earned))
    middle = sum(one.total for one in earned) / n
    spread = max(0.0, sum(one.squares for one in earned) / n - middle * middle)
    drawn: list[np.ndarray] = []
    for one in earned:
        variance = max(0.0, one.squares / one.n - one.mean * one.mean) if one.n else 0.0
        center = (one.total + middle) / (one.n + 1)
        drawn.append(rng.normal(center, math.sqrt((one.n * variance + spread) / (one.n + 1) ** 2), _DRAWS))
    return drawn
