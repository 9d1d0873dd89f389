"""The rows of the comparison: what is asked, what it has to be, and how a server is made ready for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.tracking.artifacts import path_of, sent
from bench.tracking.asks import POINTS
from bench.tracking.servers import BARE, DEFAULT, ONE, ROOT, Server, settle

Found = dict[str, float]  # "per_s", of whatever a row counts, and "cpu_s" of the server for one of it
DISK = "disk"
RUNS, HISTORY = 10_000, 100_000


@dataclass(frozen=True)
class Row:
    """One row: what each server is asked, and the bars: our rate (and CPU) against MLflow's, and against the limit.

    `unit`: "/s" shows rates; "ms", "s" and "MB" show what one operation takes. `limit` is what only the bare app or
    the disk can do, `share` the part of it that we have to reach; `either`: one of the two bars is enough. `against`:
    the servers that the bar is set against.
    """

    name: str
    ask: Callable[[Server, float], Found]
    times: float
    unit: str = "/s"
    times_cpu: float = 0.0
    limit: str = ""
    share: float = 0.0
    either: bool = False
    against: tuple[str, ...] = (ONE, DEFAULT)


def asked(server: Server, job: dict[str, Any], seconds: float, most: int = 0, weight: int = 1) -> Found:
    """Ask `server`; `weight` is what one operation counts."""
    command = [sys.executable, "-m", "bench.tracking.asks", str(server.port), json.dumps(job), "--seconds",
               str(seconds), "--most", str(most)]  # fmt: skip
    before = server.cpu_s()
    done = subprocess.run(command, capture_output=True, cwd=ROOT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{server.name}, {job['ask']}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    if found["failed"]:
        raise SystemExit(f"{server.name}, {job['ask']}: {found['failed']} of {found['requests']} requests failed")
    count = found["operations"] * weight
    server.asked += found["operations"]
    return {"per_s": found["per_s"] * weight, "cpu_s": (server.cpu_s() - before) / count, "p50_ms": found["p50_ms"]}


def experiment_of(server: Server) -> str:
    """The experiment that everything here goes into."""
    if "experiment" not in server.made:
        server.made["experiment"] = server.call("experiments/create", {"name": "bench"})["experiment_id"]
    return server.made["experiment"]


def runs_of(server: Server, count: int) -> list[str]:
    """Ids of runs that are there; the bare app takes any."""
    made: list[str] = server.made.setdefault("runs", [])
    while len(made) < count:
        if server.name == BARE:
            made.append(f"{len(made):032x}")
        else:
            answer = server.call(
                "runs/create", {"experiment_id": experiment_of(server), "start_time": 1_700_000_000_000}
            )
            made.append(answer["run"]["info"]["run_id"])
    return made[:count]


def metric(connections: int) -> Callable[[Server, float], Found]:
    """`log-metric`, each connection for a run of its own."""

    def ask(server: Server, seconds: float) -> Found:
        job = {"ask": "metric", "runs": runs_of(server, connections), "start": server.asked}
        return asked(server, job, seconds)

    return ask


def batch(server: Server, seconds: float) -> Found:
    """`log-batch` with a thousand points; points are counted."""
    job = {"ask": "batch", "runs": runs_of(server, 1), "start": server.asked}
    return asked(server, job, seconds, weight=POINTS)


def create(server: Server, seconds: float) -> Found:
    """`runs/create`."""
    job = {"ask": "create", "experiment": experiment_of(server), "connections": 1, "start": server.asked}
    return asked(server, job, seconds)


def seeded(server: Server) -> str:
    """The experiment with many runs, which are made on first use."""
    if "seeded" not in server.made:
        experiment = server.call("experiments/create", {"name": "seeded"})["experiment_id"]
        if server.python:
            command = [server.python, str(ROOT / "bench/tracking/peers/seed.py"), server.database, experiment,
                       str(RUNS), str(HISTORY)]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        else:
            job = {"ask": "seed", "experiment": experiment, "count": RUNS, "points": HISTORY}
            asked(server, job, 600)
        settle(server, 15)  # what ten thousand runs leave to be done behind them is not what a search costs
        server.made["seeded"] = experiment
    return server.made["seeded"]


def find(server: Server, seconds: float) -> Found:
    """`runs/search` with a filter on a metric and an order by another."""
    body = {"experiment_ids": [seeded(server)], "filter": "metrics.auc > 0.5", "order_by": ["metrics.loss ASC"],
            "max_results": 100}  # fmt: skip
    return asked(server, {"ask": "search", "body": body}, seconds)


def page(server: Server, seconds: float) -> Found:
    """A page of a thousand runs behind five thousand others, ordered by a metric."""
    body: dict[str, Any] = {"experiment_ids": [seeded(server)], "order_by": ["metrics.loss ASC"]}
    if "token" not in server.made:
        server.made["token"] = server.call("runs/search", body | {"max_results": 5000})["next_page_token"]
    body |= {"max_results": 1000, "page_token": server.made["token"]}
    return asked(server, {"ask": "search", "body": body}, seconds)


def history(server: Server, seconds: float) -> Found:
    """The whole history of a metric, as the client asks for it."""
    experiment = seeded(server)
    if "long" not in server.made:
        body = {"experiment_ids": [experiment], "filter": "attributes.run_name = 'long'", "max_results": 1}
        server.made["long"] = server.call("runs/search", body)["runs"][0]["info"]["run_id"]
    job = {"ask": "history", "run": server.made["long"], "key": "loss", "points": HISTORY}
    return asked(server, job, seconds)


def register(server: Server, seconds: float) -> Found:
    """A version made of a run's model, an alias moved to it, the alias resolved."""
    if "model" not in server.made:
        experiment, run = experiment_of(server), runs_of(server, 1)[0]
        server.put(f"{experiment}/{run}/artifacts/model/MLmodel", b"flavors:\n  python_function:\n    data: model\n")
        server.call("registered-models/create", {"name": "bench"})
        server.made["model"] = f"mlflow-artifacts:/{experiment}/{run}/artifacts/model"
    job = {"ask": "register", "model": "bench", "source": server.made["model"], "run": runs_of(server, 1)[0]}
    return asked(server, job, seconds)


