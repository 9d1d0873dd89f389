"""The rows of the comparison: what is asked, what it has to be, and how a server is made ready for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.tracking.asks import POINTS
from bench.tracking.servers import ROOT, Server

Found = dict[str, float]  # "per_s", of whatever a row counts, and "cpu_s" of the server for one of it
BARE, DISK = "bare app", "disk"


@dataclass(frozen=True)
class Row:
    """One row: what each server is asked, and the bars: our rate (and CPU) against MLflow's, and against the limit.

    `unit`: "/s" shows rates; "ms", "s" and "MB" show what one operation takes. `limit` is what only the bare app or
    the disk can do, `share` the part of it that we have to reach; `either`: one of the two bars is enough.
    """

    name: str
    ask: Callable[[Server, float], Found]
    times: float
    unit: str = "/s"
    times_cpu: float = 0.0
    limit: str = ""
    share: float = 0.0
    either: bool = False


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


ROWS = {
    "metric-1": Row("log-metric, 1 client", metric(1), 15, times_cpu=20, limit=BARE, share=0.6),
    "metric-8": Row("log-metric, 8 clients", metric(8), 15, times_cpu=20, limit=BARE, share=0.6),
    "batch": Row("log-batch of 1,000, points", batch, 15),
    "create": Row("runs/create", create, 12),
}
