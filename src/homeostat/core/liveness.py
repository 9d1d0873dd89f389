"""Names for processes that tell later whether the process still runs.

A lease alone makes others wait until it runs out. Work that a process of this machine held can be taken over at once
when that process is gone: its id together with its start time is never used twice.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def this_process() -> str:
    """A new name for a holder of work in this process; no two calls give the same.

    >>> is_alive(this_process()), this_process() == this_process()
    (True, False)
    """
    return f"{_host()}|{os.getpid()}@{_started(os.getpid())}|{secrets.token_hex(4)}"


def is_alive(owner: str) -> bool:
    """Whether the process that `owner` names may still run. Of other machines nothing is known: True.

    >>> is_alive("")
    False
    """
    if not owner:
        return False
    host, _, process = owner.rpartition("|")[0].rpartition("|")
    if host != _host():
        return True
    pid, _, started = process.partition("@")
    return str(_started(int(pid))) == started


def _host() -> str:
    """This machine, and within it this space of process ids (containers have their own)."""
    space = Path("/proc/self/ns/pid")
    return f"{os.uname().nodename}/{os.readlink(space) if space.exists() else ''}"


def _started(pid: int) -> str | None:
    """When process `pid` began, in the kernel's ticks; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        try:  # no /proc here: the id alone must do
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        return ""
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
