"""Our data plane against MLServer, LitServe and BentoML: the same models, the same load, interleaved rounds.

    python -m bench.serving.against_peers --peers FOLDER [--rounds 3] [--seconds 1.5] [--only mlserver,litserve]

FOLDER holds one virtual environment per peer, named after it, with onnxruntime and the scikit-learn of this one:

    python -m venv FOLDER/mlserver && FOLDER/mlserver/bin/pip install mlserver uvloop==0.21.0 onnxruntime scikit-learn
    python -m venv FOLDER/litserve && FOLDER/litserve/bin/pip install litserve onnxruntime scikit-learn
    python -m venv FOLDER/bentoml  && FOLDER/bentoml/bin/pip install bentoml onnxruntime scikit-learn

A peer whose environment is not there is left out, and the table says so. All servers have been started and are halted
while another is asked (one of them polls, with a sixth of a core); a cell is the median of its rounds. CPU is that of
the server's whole process tree, per request. Every server counts its requests as it does by default, and none writes a
line for each. nginx, where it is installed, answers every request with a constant: what HTTP costs by itself on this
machine. For gRPC the columns p50 and p99 are the mean and the longest time, which is what its load tool tells. One
request in flight is measured twice: by a load that sleeps while the server works, so that its core has to be woken for
each answer ("1"), and by the same load looking for its answers without a pause ("1 awake").
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import struct
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import homeostat as hs
from bench.processes import cpu_s, free_port, halt, resume, running
from bench.serving import load
from homeostat.serving import deploy, wait_ready
from homeostat.serving.rpc_wire import field, packed

HERE = Path(__file__).parent / "peers"
COLUMNS = 64


@dataclass
class Target:
    """A server: its processes, and how it is asked."""

    name: str
    pids: list[int]
    port: int
    paths: dict[str, str]
    body: str  # "oip" or "rows"
    grpc_port: int = 0


def bodies(scratch: Path) -> dict[tuple[str, int], Path]:
    """The same rows as an Open Inference request and as a plain list."""
    found: dict[tuple[str, int], Path] = {}
    for rows in (1, 32):
        values = np.random.default_rng(rows).integers(0, 17, size=(rows, COLUMNS)).astype("f4")
        flat = [float(v) for v in values.reshape(-1)]
        oip = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [rows, COLUMNS], "data": flat}]}
        for kind, content in (("oip", oip), ("rows", {"rows": values.tolist()})):
            path = scratch / f"{kind}-{rows}.json"
            path.write_text(json.dumps(content, separators=(",", ":")))
            found[kind, rows] = path
        head = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [rows, COLUMNS],
                            "parameters": {"binary_data_size": values.nbytes}}],
                "parameters": {"binary_data_output": True}}  # fmt: skip
        text = json.dumps(head, separators=(",", ":")).encode()
        found["binary", rows] = scratch / f"binary-{rows}"
        found["binary", rows].write_bytes(text + values.tobytes())
        (scratch / f"binary-{rows}.length").write_text(str(len(text)))
        tensor = field(1, b"features") + field(2, b"FP32") + field(3, packed([rows, COLUMNS]))
        message = field(1, b"forest") + field(5, tensor) + field(7, values.tobytes())
        (scratch / f"grpc-{rows}").write_bytes(struct.pack(">BI", 0, len(message)) + message)
    return found


def models(ws: hs.Workspace, scratch: Path) -> tuple[Path, Path]:
    """A forest of 100 trees on scikit-learn's digits: registered as ONNX and as it is; the two files for the peers."""
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    digits = load_digits()
    x, y = digits.data.astype("f4"), digits.target > 4
    forest = RandomForestClassifier(100, random_state=0).fit(x, y)
    converted = hs.log_model(ws, "forest", forest, x[:64])
    if not converted.onnx.agrees:
        sys.exit(f"the forest's ONNX form does not agree: {converted.onnx.reason}")
    with hs.run("bench", ws=ws) as run:
        hs.log_model(ws, "slow", forest, x[:64], onnx=False, run_id=run.id)
    folder = ws.blobs.materialise_tree(converted.digest, scratch / "package")
    joblib.dump(forest, scratch / "forest.joblib")
    return folder / str(converted.onnx.file), scratch / "forest.joblib"


def ours(ws: hs.Workspace, scratch: Path, stack: ExitStack, processes: int) -> Target:
    """The data plane, with validation, metrics and the prediction log on."""
    from homeostat.serving import Supervisor

    supervisor = Supervisor(ws.url, port=free_port(), home=str(ws.home), processes=processes)
    supervisor.start()
    stack.callback(supervisor.stop)
    supervisor.wait_listening()
    for model in ("forest", "slow"):
        wait_ready(ws, model, deploy(ws, model).generation, timeout_s=120)
    port = int(ws.serving.endpoint().rest_url.rsplit(":", 1)[1])
    paths = {"onnx": "/v2/models/forest/infer", "sklearn": "/v2/models/slow/infer"}
    return Target("homeostat", supervisor.pids, port, paths, "oip", port)


