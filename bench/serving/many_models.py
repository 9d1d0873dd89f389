"""Many more models than fit in memory: what holding a request for its model costs, and whether the budget holds.

    python -m bench.serving.many_models [--models 1000] [--budget-mb 64] [--seconds 20]

Small ONNX models (a logistic function and a table of 100,000 numbers each) are deployed under a memory budget. Eight
clients ask them, first those that are in memory, then all of them with the popularity that Zipf's law gives, then all
equally often. Client and server share the machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

import homeostat as hs
from homeostat.core.records import to_json
from homeostat.registry import Field, OnnxReport, Package, Signature, put_package, register
from homeostat.serving import PredictionClient, Supervisor, deploy

PORT = 18481
CLIENTS = 8


def package(folder: Path) -> Path:
    """A graph with one input row of three columns, and weights that nothing but memory is needed for."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceSum", ["features", "axis"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["place"]),
        helper.make_node("Cast", ["place"], ["at"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "at"], ["probability"]),
    ]
    weights = [
        helper.make_tensor("table", TensorProto.FLOAT, [100_000], np.ones(100_000, "f4").tobytes(), raw=True),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])
    output = helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None])
    graph = helper.make_graph(nodes, "table", [features], [output], weights)
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    manifest = Package(
        format=1, flavor="onnx", file="model.onnx", environment=[], created_by="bench", sample=None,
        onnx=OnnxReport(available=True, agrees=True, tolerance=1e-5),
        signature=Signature(
            inputs=[Field(name=f"c{at}", dtype="FP32") for at in range(3)],
            outputs=[Field(name="probability", dtype="FP32")],
        ),
    )  # fmt: skip
    (folder / "model.json").write_text(to_json(manifest))
    return folder


def metric(name: str) -> float:
    """The sum of a metric's samples."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics").read().decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)


def load(choose: list[np.ndarray], seconds: float) -> tuple[int, list[float], float]:
    """Requests answered, their times in seconds, and the most memory that was seen, with a client for each choice."""
    times: list[float] = []
    most = 0.0
    stop = time.perf_counter() + seconds

    def ask(models: np.ndarray) -> None:
        rows = np.ones((1, 3), "f4")
        with PredictionClient(f"http://127.0.0.1:{PORT}", retry_s=0, connections=1) as client:
            for model in models:
                if time.perf_counter() > stop:
                    return
                began = time.perf_counter()
                client.predict(f"m{model}", rows)
                times.append(time.perf_counter() - began)

    threads = [threading.Thread(target=ask, args=(models,)) for models in choose]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, metric("homeostat_model_memory_bytes"))
        time.sleep(0.2)
    return len(times), times, most


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--budget-mb", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    os.environ["HOMEOSTAT_MEMORY_BUDGET_MB"] = str(args.budget_mb)
    with tempfile.TemporaryDirectory() as scratch, hs.open(Path(scratch) / "home") as ws:
        digest = put_package(ws, package(Path(scratch) / "package"))
        for at in range(args.models):
            register(ws, f"m{at}", digest)
            deploy(ws, f"m{at}")
        supervisor = Supervisor(ws.url, port=PORT)
        began = time.perf_counter()
        supervisor.start()
        try:
            supervisor.wait_listening()
            while metric("homeostat_models_deployed") < args.models:
                time.sleep(0.02)
            print(f"{args.models} deployments, started in {time.perf_counter() - began:.2f} s")
            random = np.random.default_rng(0)
            count = 200_000
            few = [random.integers(0, 4, count) for _ in range(CLIENTS)]
            popular = [np.minimum(random.zipf(1.2, count) - 1, args.models - 1) for _ in range(CLIENTS)]
            equal = [random.integers(0, args.models, count) for _ in range(CLIENTS)]
            print(f"{'asked':>10} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'loads/s':>8} {'held':>6} {'most MiB':>9}")
            for name, choose in (("four", few), ("by Zipf", popular), ("equally", equal)):
                loads, held = metric("homeostat_loads_total"), metric("homeostat_held_total")
                answered, times, most = load(choose, args.seconds)
                loads, held = metric("homeostat_loads_total") - loads, metric("homeostat_held_total") - held
                p50, p99 = np.percentile(times, [50, 99]) * 1000
                print(f"{name:>10} {answered / args.seconds:8.0f} {p50:8.2f} {p99:8.2f} {loads / args.seconds:8.1f} "
                      f"{held / answered:6.1%} {most / (1 << 20):9.1f}")  # fmt: skip
        finally:
            supervisor.stop()


if __name__ == "__main__":
    os.environ.setdefault("HOMEOSTAT_ACTOR", "bench")
    main()
