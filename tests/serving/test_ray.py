"""Models under Ray Serve: what is refused before, the replica by itself, and a real Ray where there is one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.errors import InvalidInput, MissingExtra, Unavailable
from homeostat.registry import fetch
from homeostat.serving import deploy_on_ray, remove_from_ray
from homeostat.serving.shipping.ray_replica import Replica, Serving, follow_load, pack
from tests.ports import free_port
from tests.serving.models import expected, register_logistic
from tests.serving.test_plane import WEIGHTS

ROOT = Path(__file__).parents[2]
SERVES = Path(__file__).parent / "ray_serves.py"
ANSWER = round(float(expected(WEIGHTS, np.ones((1, 3)))[0]), 4)


def test_what_ray_would_stumble_over_is_refused(ws: hs.Workspace, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    for wrong in ({"port": 0}, {"min_replicas": 0}, {"min_replicas": 2, "max_replicas": 1}, {"cpu": -1.0}):
        with pytest.raises(InvalidInput):
            deploy_on_ray(ws, "delay", **wrong)
    with pytest.raises(InvalidInput, match="nothing says who may ask"):
        deploy_on_ray(ws, "delay", host="0.0.0.0")


@pytest.mark.skipif("ray" in sys.modules, reason="Ray is installed here")
def test_without_ray_the_extra_is_named(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "ray", None)
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    with pytest.raises(MissingExtra, match="'ray' is not installed"):
        remove_from_ray("delay")
    assert main(["deploy", "delay", "--to", "ray", "--home", str(ws.home)]) == MissingExtra.exit_code
    assert "pip install 'homeostat[ray]'" in capsys.readouterr().err
    assert main(["deploy", "delay", "--to", "ray", "--cpu", "500m"]) == InvalidInput.exit_code
    assert main(["deploy", "delay", "--to", "kubernetes"]) == InvalidInput.exit_code


def test_a_replica_serves_and_tells_when_its_plane_has_died(
    ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    package = pack(fetch(ws, "delay", 1, tmp_path / "fetched"))
    port = free_port()
    serving = Serving(app="delay", model="delay", host="127.0.0.1", port=port)
    replica = Replica(package, serving)
    try:
        replica.check_health()
        body = json.dumps({"instances": [[1, 1, 1]]}).encode()
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/delay:predict", body).read()
        assert round(json.loads(answer)["predictions"][0], 4) == ANSWER
        assert replica.record_autoscaling_stats()["busy"] > 0
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        pid = int(text.partition('process="')[2].partition('"')[0])
        os.kill(pid, signal.SIGKILL)
        while not (words := ailment(replica)):  # until the last of its threads is gone
            time.sleep(0.01)
        assert "has ended with -9" in words
    finally:
        replica.stop()


def ailment(replica: Replica) -> str:
    try:
        replica.check_health()
    except Unavailable as error:
        return str(error)
    return ""


def test_a_replica_that_cannot_listen_says_so(
    ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    package = pack(fetch(ws, "delay", 1, tmp_path / "fetched"))
    with pytest.raises(Unavailable, match=r"ended with exit code \d+ instead of listening on 0.0.0.0"):
        Replica(package, Serving(app="delay", model="delay", host="0.0.0.0", port=free_port()))


@pytest.mark.parametrize(("busy", "replicas", "wanted"), [([0.9, 0.5], 2, 2), ([1.0], 1, 2), ([0.0, 0.1], 2, 1),
                                                          ([1.0, 1.0, 1.0], 3, 4), ([], 3, 3)])  # fmt: skip
def test_rays_autoscaler_is_told_how_busy_the_planes_are(busy: list[float], replicas: int, wanted: int) -> None:
    context = SimpleNamespace(
        aggregated_metrics={"busy": dict(enumerate(busy))} if busy else {}, current_num_replicas=replicas,
        target_num_replicas=replicas, capacity_adjusted_min_replicas=1, capacity_adjusted_max_replicas=4,
    )  # fmt: skip
    assert follow_load(context) == (wanted, {})


def test_a_real_ray_keeps_the_data_planes(ws: hs.Workspace, tmp_path: Path) -> None:
    named = os.environ.get("HOMEOSTAT_RAY_PYTHON")
    python = Path(named) if named else ROOT / ".peers" / "ray" / "bin" / "python"
    if not python.is_file():
        pytest.skip("Ray is not installed (name a Python that has it and Homeostat's dependencies in"
                    " HOMEOSTAT_RAY_PYTHON): the test with a real cluster is not run")  # fmt: skip
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))}
    environment["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run(
        [python, SERVES, str(ws.home), str(port)], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {
        "application": ["delay", "delay", 1, 2, f"http://127.0.0.1:{port}"],
        "answers": [ANSWER],
        "refused": said["refused"],
        "again": [ANSWER],
        "gone": "URLError",
        "twice": "Ray serves no 'delay'",
    }
    assert len(said["refused"]) <= 1  # a request may have been on its way to the one that was killed
