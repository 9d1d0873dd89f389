"""The launcher: a small warm interpreter that starts jobs by forking itself, and tells how they ended.

`python -m homeostat.engines.launcher FD` talks JSON lines over the socket FD with the `ProcessExecutor` that started
it. It runs one thread only and loads only modules of Homeostat that start none: a fork copies the calling thread
alone, so a library that already runs a thread pool (Polars, LightGBM, PyArrow) would wait in the copy for threads that
are not there. Should a second thread ever appear, jobs are started as fresh interpreters instead.

Jobs die with the launcher (the kernel sees to it), and the launcher ends as soon as its socket closes or its parent is
gone: nothing outlives the process that asked for it.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from homeostat.core.executor import Job, Outcome
from homeostat.core.records import convert, from_json, to_json

_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_S = 1.0


class Launcher:
    """Starts jobs on request. `serve` returns in the launcher when it is over, and in each forked job at once."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._parent = os.getppid()
        self._running: dict[int, str] = {}
        self._cancelled: set[str] = set()
        self._buffer = b""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._prctl: Callable[..., int] | None = libc.prctl if libc else None

    def serve(self) -> Job | None:
        """Handle requests until the parent is gone (None), or in a forked job: the job to run."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write)
        selector = selectors.DefaultSelector()
        selector.register(self._link, selectors.EVENT_READ)
        selector.register(self._wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(_PARENT_CHECK_S):
                if key.fileobj is self._link:
                    data = self._link.recv(1 << 16)
                    if not data:
                        return self._end()
                    self._buffer += data
                else:
                    os.read(self._wake_read, 4096)
            *lines, self._buffer = self._buffer.split(b"\n")
            for line in lines:
                job = self._request(from_json(line, dict[str, Any]), selector)
                if job is not None:
                    return job
            self._reap()
            if os.getppid() != self._parent:
                return self._end()

    def _request(self, request: dict[str, Any], selector: selectors.BaseSelector) -> Job | None:
        if request["do"] == "cancel":
            for pid, name in self._running.items():
                if name == request["job"]:
                    self._cancelled.add(name)
                    _kill_group(pid)
            return None
        job: Job = convert(request["job"], Job, "job")
        fork = job.isolation == "fork" and not job.python and self._can_fork(job.module)
        gc.freeze()
        launcher = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = job.id
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        selector.close()
        for inherited in (self._wake_read, self._wake_write):
            os.close(inherited)
        self._link.close()
        return self._become(job, launcher, fork)

    def _can_fork(self, module: str) -> bool:
        # macOS frameworks do not survive a fork without exec.
        if sys.platform != "linux":
            return False
        if module.startswith("homeostat.") and module not in sys.modules:
            importlib.import_module(module)
        return len(os.listdir("/proc/self/task")) == 1

    def _become(self, job: Job, launcher: int, fork: bool) -> Job | None:
        """Turn this fresh copy into the job's own process."""
        try:
            os.setsid()
            if self._prctl is not None:
                self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != launcher:  # it died before the line above
                    os._exit(1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            os.close(log)
            os.close(nothing)
            os.environ.clear()
            os.environ.update(job.environment)
            os.chdir(job.folder)
            sys.argv = [job.module, *job.arguments]
            if fork:
                for stream in (sys.stdout, sys.stderr):  # the log is read while the job runs
                    stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # pyright: ignore
                sys.path.insert(0, job.folder)
                return job
            python = job.python or sys.executable
            os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            os.environ["PYTHONUNBUFFERED"] = "1"
            os.execv(python, [python, "-m", job.module, *job.arguments])  # noqa: S606 - no shell
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(127)

    def _reap(self) -> None:
        while self._running:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            job = self._running.pop(pid, None)
            if job is None:
                continue
            _kill_group(pid)  # what the job itself started ends with it
            killed = os.WIFSIGNALED(status)
            outcome = Outcome(
                job=job,
                cause="cancelled" if job in self._cancelled else "killed" if killed else "exited",
                exit_code=0 if killed else os.WEXITSTATUS(status),
                signal=os.WTERMSIG(status) if killed else 0,
                cpu_ms=int((usage.ru_utime + usage.ru_stime) * 1000),
                peak_kb=usage.ru_maxrss,
            )
            self._cancelled.discard(job)
            self._link.sendall(to_json(outcome).encode() + b"\n")

    def _end(self) -> None:
        for pid in self._running:
            _kill_group(pid)


def _kill_group(pid: int) -> None:
    # Before the job has called setsid its group is not there yet; then it alone is hit.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        return


def main(arguments: list[str]) -> int:
    """Serve until the parent goes; in a forked job, run it and give its exit code."""
    link = socket.socket(fileno=int(arguments[0]))
    job = Launcher(link).serve()
    if job is not None:
        _leave(_run(job))
    return 0


def _run(job: Job) -> int:
    """The job's exit code, as the interpreter would have made it."""
    try:
        return int(importlib.import_module(job.module).main(job.arguments) or 0)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def _leave(code: int) -> NoReturn:
    """End a forked job: what a program may rely on at its end, without taking the copied interpreter apart, which
    costs more than most steps do (every object is touched, so every shared page is copied)."""
    try:
        threading._shutdown()  # pyright: ignore  # waits for threads that are not daemons
        atexit._run_exitfuncs()  # pyright: ignore
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
