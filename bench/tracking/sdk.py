"""What `run.log` costs the training that calls it: microseconds a call, and how far behind the workspace is.

    python -m bench.tracking.sdk [--calls 20000] [--mlflow PYTHON]

The run is on SQLite in a fresh folder, with its background thread sending as it does in use. `--mlflow` names a Python
that has the mlflow client: its `log_metric`, blocking (the default) and not, is measured the same way, on SQLite in a
fresh folder too, with fewer calls. Figures of one machine are compared with each other, in one run, interleaved.
CPU is of the calling thread; the mean holds the waiting for the interpreter while the background thread works, which
calls as close together as these make likely.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import homeostat as hs

Took = tuple[list[float], float, float]

MLFLOW = """
    import json, sys, time, logging, tempfile
    logging.disable(logging.CRITICAL)
    import mlflow
    mlflow.set_tracking_uri("sqlite:///" + tempfile.mkdtemp() + "/m.db")
    calls, wait = int(sys.argv[1]), sys.argv[2] == "blocking"
    with mlflow.start_run():
        mlflow.log_metric("loss", 0.0, step=0)
        took = []
        begun, cpu = time.perf_counter(), time.thread_time()
        for step in range(calls):
            before = time.perf_counter()
            mlflow.log_metric("loss", 0.5, step=step, synchronous=wait)
            took.append(time.perf_counter() - before)
        cpu = time.thread_time() - cpu
        if not wait:
            mlflow.flush_async_logging()
        whole = time.perf_counter() - begun
    print(json.dumps([took, cpu, whole]))
"""


def timed(call: Callable[[int], object], calls: int) -> list[float]:
    """Seconds of each call."""
    took: list[float] = []
    for step in range(calls):
        before = time.perf_counter()
        call(step)
        took.append(time.perf_counter() - before)
    return took


def ours(calls: int, keys: int, offline: bool) -> Took:
    """Seconds of each call, of the calling thread's processor for all, and until the workspace has everything."""
    values = {f"metric/{i}": 0.5 for i in range(keys)}
    with tempfile.TemporaryDirectory() as folder, hs.open(folder) as ws:
        with hs.run(ws=ws, offline=offline, surroundings=False, machine=False) as run:
            begun, cpu = time.perf_counter(), time.thread_time()
            took = timed(lambda step: run.log(values, step=step), calls)
            cpu = time.thread_time() - cpu
            run.flush()
            whole = time.perf_counter() - begun
        return took, cpu, whole


def theirs(python: str, calls: int, way: str) -> Took:
    """The same of the mlflow client."""
    script = textwrap.dedent(MLFLOW)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, "-c", script, str(calls), way], capture_output=True, text=True, check=True, cwd=folder
        )
    took, cpu, whole = json.loads(done.stdout.splitlines()[-1])
    return took, cpu, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mlflow", default="", help="a Python that has the mlflow client")
    args = parser.parse_args()
    few = max(args.calls // 20, 10)
    cases: dict[str, Callable[[], Took]] = {
        "run.log, 1 key": lambda: ours(args.calls, 1, False),
        "run.log, 10 keys": lambda: ours(args.calls, 10, False),
        "run.log, 1 key, offline": lambda: ours(args.calls, 1, True),
    }
    if args.mlflow and Path(args.mlflow).exists():
        cases["mlflow.log_metric"] = lambda: theirs(args.mlflow, few, "blocking")
        cases["mlflow.log_metric, async"] = lambda: theirs(args.mlflow, few, "async")
    found: dict[str, list[Took]] = {name: [] for name in cases}
    for _ in range(args.rounds):
        for name, case in cases.items():
            found[name].append(case())
    sys.stdout.write(f"{'':28}{'median µs':>11}{'CPU µs':>11}{'mean µs':>11}{'p99 µs':>11}{'sent, calls/s':>15}\n")
    for name, rounds in found.items():
        every = sorted(took for round_, _, _ in rounds for took in round_)
        rate = statistics.median(len(round_) / whole for round_, _, whole in rounds)
        cpu = statistics.median(seconds / len(round_) for round_, seconds, _ in rounds)
        row = (statistics.median(every), cpu, statistics.fmean(every), every[int(len(every) * 0.99)])
        sys.stdout.write(f"{name:28}" + "".join(f"{seconds * 1e6:11.1f}" for seconds in row) + f"{rate:15,.0f}\n")


if __name__ == "__main__":
    main()