def artifact(way: str) -> Callable[[Server, float], Found]:
    """A large artifact through the server, up or down."""

    def ask(server: Server, seconds: float) -> Found:
        path = path_of(experiment_of(server), runs_of(server, 1)[0])
        if way == "down" and "large" not in server.made:
            sent(server, "up", path)
        server.made["large"] = path
        return sent(server, way, path)

    return ask


def start(server: Server, seconds: float) -> Found:
    """How long a server took on an empty folder until it answered."""
    return {"per_s": 1 / server.started_s, "cpu_s": server.started_cpu_s}


def memory(server: Server, seconds: float) -> Found:
    """What it holds then, megabytes of all its processes."""
    return {"per_s": 1e6 / server.memory_bytes()}


ROWS = {
    "metric-1": Row("log-metric, 1 client", metric(1), 15, times_cpu=20, limit=BARE, share=0.6),
    "metric-8": Row("log-metric, 8 clients", metric(8), 15, times_cpu=20, limit=BARE, share=0.6),
    "batch": Row("log-batch of 1,000, points", batch, 15),
    "create": Row("runs/create", create, 12),
    "search": Row("runs/search of 10,000, filter and order by metrics", find, 50, "ms"),
    "page": Row("1,000 runs at offset 5,000, ordered by a metric", page, 50, "ms"),
    "history": Row("get-history of 100,000 points", history, 15, "ms"),
    "register": Row("register, alias, resolve", register, 12),
    "upload": Row("artifact of 100 MB up", artifact("up"), 1.5, "MB/s", limit=DISK, share=1 / 1.3, either=True),
    "download": Row("artifact of 100 MB down", artifact("down"), 1.5, "MB/s", limit=DISK, share=1 / 1.3, either=True),
    "start": Row("from start to healthy, empty folder", start, 10, "s"),
    "memory": Row("memory at rest", memory, 10, "MB", against=(DEFAULT,)),
}
AT_START = ("start", "memory")
