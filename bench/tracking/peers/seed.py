"""Many finished runs, the same on every server: into MLflow's tables directly, as its server would take minutes.

    python bench/tracking/peers/seed.py DATABASE_URL EXPERIMENT RUNS POINTS

is run by MLflow's own Python, and prints the id of the run that has `loss` at each of POINTS steps. Our server gets
the same through its API (`bench.tracking.asks`).
"""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

START_MS = 1_700_000_000_000


class Seed(NamedTuple):
    """One run: metrics at step 0, parameters and tags."""

    name: str
    start_ms: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


def seed(number: int) -> Seed:
    """The run of this number."""
    chance = random.Random(number)
    return Seed(
        name=f"run {number}",
        start_ms=START_MS + number * 1000,
        metrics={key: chance.random() for key in ("auc", "loss", "f1", "recall", "seconds")},
        params={key: str(chance.randrange(1000)) for key in ("lr", "depth", "leaves", "epochs", "seed")},
        tags={"mlflow.user": "ann", "mlflow.source.name": "train.py", "team": chance.choice(("red", "blue", "green"))},
    )


def curve(points: int) -> Iterator[tuple[int, int, float]]:
    """Step, time and value of the long history."""
    chance = random.Random(0)
    for step in range(points):
        yield step, START_MS + step * 20, 1 / (1 + step * 1e-3) + chance.random() * 0.1


def main(url: str, experiment: str, runs: int, points: int) -> None:
    """Write into the tables that MLflow's server has made."""
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    tables = sa.MetaData()
    tables.reflect(engine, only=["runs", "metrics", "latest_metrics", "params", "tags"])
    into: dict[str, list[dict[str, Any]]] = {name: [] for name in tables.tables}

    def add(one: Seed) -> str:
        run = uuid.uuid4().hex
        into["runs"].append({
            "run_uuid": run, "name": one.name, "source_type": "UNKNOWN", "source_name": "", "entry_point_name": "",
            "user_id": "ann", "status": "FINISHED", "start_time": one.start_ms, "end_time": one.start_ms + 500,
            "source_version": "", "lifecycle_stage": "active", "experiment_id": int(experiment),
            "artifact_uri": f"mlflow-artifacts:/{experiment}/{run}/artifacts",
        })  # fmt: skip
        for key, value in one.metrics.items():
            point = {"key": key, "value": value, "timestamp": one.start_ms, "step": 0, "is_nan": False, "run_uuid": run}
            into["metrics"].append(point)
            into["latest_metrics"].append(point)
        into["params"] += [{"key": key, "value": value, "run_uuid": run} for key, value in one.params.items()]
        tags = one.tags | {"mlflow.runName": one.name}
        into["tags"] += [{"key": key, "value": value, "run_uuid": run} for key, value in tags.items()]
        return run

    for number in range(runs):
        add(seed(number))
    long = add(Seed("long", START_MS - 1000, {}, {}, {}))
    curved = [
        {"key": "loss", "value": value, "timestamp": at, "step": step, "is_nan": False, "run_uuid": long}
        for step, at, value in curve(points)
    ]
    into["metrics"] += curved
    into["latest_metrics"] += curved[-1:]
    with engine.begin() as connection:
        for name in ("runs", "metrics", "latest_metrics", "params", "tags"):
            if into[name]:
                connection.execute(sa.insert(tables.tables[name]), into[name])
    sys.stdout.write(long)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