def mlserver(env: Path, onnx: Path, joblib: Path, scratch: Path, stack: ExitStack) -> Target:
    """MLServer without its process pool, which is its faster mode for such models."""
    folder = scratch / "mlserver"
    port = free_port()
    grpc_port = free_port()
    settings = {"parallel_workers": 0, "http_port": port, "grpc_port": grpc_port, "metrics_port": free_port(),
                "host": "127.0.0.1", "debug": False, "use_structured_logging": False,
                "metrics_dir": str(folder)}  # fmt: skip
    for name, kind, uri in (("forest", "Onnx", onnx), ("slow", "Sklearn", joblib)):
        (folder / name).mkdir(parents=True)
        (folder / name / "model-settings.json").write_text(
            json.dumps({"name": name, "implementation": f"mlserver_model.{kind}", "parameters": {"uri": str(uri)},
                        **({"max_batch_size": 64, "max_batch_time": 0.005} if kind == "Sklearn" else {})})
        )  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    quiet = folder / "logging.conf"
    quiet.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nlevel=ERROR\nhandlers=\n"
    )
    settings["logging_settings"] = str(quiet)
    (folder / "settings.json").write_text(json.dumps(settings))
    process = stack.enter_context(
        running([str(env / "bin" / "mlserver"), "start", str(folder)], HERE, scratch / "mlserver.log",
                PYTHONPATH=str(HERE))
    )  # fmt: skip
    paths = {"onnx": "/v2/models/forest/infer", "sklearn": "/v2/models/slow/infer"}
    return Target("mlserver", [process.pid], port, paths, "oip", grpc_port)


def nginx(scratch: Path, stack: ExitStack) -> Target:
    """One worker that answers a constant as long as our answer."""
    port = free_port()
    (scratch / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {scratch}/nginx.pid; error_log /dev/null; events {{}}\n"
        f"http {{ access_log off; keepalive_requests 1000000000; server {{ listen 127.0.0.1:{port};\n"
        f"location / {{ return 200 '{'x' * 200}'; }} }} }}\n"
    )
    command = ["nginx", "-c", str(scratch / "nginx.conf"), "-e", "/dev/null"]
    process = stack.enter_context(running(command, scratch, scratch / "nginx.log"))
    return Target("nginx", [process.pid], port, {"onnx": "/"}, "oip")


def litserve(env: Path, kind: str, model: Path, batch: int, scratch: Path, stack: ExitStack) -> Target:
    """LitServe, one worker; `batch` above 1 joins requests."""
    port = free_port()
    process = stack.enter_context(
        running([str(env / "bin" / "python"), str(HERE / "litserve_server.py"), kind, str(model), str(port),
                 str(batch)], scratch, scratch / f"litserve-{kind}.log")
    )  # fmt: skip
    return Target("litserve", [process.pid], port, {kind: "/predict"}, "rows")


def bentoml(env: Path, kind: str, model: Path, scratch: Path, stack: ExitStack) -> Target:
    """BentoML, one worker; batching for the slow model."""
    port = free_port()
    process = stack.enter_context(
        running([str(env / "bin" / "bentoml"), "serve", "bentoml_service:Forest", "--host", "127.0.0.1", "--port",
                 str(port)], HERE, scratch / f"bentoml-{kind}.log",
                BENCH_KIND=kind, BENCH_MODEL=str(model), BENTOML_DO_NOT_TRACK="1", BENTOML_HOME=str(scratch / "bento"))
    )  # fmt: skip
    return Target("bentoml", [process.pid], port, {kind: "/predict"}, "rows")


def wait(target: Target, kind: str, body: Path, timeout_s: float = 120) -> None:
    """Return when the target answers a prediction."""
    deadline = time.monotonic() + timeout_s
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{target.port}{target.paths[kind]}",
            body.read_bytes(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"{target.name} does not answer: {error}")
        time.sleep(0.2)


def ask(
    target: Target, kind: str, form: str, rows: int, connections: int, seconds: float, scratch: Path
) -> dict[str, float]:
    """One cell of one round. `connections` is 0 for one whose load stays awake."""
    before = sum(map(cpu_s, target.pids))
    if form == "grpc":
        path = "/inference.GRPCInferenceService/ModelInfer"
        message = scratch / f"grpc-{rows}"
        found = load.grpc(target.grpc_port, path, message, max(1, connections), seconds, awake=not connections)
    else:
        headers = {"Content-Type": "application/json"}
        if form == "binary":
            length = (scratch / f"binary-{rows}.length").read_text()
            headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": length}
        body = scratch / f"{form}-{rows}{'' if form == 'binary' else '.json'}"
        path = target.paths[kind]
        found = load.http(target.port, path, body, headers, max(1, connections), seconds, awake=not connections)
    found["cpu_us"] = (sum(map(cpu_s, target.pids)) - before) / max(found["requests"], 1) * 1e6
    return found


