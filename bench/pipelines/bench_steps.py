"""What a step costs: a chain and a fan of steps that do nothing, each in a process of its own, and the same again when
nothing has changed. Run with `python bench/pipelines/bench_steps.py [STEPS]`.

Beside it stands what cannot be avoided on this machine: a fork and exec of a bare interpreter, and a durable commit.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import homeostat as hs

PIPELINE = """
import homeostat as hs

@hs.step
def plus_one(x: int) -> int:
    return x + 1

@hs.step
def several(start: int, number: int) -> int:
    return start + number

@hs.pipeline
def chain(steps: int, start: int):
    x = start
    for _ in range(steps):
        x = plus_one(x)
    return x

@hs.pipeline
def fan(steps: int, start: int):
    return [several(start, number) for number in range(steps)]
"""


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of `work` with its children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    wall, cpu = time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in usage)
    work()
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter() - wall, sum(u.ru_utime + u.ru_stime for u in usage) - cpu


def show(what: str, count: int, wall: float, cpu: float) -> None:
    print(f"{what:<34} {1000 * wall / count:9.2f} {1000 * cpu / count:9.2f} {1000 * wall:10.0f}")


def floors(folder: Path, count: int) -> None:
    """What nobody who starts a process and commits durably can go below."""
    show("bare interpreter (python -S -c '')", count, *measure(lambda: [_bare() for _ in range(count)]))
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute("create table t (x)")
    show("durable commit (SQLite, WAL)", count, *measure(lambda: [_commit(connection) for _ in range(count)]))


def _bare() -> None:
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)


def _commit(connection: sqlite3.Connection) -> None:
    connection.execute("insert into t values (1)")


def main(count: int) -> None:
    """Print one line for each case: milliseconds a step, wall and processor, and the whole in milliseconds."""
    print(f"{count} steps, {os.cpu_count()} cores      {'ms/step':>9} {'CPU ms':>9} {'total ms':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        floors(folder, count)
        (folder / "pipeline.py").write_text(PIPELINE)
        with hs.open(folder / "home") as ws:
            warm = {"steps": 1, "start": -1000}
            show("first run (starts the launcher)", 1, *measure(lambda: _run(ws, folder, "fan", warm)))
            for kind in ("chain", "fan"):
                params = {"steps": count, "start": 0 if kind == "chain" else 10**6}
                wall, _ = measure(lambda kind=kind, params=params: _run(ws, folder, kind, params))
                run = ws.pipelines.list_pipeline_runs(limit=1).runs[0]
                show(f"{kind}, executed (CPU: the steps')", count, wall, sum(s.cpu_ms for s in run.steps) / 1000)
                show(f"{kind}, again, all kept", count, *measure(lambda k=kind, p=params: _run(ws, folder, k, p)))


def _run(ws: hs.Workspace, folder: Path, kind: str, params: dict[str, int]) -> None:
    ws.pipelines.run_pipeline(f"pipeline:{kind}", params, project=str(folder))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
