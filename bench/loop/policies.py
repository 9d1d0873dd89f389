"""When to learn again: never, every fortnight, on PSI, or by the loop's rules. On the flights of 2013.

`python -m bench.loop.policies [--home DIR]`: with a home in which the demo has run, its features are used; otherwise
they are computed first. Every policy starts with the model of January and February and lives from March to December;
what it serves is scored with the truth of those months. The loop's policy is the product's own code: `decide`, `judge`,
and the canary's `move` on real paired losses, a look a day.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import homeostat as hs
from homeostat.cli.demo.project import find_project, load_module
from homeostat.loop.canary import CanaryRule, move
from homeostat.loop.decide import ReviewRule, decide
from homeostat.loop.facts import CanaryFacts, Gap, JudgeFacts, Labels, Paired, ReviewFacts
from homeostat.loop.judge import JudgeRule, judge
from homeostat.monitoring.auc import auc
from homeostat.monitoring.auc_gap import auc_gap
from homeostat.monitoring.profile import profile, recount
from homeostat.monitoring.psi import psi
from homeostat.monitoring.row_loss import log_losses
from homeostat.monitoring.sequence import mean_sequence

DAY = 86_400_000
JANUARY, MARCH, END = 1_356_998_400_000, 1_362_096_000_000, 1_388_534_400_000
EVERY = JUDGE = 14 * DAY
WITHIN = DAY


class Flights:
    """All flights with their features; models fitted on what was known by a moment, kept by moment."""

    def __init__(
        self, rows: pl.DataFrame, names: list[str], fit: Callable[[pl.DataFrame, dict[str, Any]], Any]
    ) -> None:
        self.rows = rows.sort("predict_ms")
        self.names = names
        self.x = self.rows.select(pl.col(names).cast(pl.Float32)).to_numpy()
        self.y = self.rows["late"].to_numpy()
        self.time = self.rows["predict_ms"].to_numpy()
        self.known = self.rows["label_ms"].to_numpy()
        self._fit = fit
        self._scores: dict[tuple[int, int], np.ndarray[Any, Any]] = {}

    def scores(self, until: int, since: int = 0) -> np.ndarray[Any, Any]:
        """What a model of everything asked from `since` on and known before `until` says to every flight."""
        if (until, since) not in self._scores:
            rows = self.rows.filter(pl.Series((self.known < until) & (self.time >= since)))
            self._scores[until, since] = self._fit(rows, {"num_threads": 1}).predict(self.x, num_threads=1)
        return self._scores[until, since]

    def between(self, first: int, last: int, known_by: int) -> np.ndarray[Any, Any]:
        return (self.time >= first) & (self.time < last) & (self.known < known_by)


class Outcome:
    """What a policy served, how often it learnt, and what it did in March."""

    def __init__(self, flights: Flights) -> None:
        self.served = flights.scores(MARCH).copy()
        self.trainings: list[int] = []
        self.versions = 1

    def switch(self, flights: Flights, until: int, at: int, since: int = 0) -> None:
        later = flights.time >= at
        self.served[later] = flights.scores(until, since)[later]


def never(flights: Flights) -> Outcome:
    return Outcome(flights)


def always(flights: Flights, last: int | None = None) -> Outcome:
    """Learn again every fortnight, untested: from all that is known, or from the `last` ms."""
    out = Outcome(flights)
    for at in range(MARCH + EVERY, END, EVERY):
        out.trainings.append(at)
        out.versions += 1
        out.switch(flights, at, at, at - last if last else 0)
    return out


def always_recent(flights: Flights) -> Outcome:
    return always(flights, 60 * DAY)


def on_psi(flights: Flights) -> Outcome:
    """Learn again, untested, whenever a column's PSI against the last training rows exceeds 0.2."""
    out = Outcome(flights)
    since = MARCH
    for at in range(MARCH + EVERY, END, EVERY):
        past, now = flights.rows.filter(pl.Series(flights.known < since)), flights.between(at - EVERY, at, END * 2)
        reference = profile(past, past["predict_ms"].to_numpy(), flights.names, 400 * DAY)
        window = flights.rows.filter(pl.Series(now))
        counted = recount(reference, window, window["predict_ms"].to_numpy())
        found = [
            psi(np.sum(old.counts, axis=0).astype(float), np.sum(new.counts, axis=0).astype(float))
            for old, new in zip(reference.columns, counted.columns, strict=True)
        ]
        if max(found) > 0.2:
            out.trainings.append(at)
            out.versions += 1
            since = at
            out.switch(flights, at, at)
    return out


