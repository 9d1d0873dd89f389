"""Servers under measurement: started as children, and what they take of the machine, from /proc."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def tree(pid: int) -> list[int]:
    """The process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [pid], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def halt(pids: Iterable[int]) -> None:
    """Keep the process trees from running, until `resume`."""
    _signal(pids, signal.SIGSTOP)


def resume(pids: Iterable[int]) -> None:
    """Let the process trees go on."""
    _signal(pids, signal.SIGCONT)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        for member in tree(pid):
            with suppress(ProcessLookupError):
                os.kill(member, number)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process tree, threads that have ended among them."""
    return sum(cpu_by_process(pid).values())


def cpu_by_process(pid: int, titled: str = "") -> dict[int, float]:
    """CPU seconds of each process of a tree; of those only whose title has `titled`."""
    found: dict[int, float] = {}
    for member in tree(pid):
        try:
            if titled and titled.encode() not in Path(f"/proc/{member}/cmdline").read_bytes():
                continue
            user, system = (Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split())[11:13]
        except OSError:
            continue
        found[member] = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return found


def memory_bytes(pid: int) -> int:
    """Memory of a process tree: its own pages, and of shared ones its part (PSS)."""
    total = 0
    for member in tree(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


@contextmanager
def running(command: list[str], folder: Path, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a child with a session of its own, ended with all below it. Python may keep what it compiles, as
    where it is installed."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, cwd=folder, stdout=stream, stderr=stream, env={**settings, **environment}, start_new_session=True
        )
    try:
        yield process
    finally:
        below = tree(process.pid)
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        # What made a session of its own is not in the group.
        for pid in below[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
