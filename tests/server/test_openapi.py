"""Our OpenAPI, asked by Schemathesis: no call fails for a fault of ours, and every answer is as it is described.

Bounded, and the same cases each time. `HOMEOSTAT_SCHEMATHESIS=20` makes that many for each operation, other ones with
each `HOMEOSTAT_SCHEMATHESIS_SEED`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import homeostat as hs
from homeostat.core.frames import to_ipc
from homeostat.server.app import all_verbs
from homeostat.server.foreign import all_rpcs
from tests.server.running import Running

ROOT = Path(__file__).parent.parent.parent
EACH = int(os.environ.get("HOMEOSTAT_SCHEMATHESIS", "2"))
SEED = os.environ.get("HOMEOSTAT_SCHEMATHESIS_SEED", "1")
CHECKS = "no_fault_of_ours,response_schema_conformance,content_type_conformance,status_code_conformance"


def program() -> Path | None:
    """Schemathesis, in an environment of its own, or None where it is not installed."""
    named = os.environ.get("HOMEOSTAT_SCHEMATHESIS_PROGRAM")
    path = Path(named) if named else ROOT / ".peers" / "schemathesis" / "bin" / "schemathesis"
    return path if path.is_file() else None


@pytest.fixture
def running(any_ws: hs.Workspace) -> Iterator[Running]:
    """A server with a little of everything, that many cases find by its name ("0")."""
    any_ws.data.write_table("0", pl.DataFrame({"a": [1, 2], "key": ["x", None]}))
    run = any_ws.tracking.create_run("0", name="0", params={"lr": 0.1}, tags={"0": "0"}, id="0")
    any_ws.tracking.log_metrics(run.id, {"0": 0.5}, step=1)
    any_ws.tracking.log_artifact(run.id, "0", b"0")
    any_ws.registry.create_model("0")
    server = Running(any_ws)
    yield server
    server.stop()


def whole_frames(folder: Path) -> Path:
    """Arrow streams as clients send them: one for each thing that a verb takes as a frame, and an empty one."""
    folder.mkdir()
    frames = [
        pl.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, float("nan")]}),
        pl.DataFrame({"key": ["0", "1"], "label": [0.0, 1.0], "label_ms": [1, 2]}),
        pl.DataFrame({"key": [0], "at_ms": [1], "nested": [[{"x": 1}]]}),
        pl.DataFrame(),
    ]
    for number, frame in enumerate(frames):
        (folder / str(number)).write_bytes(to_ipc(frame))
    return folder


@pytest.mark.timeout(7200)
def test_what_is_described_is_what_happens(running: Running, tmp_path: Path):
    found = program()
    if found is None:
        pytest.skip("Schemathesis is not installed (`make test` does it, or name it in HOMEOSTAT_SCHEMATHESIS_PROGRAM)")
    below = tmp_path / "below"
    below.mkdir()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent),
        "SCHEMATHESIS_HOOKS": "openapi_hooks", "HOMEOSTAT_ARROW": str(whole_frames(tmp_path / "arrow")),
        "HOMEOSTAT_BELOW": str(below), "NO_COLOR": "1", "COLUMNS": "160",
    }  # fmt: skip
    command = [
        found, "run", f"{running.url}/api/v1/openapi.json", "--checks", CHECKS, "--phases", "fuzzing",
        "--max-examples", str(EACH), "--seed", SEED, "--generation-database", "none", "--continue-on-failure",
        "--no-shrink", "--exclude-path", "/api/v1/events", "--suppress-health-check", "all", "--warnings", "off",
    ]  # fmt: skip
    ran = subprocess.run(command, env=environment, cwd=below, capture_output=True, text=True, check=False)
    said = ran.stdout[-20_000:] + ran.stderr[-4000:]
    assert ran.returncode == 0, said
    tried = re.search(r"(\d+) generated", ran.stdout)
    assert tried, said
    assert int(tried[1]) > len(all_verbs()) + len(all_rpcs()), said  # every operation, the Arrow ones among them
    assert running.request("GET", "/healthz").status == 200
    print(f"{tried[1]} cases")  # seen with -s


def test_every_call_of_mlflow_is_described_with_what_it_reads(running: Running):
    paths = running.request("GET", "/api/v1/openapi.json").json["paths"]
    for declared in all_rpcs():
        path = re.sub(r"\{(\w+)(?::path)?\}", r"{\1}", declared.path)
        shown = paths[path if path.startswith("/") else f"/api/{path}"][declared.method.lower()]
        assert shown["x-permission"] == declared.permission
        assert declared.raw or shown["summary"]

    def arguments(path: str, method: str) -> tuple[set[str], set[str]]:
        shown = paths[f"/api/2.0/mlflow/{path}"][method]
        if method == "get":
            return {p["name"] for p in shown["parameters"]}, {p["name"] for p in shown["parameters"] if p["required"]}
        schema = shown["requestBody"]["content"]["application/json"]["schema"]
        return set(schema["properties"]), set(schema.get("required", []))

    batch = {"run_id", "metrics", "params", "tags"}
    assert arguments("runs/log-batch", "post") == (batch, {"run_id"})
    # Through another function, by a name that it is given.
    assert arguments("registered-models/rename", "post") == ({"name", "new_name"}, {"name", "new_name"})
    # One of two is needed: neither is.
    found, required = arguments("metrics/get-history", "get")
    assert found == {"run_id", "run_uuid", "metric_key", "max_results", "page_token"}
    assert required == {"metric_key"}