def by_the_loop(flights: Flights) -> Outcome:
    """The product's own rules: look, judge, let in by steps."""
    out = Outcome(flights)
    champion, offers = MARCH, 0
    for at in range(MARCH + EVERY, END, EVERY):
        matured = at - WITHIN
        until = matured - JUDGE
        gap = _gap(flights, champion, until, at)
        facts = ReviewFacts(
            model="flights", at_ms=at, champion=1, champion_since_ms=MARCH, variables=[], faults=[], gap=gap, moved=[],
            columns=0, estimated=[], labels=Labels(matured=gap.n, since=gap.n, overdue=0.0, predictions=gap.n),
            retrains_ms=out.trainings, pipeline="pipeline:train",
        )  # fmt: skip
        if decide(facts, ReviewRule()).kind != "retrain":
            continue
        out.trainings.append(at)
        verdict = judge(
            JudgeFacts(
                model="flights", at_ms=at, champion=1, challenger=2, learnt="all history", gap=gap, slices=[],
                calibration=None, latency=None, size=None, explained="yes", top_feature=None, gates_failed=[],
                offers_before=offers,
            ),
            JudgeRule(),
        )  # fmt: skip
        offers += 1
        if verdict.kind == "promote" and _let_in(flights, out, champion, until, at):
            champion, offers = until, 0
            out.versions += 1
    return out


def _gap(flights: Flights, champion: int, until: int, at: int) -> Gap:
    rows = flights.between(until, at - WITHIN, at)
    old, new = flights.scores(champion)[rows], flights.scores(until)[rows]
    found = auc_gap(flights.y[rows], old, new, flights.time[rows] // DAY, level=0.95)
    return Gap(
        champion=found.champion, challenger=found.challenger, value=found.gap.value, lo=found.gap.lo, hi=found.gap.hi,
        se=found.gap.se, n=found.gap.n, days=found.blocks, from_ms=until, to_ms=at - WITHIN,
    )  # fmt: skip


def _let_in(flights: Flights, out: Outcome, champion: int, until: int, started: int) -> bool:
    """The canary day by day; the share of flights that meets it is drawn by a hash of the row."""
    rule = CanaryRule(step_every_ms=DAY)
    step, since = 0, started
    draw = (np.arange(flights.time.size) * 2_654_435_761 % 2**32) / 2**32
    for day in range(started, started + 15 * DAY, DAY):
        today = (flights.time >= day) & (flights.time < day + DAY) & (draw < rule.steps[step])
        out.served[today] = flights.scores(until)[today]
        at = day + DAY
        facts = CanaryFacts(
            model="flights", at_ms=at, champion=1, canary=2, step=step, step_since_ms=since, started_ms=started,
            since=_paired(flights, champion, until, started, at), together=_paired(flights, champion, until, until, at),
            served=0, failed=0, champion_served=0, champion_failed=0, p99=None, champion_p99=None,
        )  # fmt: skip
        action = move(facts, rule).action
        if action == "roll_back":
            return False
        if action == "step":
            step, since = step + 1, at
            if rule.steps[step] >= 1.0:
                out.switch(flights, until, at)
                return True
    return False


def _paired(flights: Flights, champion: int, until: int, first: int, at: int) -> Paired | None:
    rows = flights.between(first, at - WITHIN, at)
    if rows.sum() < 2:
        return None
    y = flights.y[rows]
    difference = log_losses(y, flights.scores(until)[rows]) - log_losses(y, flights.scores(champion)[rows])
    hours = flights.time[rows] // 3_600_000
    found = mean_sequence(difference, int(rows.sum()), blocks=hours)
    return Paired(mean=found.value, se=found.se, n=found.n, blocks=len(np.unique(hours))) if found.known else None


POLICIES = {
    "never": never,
    "every fortnight": always,
    "…, last 60 days": always_recent,
    "PSI > 0.2": on_psi,
    "the loop": by_the_loop,
}


def features_of(home: Path) -> tuple[pl.DataFrame, list[str], Callable[[pl.DataFrame, dict[str, Any]], Any]]:
    project = find_project("flights")
    names = load_module(project, "features").FEATURES
    with hs.open(home) as ws:
        if not any(table.name == "flight_features" for table in ws.data.list_tables()):
            ws.pipelines.run_pipeline("pipeline:prepare", project=str(project))
        columns = ["predict_ms", "label_ms", "late", *names]
        return ws.data.read_table("flight_features", columns=columns), names, load_module(project, "model").fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a home in which the demo has run")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        flights = Flights(*features_of(args.home or Path(folder)))
    months = pl.from_epoch(pl.Series(flights.time), time_unit="ms").dt.month().to_numpy()
    print(f"{'':18}" + "".join(f"{m:>7}" for m in range(3, 13)) + "   mean  trained  in March   CPU s")
    baseline: list[float] = []
    for name, policy in POLICIES.items():
        started = time.process_time()
        out = policy(flights)
        took = time.process_time() - started
        values = [auc(flights.y[months == m], out.served[months == m]) for m in range(3, 13)]
        baseline = baseline or values
        mean = float(np.mean(values))
        march = sum(1 for at in out.trainings if at < MARCH + 31 * DAY)
        line = "".join(f"{v:7.3f}" for v in values)
        print(f"{name:18}{line}  {mean:.4f}  {len(out.trainings):7} {march:9} {took:7.0f}")
        gains = [v - b for v, b in zip(values, baseline, strict=True)]
        print(f"{'  against never':18}" + "".join(f"{g:+7.3f}" for g in gains) + f"  {np.mean(gains):+.4f}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
