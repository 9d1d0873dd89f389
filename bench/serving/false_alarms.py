"""How often equal versions are told apart, and how soon a drop is seen, by simulation of a canary's test.

    python -m bench.serving.false_alarms [--runs 1000] [--requests 20000] [--looks 100] [--drop 0.02]

Every run sends requests to a champion and a canary with a quarter of the traffic: one in a hundred fails, one in
twenty is slow, four in five are rewarded. After each look's requests the canary is judged as `review_canaries` judges
it, and a run counts when it is rolled back at any look. With equal versions at most 5 % of the runs may.
"""

from __future__ import annotations

import argparse

import numpy as np

from homeostat.serving.canary import CanaryPolicy, Seen, judge
from homeostat.serving.sequential import Arm

WEIGHT = 0.25


def rolled_back(rng: np.random.Generator, requests: int, looks: int, drop: float, policy: CanaryPolicy) -> int:
    """The number of requests after which the canary was rolled back; 0 when it never was."""
    canary = rng.random(requests) < WEIGHT
    failed = rng.random(requests) < 0.01
    slow = rng.random(requests) < 0.05
    reward = rng.random(requests) < np.where(canary, 0.8 - drop, 0.8)
    for look in range(1, looks + 1):
        stop = requests * look // looks
        own = canary[:stop]
        n, others = int(own.sum()), stop - int(own.sum())
        hits = [(int(x[:stop][own].sum()), int(x[:stop].sum())) for x in (failed, slow, reward)]
        seen = Seen(
            answered=Arm.of_share(n, hits[0][0]),
            answered_by_champion=Arm.of_share(others, hits[0][1] - hits[0][0]),
            errors=[(hits[0][0], hits[0][1], WEIGHT)],
            slow=[(hits[1][0], hits[1][1], WEIGHT)],
            rewards=Arm.of_share(n, hits[2][0]),
            rewards_of_champion=Arm.of_share(others, hits[2][1] - hits[2][0]),
            step_requests=n,
            step_s=0.0,
        )
        if judge(seen, policy).action == "roll_back":
            return stop
    return 0


def main() -> None:
    """Print both rates."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--looks", type=int, default=100)
    parser.add_argument("--drop", type=float, default=0.02)
    args = parser.parse_args()
    policy = CanaryPolicy()
    for drop, requests in ((0.0, args.requests), (args.drop, 10 * args.requests)):
        rng = np.random.default_rng(1)
        ends = [rolled_back(rng, requests, args.looks, drop, policy) for _ in range(args.runs if not drop else 100)]
        stopped = sorted(end for end in ends if end)
        said = f", half of them within {stopped[len(stopped) // 2]:,} requests" if stopped else ""
        print(f"drop {drop:.0%}: {len(stopped)} of {len(ends)} rolled back ({len(stopped) / len(ends):.1%}){said}")


if __name__ == "__main__":
    main()
