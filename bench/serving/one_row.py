"""One-row requests in binary mode: CPU per request of the data plane and of the client, at 1, 16 and 64 in flight.

    python -m bench.serving.one_row [--requests 20000] [--trees 100]

The model is a LightGBM classifier of 40 columns, converted to ONNX, with signature check, routing, metrics and the
prediction log on. Server and client share the machine, so requests per second say less than the CPU columns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

import homeostat as hs
from homeostat.core.records import to_json
from homeostat.registry import Field, OnnxReport, Package, Signature, put_package, register
from homeostat.serving import PredictionClient, Supervisor, deploy, endpoint, wait_ready

COLUMNS = 40


def package(folder: Path, trees: int) -> Path:
    """A LightGBM model in ONNX with one output, the positive class's probability."""
    import lightgbm as lgb
    import onnx
    from onnx import TensorProto, helper
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, COLUMNS))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + rng.normal(size=4000)) > 0
    booster = lgb.train({"objective": "binary", "verbose": -1, "num_threads": 2}, lgb.Dataset(x, y), trees)
    model = convert_lightgbm(
        booster, initial_types=[("features", FloatTensorType([None, COLUMNS]))], zipmap=False, target_opset=15
    )
    graph = model.graph
    graph.initializer.append(helper.make_tensor("positive", TensorProto.INT64, [1], [1]))
    graph.initializer.append(helper.make_tensor("flat", TensorProto.INT64, [1], [-1]))
    graph.node.append(helper.make_node("Gather", ["probabilities", "positive"], ["column"], axis=1))
    graph.node.append(helper.make_node("Reshape", ["column", "flat"], ["probability"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None]))
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    manifest = Package(
        format=1, flavor="onnx", file="model.onnx", environment=[], created_by="bench", sample=None,
        onnx=OnnxReport(available=True, agrees=True, tolerance=1e-5),
        signature=Signature(
            inputs=[Field(name=f"c{at}", dtype="FP32") for at in range(COLUMNS)],
            outputs=[Field(name="probability", dtype="FP32")],
        ),
    )  # fmt: skip
    (folder / "model.json").write_text(to_json(manifest))
    return folder


def cpu_s(pid: int) -> float:
    """CPU seconds of a process with all its threads, from the scheduler's nanoseconds where there are some."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--trees", type=int, default=100)
    args = parser.parse_args()
    rows = np.random.default_rng(1).normal(size=(args.requests, 1, COLUMNS)).astype("f4")
    with tempfile.TemporaryDirectory() as scratch, hs.open(Path(scratch) / "home") as ws:
        register(ws, "bench", put_package(ws, package(Path(scratch) / "package", args.trees)))
        supervisor = Supervisor(ws.url, port=18480)
        supervisor.start()
        try:
            supervisor.wait_listening()
            wait_ready(ws, "bench", deploy(ws, "bench").generation)
            print(f"{'in flight':>9} {'req/s':>8} {'server us':>10} {'client us':>10}   (CPU per request)")
            for connections, depth in ((1, 1), (16, 1), (64, 1), (8, 8)):
                count = args.requests if connections * depth > 1 else args.requests // 4
                with PredictionClient(endpoint(ws).rest_url, connections=connections, depth=depth) as client:
                    requests = [
                        (f"{connections}-{depth}-{at}", {"key": [at], "time": [at]}, rows[at]) for at in range(count)
                    ]
                    client.predict_many("bench", requests[:200])
                    server, own, started = cpu_s(supervisor.pids[0]), time.process_time(), time.perf_counter()
                    client.predict_many("bench", requests)
                    wall = time.perf_counter() - started
                    own = time.process_time() - own
                    client.flush("bench")
                    server = cpu_s(supervisor.pids[0]) - server
                name = f"{connections}x{depth}"
                print(f"{name:>9} {count / wall:8.0f} {server / count * 1e6:10.1f} {own / count * 1e6:10.1f}")
        finally:
            supervisor.stop()


if __name__ == "__main__":
    os.environ.setdefault("HOMEOSTAT_ACTOR", "bench")
    main()
