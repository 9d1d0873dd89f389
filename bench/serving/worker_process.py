"""What the process of a model costs by itself: CPU microseconds per batch, on both sides of the socket.

    python -m bench.serving.worker_process [--batches 3000] [--columns 64]

A function that sums each row runs in a worker process as pickled models do, without a data plane around it. Batches of
1, 32 and 1024 rows go through the message itself ("wire"), and through shared memory. What is counted is the CPU that
the scheduler gave each of the two processes, so others on the machine change little; ways alternate, medians of five.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.serving.one_row import cpu_s
from homeostat.registry import package_model
from homeostat.serving.package import read_package
from homeostat.serving.runtimes import wire
from homeostat.serving.runtimes.process import Order, ProcessRuntime

ROUNDS = 5
WAYS = {"wire": 1 << 40, "shared": 0}


def started(folder: Path, columns: int) -> ProcessRuntime:
    """The worker, as a model with an environment of its own has it."""
    package_model(lambda rows: rows.sum(axis=1), np.zeros((2, columns), "f4"), folder, onnx=False)
    package = read_package(folder)
    names = [(field.name, field.dtype) for field in package.signature.inputs]
    from homeostat.core.blobs import digest_of_file

    return ProcessRuntime(Order(
        how="file", folder=folder, file=package.file, recorded=digest_of_file(folder / package.file),
        flavor=package.flavor, inputs=names, outputs=[("prediction", "FP32")], matrix=True, python=Path(sys.executable),
    ))  # fmt: skip


def measure(runtime: ProcessRuntime, rows: np.ndarray, batches: int) -> tuple[float, float]:
    """CPU microseconds per batch: here, and in the worker."""
    runtime.run([rows])
    own, theirs = time.process_time(), cpu_s(runtime.pid)
    for _ in range(batches):
        runtime.run([rows])
    return (time.process_time() - own) / batches * 1e6, (cpu_s(runtime.pid) - theirs) / batches * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=3000)
    parser.add_argument("--columns", type=int, default=64)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runtime = started(Path(scratch) / "package", args.columns)
        try:
            print(f"{'rows':>5} {'way':>7} {'here us':>8} {'worker us':>9} {'us/batch':>9} {'us/row':>8}")
            for count in (1, 32, 1024):
                rows = np.random.default_rng(0).normal(size=(count, args.columns)).astype("f4")
                found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
                for _ in range(ROUNDS):
                    for way, limit in WAYS.items():
                        wire.INLINE_BYTES = limit
                        found[way].append(measure(runtime, rows, args.batches // ROUNDS))
                for way, cells in found.items():
                    here, there = (statistics.median(cell[side] for cell in cells) for side in (0, 1))
                    total = here + there
                    print(f"{count:>5} {way:>7} {here:>8.1f} {there:>9.1f} {total:>9.1f} {total / count:>8.2f}")
        finally:
            runtime.close()


if __name__ == "__main__":
    main()
