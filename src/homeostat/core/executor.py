"""Where jobs run: a small interface that local processes implement, and that Ray or Kubernetes may.

A job is `module.main(arguments)` in a process of its own. What it gives back it writes to files or to the workspace;
an executor only starts jobs, tells how they ended, and stops them. Promises, checked by the tests of each executor:

- A job's standard output and error are appended to its log file as they are written; nothing is buffered in between.
- No job outlives the process that submitted it, not even when that process is killed.
- Every submitted job gets exactly one `Outcome`, also when the machinery between dies ("lost").
- Any thread may call; the outcomes of a job go to whoever waits for that job.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Collection
from typing import Literal, Protocol

from homeostat.core import engines
from homeostat.core.records import Record


class Job(Record):
    """One piece of work: `python -m module *arguments`, in `folder`, writing to the file `log`.

    `isolation` "fork" allows a copy of a warm interpreter (milliseconds), "spawn" asks for a fresh one. `python` is
    another interpreter than this one (it then always starts afresh).
    """

    id: str
    module: str
    arguments: list[str]
    folder: str
    log: str
    environment: dict[str, str] = {}
    isolation: Literal["fork", "spawn"] = "fork"
    python: str = ""


class Outcome(Record):
    """How a job ended. `exit_code` counts only where `cause` is "exited"; `signal` where it is "killed".

    "cancelled" means that `cancel` ended it, "lost" that nobody can tell any more and that it no longer runs.
    `cpu_ms` and `peak_kb` are the processor time and the largest resident memory of the job with its children.
    """

    job: str
    cause: Literal["exited", "killed", "cancelled", "lost"]
    exit_code: int = 0
    signal: int = 0
    cpu_ms: int = 0
    peak_kb: int = 0


class Executor(Protocol):
    """Something that runs jobs."""

    def submit(self, job: Job) -> None:
        """Start `job`. Raises Unavailable when it cannot be started."""
        ...

    def wait(self, jobs: Collection[str], timeout_s: float) -> list[Outcome]:
        """Outcomes of those of `jobs` that have ended; waits for the first at most `timeout_s`, then gives none."""
        ...

    def cancel(self, job: str) -> None:
        """End a job with its children now; its outcome says "cancelled". Nothing when it has ended already."""
        ...

    def capacity(self) -> int:
        """How many jobs may sensibly run at once."""
        ...

    def close(self) -> None:
        """End every job and whatever the executor keeps running."""
        ...


_open: dict[tuple[int, str], Executor] = {}
_lock = threading.Lock()


def open_executor(name: str = "processes") -> Executor:
    """This process's executor of the kind `name`: made on first use, closed when the process ends."""
    key = (os.getpid(), name)  # a forked copy of this process must not use its parent's
    with _lock:
        if key not in _open:
            _open[key] = engines.load(engines.EXECUTORS, name)()
            atexit.register(_open[key].close)
        return _open[key]
