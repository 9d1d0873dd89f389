"""What a swap of versions, a rollback and the prediction log cost while a data plane is fully loaded.

    python -m bench.serving.under_load [--rounds 5] [--connections 64]

A forest as ONNX, one-row JSON requests from `wrk`, validation and metrics on. Seconds of load alternate: in every other
one the version is swapped (odd rounds: `deploy`, even rounds: `rollback`) a third of a second after it began, and the
seconds beside it are left alone. Then seconds with the prediction log on (every row) and off (`log_share=0`) alternate;
the log's own thread and its flushes are in the server's CPU.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import homeostat as hs
from bench.serving import load
from bench.serving.against_peers import Target, ask, bodies, models, ours
from homeostat.serving import deploy, rollback, wait_ready


def median(found: list[dict[str, float]], what: str) -> float:
    """Of the seconds of one kind."""
    return statistics.median(cell[what] for cell in found)


def swaps(ws: hs.Workspace, target: Target, connections: int, rounds: int, scratch: Path) -> None:
    """Print failures and p99 of seconds with a swap beside seconds without."""
    calm: list[dict[str, float]] = []
    moved: list[dict[str, float]] = []
    generations: list[int] = []
    for turn in range(2 * rounds):
        calm.append(ask(target, "onnx", "oip", 1, connections, 1, scratch))

        def swap(turn: int = turn) -> None:
            to = deploy(ws, "forest", version=2) if turn % 2 == 0 else rollback(ws, "forest")
            generations.append(to.generation)

        timer = threading.Timer(0.33, swap)
        timer.start()
        moved.append(ask(target, "onnx", "oip", 1, connections, 1, scratch))
        timer.join()
        wait_ready(ws, "forest", generations[-1])
    failed = sum(int(cell["failed"]) for cell in calm + moved)
    asked = sum(int(cell["requests"]) for cell in moved)
    before, during = median(calm, "p99_ms"), median(moved, "p99_ms")
    worst = max(cell["p99_ms"] for cell in moved)
    print(
        f"{len(generations)} swaps within {asked} requests at {connections} in flight: {failed} failed; p99 "
        f"{before:.2f} ms without, {during:.2f} ms with ({during / before:.2f} times; worst second {worst:.2f} ms)"
    )


def log(ws: hs.Workspace, target: Target, connections: int, rounds: int, scratch: Path) -> None:
    """Print throughput and CPU with the prediction log beside those without."""
    cells: dict[float, list[dict[str, float]]] = {1.0: [], 0.0: []}
    for _ in range(rounds):
        for share, found in cells.items():
            wait_ready(ws, "forest", deploy(ws, "forest", version=1, log_share=share).generation)
            ask(target, "onnx", "oip", 1, connections, 1, scratch)
            found.append(ask(target, "onnx", "oip", 1, connections, 3, scratch))
    on, off = cells[1.0], cells[0.0]
    lost = 1 - median(on, "per_s") / median(off, "per_s")
    print(
        f"prediction log at {connections} in flight: {median(on, 'per_s'):.0f} requests/s with, "
        f"{median(off, 'per_s'):.0f} without ({lost:.1%} of throughput); server CPU {median(on, 'cpu_us'):.1f} and "
        f"{median(off, 'cpu_us'):.1f} us a request"
    )


def main() -> None:
    """Print two lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    load.needed()
    with tempfile.TemporaryDirectory() as folder, hs.open(Path(folder) / "home") as ws, ExitStack() as stack:
        scratch = Path(folder)
        models(ws, scratch)
        bodies(scratch)
        # The same package once more: a swap costs what it costs, whatever changed.
        first = ws.registry.get_version("forest", 1)
        ws.registry.register("forest", first.digest)
        target = ours(ws, scratch, stack, processes=1)
        wait_ready(ws, "forest", deploy(ws, "forest", version=1).generation)
        ask(target, "onnx", "oip", 1, args.connections, 2, scratch)
        swaps(ws, target, args.connections, args.rounds, scratch)
        log(ws, target, args.connections, args.rounds, scratch)


if __name__ == "__main__":
    main()
