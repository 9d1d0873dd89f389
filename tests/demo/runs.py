"""Running `homeostat demo` as a person would, and ending it as a power cut would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.ports import free_port


def start(home: Path, report: Path, *options: str) -> subprocess.Popen[bytes]:
    """The demo on `home`, in a process group of its own, its output in a file beside the home."""
    command = [sys.executable, "-m", "homeostat.cli.main", "demo", "--no-wait", "--home", str(home)]
    command += ["--report", str(report), "--port", str(free_port()), "--serve-port", str(free_port()), *options]
    with open(home.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def finish(process: subprocess.Popen[bytes], home: Path, report: Path, timeout_s: float) -> dict[str, Any]:
    """The report of a demo that is left to end by itself."""
    code = process.wait(timeout_s)
    assert code == 0, home.with_suffix(".log").read_text(errors="replace")[-4000:]
    return json.loads(report.read_text())


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """kill -9 of the demo's own process (its servers and steps must notice by themselves); False if it had ended."""
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True


def kill_group_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """kill -9 of the demo and everything it has started, as the power going out."""
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.5)
        return True


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on when, where or how often the demo ran: everything but times and message counts."""
    totals = {name: value for name, value in report["totals"].items() if name != "messages"}
    return {**{name: report[name] for name in ("model", "months", "decisions", "versions")}, "totals": totals}
