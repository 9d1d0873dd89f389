"""What a run takes of its machine: processor, memory, GPU, read where the operating system tells it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

_GPU = "index,utilization.gpu,memory.used,memory.total,power.draw,temperature.gpu"
_GPU_KEYS = ("percent", "memory_mb", "memory_total_mb", "power_w", "temperature_c")


class Machine:
    """Each `sample()` tells the time since the one before. GPUs are asked through `nvidia-smi`, where there is one.

    `pid` is the process that is measured, this one by default.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid
        self._smi = shutil.which("nvidia-smi")
        self._before = (time.monotonic(), _process_cpu_s(pid), _busy())

    def sample(self) -> dict[str, float]:
        """Metrics by key: `system/cpu_percent` (of the whole machine), `system/process_cpu_percent` (100 is one core,
        this process with the children it has waited for), memory in MiB, and for each GPU `system/gpu0_percent`, ….
        """
        now, cpu, busy = time.monotonic(), _process_cpu_s(self._pid), _busy()
        before, cpu_before, busy_before = self._before
        self._before = (now, cpu, busy)
        found = {"system/process_cpu_percent": round(100 * max(cpu - cpu_before, 0) / max(now - before, 1e-9), 1)}
        if busy and busy_before and busy[1] > busy_before[1]:
            share = (busy[0] - busy_before[0]) / (busy[1] - busy_before[1])
            found["system/cpu_percent"] = round(100 * share, 1)
        found |= _memory(self._pid)
        if self._smi:
            found |= gpu_metrics(_ask(self._smi))
        return found


def gpu_metrics(told: str) -> dict[str, float]:
    """Metrics from the comma-separated lines of `nvidia-smi`; what a GPU does not tell is left out.

    >>> gpu_metrics("0, 87, 2048, 81920, [N/A], 61")
    {'system/gpu0_percent': 87.0, 'system/gpu0_memory_mb': 2048.0, 'system/gpu0_memory_total_mb': 81920.0, \
'system/gpu0_temperature_c': 61.0}
    """
    found: dict[str, float] = {}
    for line in told.splitlines():
        index, *values = (part.strip() for part in line.split(","))
        for key, value in zip(_GPU_KEYS, values, strict=False):
            try:
                found[f"system/gpu{int(index)}_{key}"] = float(value)
            except ValueError:
                continue
    return found


def _ask(program: str) -> str:
    command = [program, f"--query-gpu={_GPU}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _process_cpu_s(pid: int | None) -> float:
    if pid is not None:
        try:
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        except OSError:
            return 0.0
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    told = os.times()
    return told.user + told.system + told.children_user + told.children_system


def _busy() -> tuple[int, int] | None:
    try:
        ticks = [int(part) for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _memory(pid: int | None) -> dict[str, float]:
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1])
        rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        kib = {row[0].rstrip(":"): int(row[1]) for row in rows}
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"system/process_memory_peak_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)}
    used = kib["MemTotal"] - kib["MemAvailable"]
    return {
        "system/process_memory_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        "system/memory_mb": round(used / 2**10, 1),
        "system/memory_percent": round(100 * used / kib["MemTotal"], 1),
    }
