"""A disk that fills up under a server: writes are refused with 507, reads go on, and it recovers by itself.

A real, small file system (in memory, in a mount namespace of the server's own, which ends with it), filled by a file
beside the server's.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import Up
from tests.server.writers import FILES, Line, Refused, history

MOUNT = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=32m none "$0" && exec "$@"']


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None or not Path("/proc/self/root").exists():
        return False
    return subprocess.run([*MOUNT, str(folder), "true"], capture_output=True, check=False).returncode == 0


class Disk:
    """The small disk as seen from outside."""

    def __init__(self, up: Up, home: Path) -> None:
        self.home = Path(f"/proc/{up.process.pid}/root{home}")
        self._ballast = self.home / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Take all space but `leave` bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while os.statvfs(self.home).f_bavail * os.statvfs(self.home).f_frsize > leave:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        self._ballast.unlink()

    @property
    def blobs(self) -> set[str]:
        return {path.name for path in (self.home / "blobs").rglob("*") if path.is_file()}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Up, Disk, Line]]:
    home = tmp_path / "home"
    home.mkdir()
    if not can_mount(home):
        pytest.skip("no file system can be mounted here (unshare --map-root-user --mount): a full disk is not tried")
    up = Up(home, control_only=True, within=[*MOUNT, str(home)])
    line = Line(up.port)
    yield up, Disk(up, home), line
    line.close()
    if up.process.poll() is None:
        up.process.kill()
        up.process.communicate()


def until_full(line: Line, method: str, path: str, body: bytes | dict[str, Any], most: int = 20_000) -> int:
    """Send until it is refused; how many were answered. Refused with 507 and nothing else."""
    sent, refused = 0, "the disk is not full"
    while sent < most:
        raw = (
            body if isinstance(body, bytes) else json.dumps({k: v(sent) if callable(v) else v for k, v in body.items()})
        )
        try:
            line.send(method, path, raw.encode() if isinstance(raw, str) else raw)
        except Refused as error:
            refused = str(error)
            break
        sent += 1
    assert ": 507 " in refused and "RESOURCE_EXHAUSTED" in refused, refused
    return sent


def test_a_full_disk_refuses_writes_and_nothing_else(server: tuple[Up, Disk, Line]):
    up, disk, line = server
    run = line.post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
    line.post("registered-models/create", name="m")
    kept = f"{FILES}/0/{run}/artifacts/kept.bin"
    line.send("PUT", kept, b"kept")
    before = disk.blobs
    point = {"run_id": run, "key": "loss", "value": 0.5, "timestamp": 1, "step": lambda n: n + 1}
    line.post("runs/log-metric", **{**point, "step": 0})
    disk.fill()
    points = 1 + until_full(line, "POST", "/api/2.0/mlflow/runs/log-metric", point)
    many = [{"key": f"k{i}", "value": 1.0, "timestamp": 1, "step": 1} for i in range(900)]
    until_full(line, "POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": run, "metrics": many})
    tags = until_full(
        line, "POST", "/api/2.0/mlflow/runs/set-tag", {"run_id": run, "key": lambda n: f"k{n}", "value": "x" * 4000}
    )
    versions = until_full(
        line, "POST", "/api/2.0/mlflow/model-versions/create",
        {"name": "m", "source": "s3://b/m", "description": "x" * 4000},
    )  # fmt: skip
    large = random.Random(1).randbytes(1 << 20)
    until_full(line, "PUT", f"{FILES}/0/{run}/artifacts/large.bin", large)
    assert disk.blobs == before
    assert line.send("GET", "/health") == b"OK"
    assert line.send("GET", kept) == b"kept"
    assert history(line, run, "loss") == dict.fromkeys(range(points), 1)
    shown = line.post("runs/search", experiment_ids=["0"], filter="metrics.loss > 0.1")["runs"][0]["data"]
    assert len([tag for tag in shown["tags"] if tag["key"].startswith("k")]) == tags
    assert len(line.get("model-versions/search", filter="name='m'").get("model_versions", [])) == versions
    disk.free()
    line.post("runs/log-metric", run_id=run, key="loss", value=0.25, timestamp=1, step=points)
    line.post("runs/log-batch", run_id=run, metrics=many)
    line.send("PUT", f"{FILES}/0/{run}/artifacts/large.bin", large)
    assert line.send("GET", f"{FILES}/0/{run}/artifacts/large.bin") == large
    made = line.post("model-versions/create", name="m", source="s3://b/m")["model_version"]
    assert int(made["version"]) == versions + 1
    line.post("runs/update", run_id=run, status="FINISHED")  # folds what was logged
    assert history(line, run, "loss") == dict.fromkeys(range(points + 1), 1)
    code, said = up.stop(signal.SIGTERM)
    assert code == 0, said


def test_an_upload_that_does_not_fit_gives_its_space_back(server: tuple[Up, Disk, Line]):
    _, disk, line = server
    line.send("PUT", f"{FILES}/first.bin", b"first")
    before = disk.blobs
    disk.fill(leave=6 << 20)
    large = random.Random(2).randbytes(12 << 20)
    for _ in range(3):
        with pytest.raises(Refused, match=": 507 "):
            line.send("PUT", f"{FILES}/large.bin", large)
    assert disk.blobs == before
    fits = large[: 3 << 20]
    line.send("PUT", f"{FILES}/fits.bin", fits)
    assert line.send("GET", f"{FILES}/fits.bin") == fits
    disk.free()
    line.send("PUT", f"{FILES}/large.bin", large)
    assert line.send("GET", f"{FILES}/large.bin") == large


def test_a_disk_that_fills_up_while_points_are_folded_loses_none(server: tuple[Up, Disk, Line]):
    """More points than are left in a journal: they are folded while others come, until neither finds room."""
    up, disk, line = server
    run = line.post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"]
    chance = random.Random(3)

    def points(begin: int) -> list[dict[str, Any]]:
        steps = range(begin, begin + 1000)
        return [{"key": "loss", "value": chance.random(), "timestamp": 1, "step": step} for step in steps]

    for batch in range(40):
        line.post("runs/log-batch", run_id=run, metrics=points(batch * 1000))
    disk.fill(leave=1 << 20)
    batches = 40 + until_full(
        line, "POST", "/api/2.0/mlflow/runs/log-batch",
        {"run_id": run, "metrics": lambda sent: points((40 + sent) * 1000)},
    )  # fmt: skip
    assert history(line, run, "loss") == dict.fromkeys(range(batches * 1000), 1)
    disk.free()
    line.post("runs/log-batch", run_id=run, metrics=points(batches * 1000))
    line.post("runs/update", run_id=run, status="FINISHED")  # folds what was logged
    assert history(line, run, "loss") == dict.fromkeys(range((batches + 1) * 1000), 1)
    code, said = up.stop(signal.SIGTERM)
    assert code == 0, said
