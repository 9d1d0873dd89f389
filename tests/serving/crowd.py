"""Clients that ask one port again and again, and remember what they were told."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from types import TracebackType


class Crowd:
    """`size` clients with a connection each. `statuses`: every status that was answered, 0 for a refused connection;
    `broken`: for each client the turns in which it got no answer."""

    def __init__(self, port: int, path: str, body: bytes, size: int = 8) -> None:
        self._port = port
        self._path = path
        self._body = body
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(size)]
        self.statuses: set[int] = set()
        self.broken: list[list[int]] = []

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        own: list[int] = []
        self.broken.append(own)
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        turn = 0
        while not self._stop.is_set():
            turn += 1
            try:
                line.request("POST", self._path, self._body)
                answer = line.getresponse()
                answer.read()
                self.statuses.add(answer.status)
            except ConnectionRefusedError:
                self.statuses.add(0)
                return
            except (OSError, http.client.HTTPException):
                own.append(turn)
                line.close()
        line.close()


def samples(port: int, name: str) -> list[tuple[str, float]]:
    """The samples of a metric: what stands between its braces, and the value."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    found = [line for line in text.splitlines() if line.partition(" ")[0].partition("{")[0] == name]
    return [
        (line.partition("{")[2].rpartition("}")[0], float(line.rpartition(" ")[2])) for line in found
    ]  # fmt: skip


def requests_of(port: int, process: str) -> int:
    """What one of several processes on the port has answered."""
    mark = f'process="{process}"'
    return int(sum(value for labels, value in samples(port, "homeostat_requests_total") if mark in labels))
