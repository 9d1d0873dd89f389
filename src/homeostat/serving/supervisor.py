"""Keeps data-plane processes alive: starts them, starts them again when they die, stops them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

from homeostat.core.errors import HomeostatError, InvalidInput, Unavailable

log = logging.getLogger("homeostat.serving")
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
MOST_PROCESSES = 256
# A process that lived this long was healthy: its next death is a new story, with a short wait again.
_HEALTHY_S = 10.0


class Supervisor:
    """`processes` data planes on one port, as child processes of this one; 0: one for each core that is ours to use.

    They end when `stop` is called, and by themselves when this process ends in any way. A process that dies is started
    again after 0.2 s, then 0.4 s and so on up to 5 s.

    Raises: InvalidInput for a number of processes below 0 or above 256, and for several on a port that is not named.

    >>> Supervisor("./.homeostat", port=8080).running
    False
    """

    def __init__(
        self, url: str, *, host: str = "127.0.0.1", port: int = 8080, processes: int = 1, home: str | None = None
    ) -> None:
        if not 0 <= processes <= MOST_PROCESSES:
            raise InvalidInput(f"{processes} data-plane processes", hint=f"0 (one per core) to {MOST_PROCESSES}")
        self.processes = processes or cores()
        if self.processes > 1 and not port:
            raise InvalidInput("several processes cannot share a port that is not named", hint="name a --serve-port")
        self._url = url
        self._host = host
        self._port = port
        self._home = home
        self._children: list[subprocess.Popen[bytes] | None] = [None] * self.processes
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self.restarts = 0

    @property
    def running(self) -> bool:
        """Whether every process is alive at this moment."""
        return bool(self._threads) and all(child is not None and child.poll() is None for child in self._children)

    @property
    def pids(self) -> list[int]:
        """The processes that are alive."""
        return [child.pid for child in self._children if child is not None and child.poll() is None]

    def start(self) -> None:
        """Start the processes; returns at once. Whether they answer yet, `wait_listening` tells."""
        for index in range(len(self._children)):
            thread = threading.Thread(target=self._keep, args=(index,), name=f"data-plane-{index}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_listening(self, timeout_s: float = 30.0) -> None:
        """Return when the port answers. Raises Unavailable when it does not within `timeout_s`."""
        import http.client

        deadline = time.monotonic() + timeout_s
        while True:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=1)
            try:
                connection.request("GET", "/v2/health/live")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the data plane does not answer on port {self._port} after {timeout_s:g} s",
                    hint="its log says why",
                )
            time.sleep(0.02)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Let the processes answer what they were asked, then end them. One that takes too long is killed."""
        self._stopping.set()
        for child in self._children:
            if child is not None and child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + timeout_s
        for child in self._children:
            if child is None:
                continue
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("data plane %s does not end; it is killed", child.pid)
                child.kill()
                child.wait()
        for thread in self._threads:
            thread.join(1)
        self._threads.clear()

    def _keep(self, index: int) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._stopping.is_set():
            started = time.monotonic()
            child = self._children[index] = self._spawn(index)
            if self._stopping.is_set():  # stop() may have looked before there was a child to end
                child.terminate()
            code = child.wait()
            if child.stdin is not None:
                child.stdin.close()
            if self._stopping.is_set():
                return
            wait_s = _FIRST_WAIT_S if time.monotonic() - started > _HEALTHY_S else min(2 * wait_s, _LONGEST_WAIT_S)
            log.error("data plane %s ended (%s); it is started again in %.1f s", child.pid, _death(code), wait_s)
            self.restarts += 1
            self._stopping.wait(wait_s)

    def _spawn(self, index: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "homeostat.serving.plane", "--url", self._url, "--host", self._host,
                   "--port", str(self._port), "--index", str(index), "--supervised"]  # fmt: skip
        if len(self._children) > 1:
            command.append("--reuse-port")
        environment = dict(os.environ)
        if self._home is not None:
            environment["HOMEOSTAT_HOME"] = self._home
        # A session of its own: Ctrl-C reaches the supervisor alone, which ends the planes in order.
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)


def cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _death(code: int) -> str:
    if code < 0:
        return f"signal {-code}"
    kinds = {kind.exit_code: kind.code for kind in HomeostatError.__subclasses__()}
    return f"exit code {code}" + (f", {kinds[code]}" if code in kinds else "")
