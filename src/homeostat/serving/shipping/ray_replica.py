"""What runs on a Ray node: an actor of Ray Serve that keeps one data plane of ours as its child.

Ray Serve places it, starts it again when it dies and ends it; predictions never pass through Ray. Nothing here imports
Ray, so that whatever process of Ray's loads this class needs nothing but Homeostat.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from homeostat.core.errors import Unavailable
from homeostat.core.records import Record
from homeostat.serving.autoscale import TARGET

STOP_S = 30.0


class Serving(Record):
    """What a replica runs: `model` under its name on `host` and `port`. `app` names those who share the port on a node;
    `open_to_all` and `tokens` say who may ask beyond loopback, `use` names the interpreter of the model's own
    environment on the nodes."""

    app: str
    model: str
    host: str
    port: int
    load_s: float = 600.0
    allow_code: bool = False
    open_to_all: bool = False
    tokens: str = ""
    use: str = ""


def pack(folder: Path) -> bytes:
    """A model's folder as bytes that travel to the nodes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, arcname=".")
    return packed.getvalue()


class Replica:
    """One data plane. Its making returns when the model answers.

    Raises: Unavailable when the data plane ends instead, or takes longer than `load_s`.
    """

    def __init__(self, package: bytes, serving: Serving) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="homeostat-ray-"))
        self._child: subprocess.Popen[bytes] | None = None
        self._looked = (time.monotonic(), 0.0)
        try:
            models = self._folder / "model"
            with tarfile.open(fileobj=io.BytesIO(package)) as archive:
                archive.extractall(models, filter="data")
            self._child = subprocess.Popen(
                self._command(models, serving), stdin=subprocess.PIPE, start_new_session=True
            )
            self._wait(serving)
        except BaseException:
            self.stop()
            raise

    def check_health(self) -> None:
        """Ray Serve asks this every second, and starts another replica when it raises."""
        code = self._child.poll() if self._child is not None else None
        if self._child is None or code is not None:
            raise Unavailable(f"the data plane has ended with {code}")

    def record_autoscaling_stats(self) -> dict[str, float]:
        """For Ray Serve's autoscaler: the share of a core that the data plane has used since the last look."""
        now, used = time.monotonic(), _cpu_s(self._child.pid) if self._child is not None else 0.0
        before, self._looked = self._looked, (now, used)
        return {"busy": max(0.0, used - before[1]) / max(now - before[0], 1e-3)}

    def stop(self) -> None:
        """Let the data plane answer what it was asked, then end it."""
        child, self._child = self._child, None
        if child is not None:
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __del__(self) -> None:
        self.stop()

    def _command(self, models: Path, serving: Serving) -> list[str]:
        # It ends when its standard input does: also when this process is killed.
        command = [sys.executable, "-m", "homeostat.cli.main", "serve", "--model-dir", str(models),
                   "--name", serving.model, "--host", serving.host, "--port", str(serving.port),
                   "--share", serving.app, "--ready-file", str(self._folder / "ready"), "--supervised"]  # fmt: skip
        if serving.open_to_all:
            command.append("--open")
        if serving.allow_code:
            command.append("--allow-code")
        if serving.use:
            command += ["--use", serving.use]
        if serving.tokens:
            tokens = self._folder / "tokens"
            tokens.touch(mode=0o600)
            tokens.write_text(serving.tokens)
            command += ["--token-file", str(tokens)]
        return command

    def _wait(self, serving: Serving) -> None:
        assert self._child is not None
        deadline = time.monotonic() + serving.load_s
        while not (self._folder / "ready").exists():
            code = self._child.poll()
            if code is not None:
                raise Unavailable(
                    f"the data plane for '{serving.model}' ended with exit code {code} instead of listening on "
                    f"{serving.host}:{serving.port}",
                    hint="the replica's log says why",
                )
            if time.monotonic() > deadline:
                raise Unavailable(f"'{serving.model}' is not loaded after {serving.load_s:g} s")
            time.sleep(0.05)


def follow_load(context: Any) -> tuple[int, dict[str, Any]]:
    """Ray Serve's autoscaling policy: as many replicas as keep each of them busy for 70 % of a core.

    Serve's own counts requests that come through Ray; these do not.
    """
    busy = context.aggregated_metrics.get("busy", {})
    if not busy:
        return context.target_num_replicas, {}
    wanted = math.ceil(sum(busy.values()) / len(busy) * context.current_num_replicas / TARGET - 1e-9)
    bounds = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return max(bounds[0], min(wanted, bounds[1])), {}


def _cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, without its children; 0 where nobody tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