# What is asked: the model, the rows of a request, the requests in flight, and in which forms beside the server's own.
# 0 in flight is one, of a load that stays awake.
CELLS = [
    ("onnx", 1, 0, ["grpc"]), ("onnx", 1, 1, ["grpc"]), ("onnx", 1, 16, ["grpc"]), ("onnx", 1, 64, ["grpc"]),
    ("onnx", 32, 0, ["binary"]), ("onnx", 32, 1, ["binary"]), ("onnx", 32, 16, ["binary"]),
    ("onnx", 32, 64, ["binary"]), ("sklearn", 1, 64, []),
]  # fmt: skip


def start(
    args: argparse.Namespace, ws: hs.Workspace, scratch: Path, stack: ExitStack
) -> tuple[list[Target], list[str]]:
    """Every server that can be started here, and the peers that cannot."""
    onnx, joblib = models(ws, scratch)
    targets, absent = [ours(ws, scratch, stack, args.processes)], []
    if shutil.which("nginx") is not None:
        targets.append(nginx(scratch, stack))
    for name in args.only.split(","):
        env = args.peers / name
        if not (env / "bin" / "python").exists():
            absent.append(name)
        elif name == "mlserver":
            targets.append(mlserver(env, onnx, joblib, scratch, stack))
        elif name == "litserve":
            targets.append(litserve(env, "onnx", onnx, 1, scratch, stack))
            targets.append(litserve(env, "sklearn", joblib, 64, scratch, stack))
        elif name == "bentoml":
            targets.append(bentoml(env, "onnx", onnx, scratch, stack))
            targets.append(bentoml(env, "sklearn", joblib, scratch, stack))
    return targets, absent


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--only", default="mlserver,litserve,bentoml")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--processes", type=int, default=1, help="data planes on our port")
    args = parser.parse_args()
    load.needed()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        ws = stack.enter_context(hs.open(scratch / "home"))
        written = bodies(scratch)
        targets, absent = start(args, ws, scratch, stack)
        for target in targets:
            for kind in target.paths:
                wait(target, kind, written[target.body, 1])
        stack.callback(lambda: resume(pid for target in targets for pid in target.pids))
        halt(pid for target in targets for pid in target.pids)
        results: dict[tuple[str, int, int, str], list[dict[str, float]]] = {}
        for _ in range(args.rounds):
            for kind, rows, connections, beside in CELLS:
                for target in targets:
                    if kind not in target.paths or (target.name == "nginx" and rows > 1):
                        continue
                    resume(target.pids)
                    forms = [target.body]
                    forms += [form for form in beside if _speaks(target, form)]
                    for form in forms:
                        name = target.name + (f" {form}" if form in ("binary", "grpc") else "")
                        found = ask(target, kind, form, rows, connections, args.seconds, scratch)
                        results.setdefault((kind, rows, connections, name), []).append(found)
                    halt(target.pids)
        show(results)
        for name in absent:
            print(f"{name}: not measured, it is not installed under {args.peers}")


def _speaks(target: Target, form: str) -> bool:
    return bool(target.grpc_port) if form == "grpc" else target.name == "homeostat"


def show(results: dict[tuple[str, int, int, str], list[dict[str, float]]]) -> None:
    """The table, with how many times the peer's rate ours is."""
    print(f"{'model':8} {'rows':>4} {'flight':>8} {'server':17} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} "
          f"{'cpu us':>8} {'failed':>6} {'we are':>7}")  # fmt: skip
    for (kind, rows, connections, name), found in results.items():
        median = {key: statistics.median(entry[key] for entry in found) for key in found[0]}
        mine = "homeostat grpc" if name.endswith(" grpc") else "homeostat"
        own = statistics.median(entry["per_s"] for entry in results[kind, rows, connections, mine])
        times = "" if name.startswith("homeostat") else f"{own / max(median['per_s'], 1e-9):6.1f}x"
        flight = "1 awake" if connections == 0 else str(connections)
        print(f"{kind:8} {rows:4} {flight:>8} {name:17} {median['per_s']:8.0f} {median['p50_ms']:8.2f} "
              f"{median['p99_ms']:8.1f} {median['cpu_us']:8.0f} "
              f"{median['failed']:6.0f} {times:>7}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
