"""What a graph costs beside its members: CPU per one-row request of the data plane, at 1 and 64 in flight.

    python -m bench.serving.graphs [--requests 20000] [--trees 100]

The model of `bench.serving.one_row`, asked alone, as the only step of a graph, three times in an ensemble, behind a
switch; checks, metrics and prediction log on. And what one row of a lookup in a table of 100,000 rows takes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import homeostat as hs
from bench.serving.one_row import COLUMNS, cpu_s, package
from homeostat.registry import Field, put_package, register
from homeostat.serving import (
    Case,
    Ensemble,
    Lookup,
    Member,
    PredictionClient,
    Sequence,
    Supervisor,
    Switch,
    When,
    deploy,
    deploy_graph,
    endpoint,
    wait_ready,
)
from homeostat.serving.graphs.lookups import LookupTable


def deploy_all(ws: hs.Workspace, trees: int, scratch: Path) -> list[str]:
    """The model three times, and the graphs; the names that are asked."""
    folder = package(scratch / "package", trees)
    names = ["one", "two", "three"]
    for name in names:
        register(ws, name, put_package(ws, folder))
        deploy(ws, name)
    one, two = Member(name="one"), Member(name="two")
    graphs = {
        "sequence": Sequence(steps=[one]),
        "ensemble": Ensemble(members=[Member(name=name) for name in names]),
        "switch": Switch(cases=[Case(when=When(column="c0", op=">", value=0), then=one)], otherwise=two),
    }
    for name, graph in graphs.items():
        wait_ready(ws, name, deploy_graph(ws, name, graph).generation)
    return ["one", *graphs]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--trees", type=int, default=100)
    args = parser.parse_args()
    rows = np.random.default_rng(1).normal(size=(args.requests, 1, COLUMNS)).astype("f4")
    with tempfile.TemporaryDirectory() as scratch, hs.open(Path(scratch) / "home") as ws:
        supervisor = Supervisor(ws.url, port=18481)
        supervisor.start()
        try:
            supervisor.wait_listening()
            names = deploy_all(ws, args.trees, Path(scratch))
            print(f"{'asked':>10} {'in flight':>9} {'req/s':>8} {'server us':>10}   (CPU per request)")
            for connections in (1, 64):
                for name in names:
                    rate, server = measure(ws, supervisor.pids[0], name, connections, rows)
                    print(f"{name:>10} {connections:>9} {rate:8.0f} {server * 1e6:10.1f}")
            print(f"a row of a lookup: {lookup_us(ws):.1f} us")
        finally:
            supervisor.stop()


def measure(ws: hs.Workspace, pid: int, name: str, connections: int, rows: np.ndarray) -> tuple[float, float]:
    """Requests per second, and the server's CPU seconds for each."""
    count = len(rows) if connections > 1 else len(rows) // 4
    requests = [(f"{name}-{connections}-{at}", {"key": [at], "time": [at]}, rows[at]) for at in range(count)]
    with PredictionClient(endpoint(ws).rest_url, connections=connections, depth=1) as client:
        client.predict_many(name, requests[:200])
        server, started = cpu_s(pid), time.perf_counter()
        client.predict_many(name, requests)
        wall = time.perf_counter() - started
        client.flush(name)
        return count / wall, (cpu_s(pid) - server) / count


def lookup_us(ws: hs.Workspace) -> float:
    """Microseconds for one row of a lookup in a table of 100,000."""
    people = pl.DataFrame({"id": np.arange(100_000), "score": np.random.default_rng(0).normal(size=100_000)})
    ws.data.write_table("people", people)
    node = Lookup(table="people", key=["id"], columns=["score"])
    table = LookupTable(ws, node, [Field(name="score", dtype="FP64")])
    started = time.perf_counter()
    for key in range(20_000):
        table.rows.find([[key]])
    return (time.perf_counter() - started) / 20_000 * 1e6


if __name__ == "__main__":
    os.environ.setdefault("HOMEOSTAT_ACTOR", "bench")
    main()
