"""What a point of a metric costs on disk, by kind of curve and in total, and how fast points are folded and read.

    python -m bench.tracking.points [--points 1e6] [--steps 10000] [--home FOLDER]

Runs of one metric of `--steps` points each, the kinds in turn, are written to a fresh SQLite workspace by the functions
the server uses for a request of 1,000 points, and folded when a run ends, as there. Every time of a point is the wall
clock of a training whose steps take 130 ms, give or take 10. "in total" is the database file when it is closed: rows of
runs and metrics, indexes and free pages included. The claim for 10⁹ points (100,000 runs of 10,000 steps) is measured
on a tenth, `--points 1e8`; that takes some minutes. With `--home` the workspace is kept, and the next call adds to it.
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

import homeostat as hs
from homeostat.tracking import store
from homeostat.tracking.codec import Journalled, encode_journal
from homeostat.tracking.folding import fold
from homeostat.tracking.metrics import points_of, put_points, summarised
from homeostat.tracking.mlflow.metrics import _written  # pyright: ignore[reportPrivateUsage]

Rng = np.random.Generator
Curve = Callable[[Rng, Any], Any]

_REQUEST = 1000
_LONG = 100_000


def single(values: Any) -> Any:
    """As 32-bit tensors give them."""
    return values.astype("f4").astype("f8")


def decay(rng: Rng, i: Any) -> Any:
    """A loss that falls, with noise that falls with it."""
    level = 0.1 + 2 / (1 + i / rng.uniform(200, 2000))
    return level * (1 + rng.normal(0, 0.05, len(i)))


def rising(rng: Rng, i: Any) -> Any:
    """A share of right answers that rises."""
    return 1 - 0.5 / (1 + i / rng.uniform(200, 2000))


def schedule(i: Any) -> Any:
    """Warm-up, then a cosine."""
    return np.where(i < 500, 1e-3 * i / 500, 0.5e-3 * (1 + np.cos(np.pi * (i - 500) / max(1, len(i) - 500))))


CURVES: dict[str, Curve] = {
    "loss, from 32 bits": lambda rng, i: single(decay(rng, i)),
    "loss, 64 bits": decay,
    "loss, smoothed": lambda rng, i: np.cumsum(decay(rng, i)) / (i + 1),
    "accuracy of 256": lambda rng, i: rng.binomial(256, rising(rng, i)) / 256,
    "accuracy of 391": lambda rng, i: rng.binomial(391, rising(rng, i)) / 391,
    "accuracy, 4 digits": lambda rng, i: np.round(np.clip(rising(rng, i) + rng.normal(0, 0.01, len(i)), 0, 1), 4),
    "norm of gradients": lambda rng, i: single(np.exp(rng.normal(0, 0.5, len(i)))),
    "learning rate": lambda rng, i: schedule(i),
    "tokens seen": lambda rng, i: i * 8192.0,
    "constant": lambda rng, i: np.full(len(i), 0.1),
}


def requests(key: str, rng: Rng, steps: int, curve: Curve) -> list[list[Journalled]]:
    """A run's points, as requests bring them."""
    i = np.arange(steps)
    times = 1_700_000_000_000 + np.cumsum(rng.normal(130, 10, steps)).astype("i8")
    rows = list(zip(i.tolist(), times.tolist(), curve(rng, i.astype("f8")).tolist(), strict=True))
    points = [Journalled(key, *row) for row in rows]
    return [points[start : start + _REQUEST] for start in range(0, steps, _REQUEST)]


def write(ws: hs.Workspace, id: str, batches: list[list[Journalled]]) -> None:
    """As the server writes requests of one run."""

    def put(c: Any) -> None:
        seq = store.seq_of(c, id)
        for points in batches:
            put_points(c, seq, encode_journal(points), summarised(points))
        pending = store.run.c.pending + sum(map(len, batches))
        c.execute(store.run.update().where(store.run.c.seq == seq).values(pending=pending))

    ws.db.write(put)


def fill(ws: hs.Workspace, runs: int, steps: int) -> tuple[float, float]:
    """Write and fold; seconds of processor for each."""
    rng = np.random.default_rng(
        ws.db.read(lambda c: c.exec_driver_sql("select count(*) from tracking_run").scalar_one())
    )
    names = list(CURVES)
    writing = folding = 0.0
    for number in range(runs):
        key = names[number % len(names)]
        batches = requests(key, rng, steps, CURVES[key])
        begun = time.process_time()
        id = ws.tracking.create_run().id
        write(ws, id, batches)
        written = time.process_time()
        fold(ws, id)
        writing += written - begun
        folding += time.process_time() - written
        if number % 1000 == 999:
            sys.stderr.write(f"{number + 1:,} of {runs:,} runs\n")
    return writing, folding


def read(ws: hs.Workspace) -> None:
    """How long a history of 100,000 points takes, of each of three kinds."""
    rng = np.random.default_rng(1)
    for name in ("loss, from 32 bits", "loss, 64 bits", "learning rate"):
        id = ws.tracking.create_run().id
        for batch in requests(name, rng, _LONG, CURVES[name]):
            write(ws, id, [batch])
        fold(ws, id)
        took: list[float] = []
        for _ in range(3):
            begun = time.process_time()
            points = ws.db.read(lambda c, id=id, name=name: points_of(c, store.seq_of(c, id), name))
            middle = time.process_time()
            _written(name, points, "")
            took.append(middle - begun)
        json = time.process_time() - middle
        print(
            f"a history of {len(points):,} points, {name}: {min(took) * 1e3:.0f} ms CPU, as JSON {json * 1e3:.0f} more"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=float, default=1e6)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--home", default="", help="a workspace that is kept; a temporary one when not named")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.home or temporary
        runs = max(1, round(args.points / args.steps))
        with hs.open(folder) as ws:
            writing, folding = fill(ws, runs, args.steps)
            query = "select key, sum(points), sum(length(payload)) from tracking_chunk group by key"
            by_key = ws.db.read(lambda c: {row[0]: tuple(row[1:]) for row in c.exec_driver_sql(query)})
            free = ws.db.read(lambda c: c.exec_driver_sql("pragma freelist_count").scalar_one()) * 4096
        size = sum(path.stat().st_size for path in Path(folder).glob("homeostat.db*"))
        for name in CURVES:
            if name in by_key:
                points, held = by_key[name]
                print(f"{name:22}{held / points:7.2f} bytes a point")
        total = sum(points for points, _ in by_key.values())
        held = sum(held for _, held in by_key.values())
        print(f"{'chunks together':22}{held / total:7.2f}")
        print(f"{'in total':22}{size / total:7.2f}  ({total:,} points, {size / 1e6:,.0f} MB, {free / 1e6:,.0f} free)")
        speeds = runs * args.steps / 1e6 / writing, runs * args.steps / 1e6 / folding
        print(f"written {speeds[0]:.2f}, folded {speeds[1]:.2f} million points a second of CPU")
    with tempfile.TemporaryDirectory() as fresh, hs.open(fresh) as ws:
        read(ws)


if __name__ == "__main__":
    main()
