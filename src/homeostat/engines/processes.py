"""Jobs as processes of this machine, started through one launcher (`engines/launcher.py`) per submitting process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection

from msgspec import structs

from homeostat.core.errors import Unavailable
from homeostat.core.executor import Job, Outcome
from homeostat.core.records import from_json, to_json


class ProcessExecutor:
    """An executor on local processes. The launcher starts with the first job and again if it ever dies."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._running: set[str] = set()
        self._ended: dict[str, Outcome] = {}
        self._link: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def submit(self, job: Job) -> None:
        with self._changed:
            if self._closed:
                raise Unavailable("the executor is closed", hint="the process is ending; start the work again")
            if self._link is None:
                self._start()
            self._running.add(job.id)
        environment = {**os.environ, **job.environment}
        self._send({"do": "start", "job": structs.replace(job, environment=environment)})

    def wait(self, jobs: Collection[str], timeout_s: float) -> list[Outcome]:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = [self._ended.pop(job) for job in jobs if job in self._ended]
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found
                self._changed.wait(left)

    def cancel(self, job: str) -> None:
        with self._changed:
            if job not in self._running or self._link is None:
                return
        self._send({"do": "cancel", "job": job})

    def capacity(self) -> int:
        return os.cpu_count() or 1

    def close(self) -> None:
        with self._changed:
            self._closed = True
            link, process = self._link, self._process
        if link is not None:
            with contextlib.suppress(OSError):  # the launcher went first
                link.shutdown(socket.SHUT_WR)
        if process is not None:
            process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = dict(os.environ)
        # The launcher must find what this process finds; its jobs get the variable as the user set it.
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
        command = [sys.executable, "-m", "homeostat.engines.launcher", str(theirs.fileno())]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    env=environment,
                    start_new_session=True,  # Ctrl-C reaches the submitter, which decides what becomes of its jobs
                )
        except OSError as error:
            ours.close()
            raise Unavailable(f"no process can be started: {error}", hint="is the machine out of processes?") from error
        self._link = ours
        threading.Thread(target=self._listen, args=(ours,), name="homeostat-jobs", daemon=True).start()

    def _send(self, message: dict[str, object]) -> None:
        link = self._link
        try:
            if link is not None:
                with self._sending:
                    link.sendall(to_json(message).encode() + b"\n")
        except OSError:
            pass  # the listener sees the same end and tells every waiting job

    def _listen(self, link: socket.socket) -> None:
        buffer = b""
        while True:
            try:
                data = link.recv(1 << 16)
            except OSError:
                data = b""
            *lines, buffer = (buffer + data).split(b"\n")
            with self._changed:
                for line in lines:
                    outcome = from_json(line, Outcome)
                    self._running.discard(outcome.job)
                    self._ended[outcome.job] = outcome
                if not data:
                    self._lost(link)
                self._changed.notify_all()
            if not data:
                return

    def _lost(self, link: socket.socket) -> None:
        """The launcher is gone, and its jobs with it."""
        link.close()
        process, self._process, self._link = self._process, None, None
        if process is not None and not self._closed:
            process.wait()
        for job in self._running:
            self._ended[job] = Outcome(job=job, cause="lost")
        self._running.clear()
