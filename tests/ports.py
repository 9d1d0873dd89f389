"""Ports for servers that are told which to take, or that start again on the one they had."""

from __future__ import annotations

import itertools
import os
import socket

# Below those that the kernel gives to whoever connects, and to each worker of the test run its own: nobody else takes
# one between the moment it is found free and the moment a server listens, nor while a server is away.
_FIRST, _MANY, _WORKERS = 11_000, 5_000, 4
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_tries = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """A loopback port that nothing listens on, another one each time."""
    for tried in itertools.islice(_tries, _MANY):
        port = _FIRST + _WORKER * _MANY + tried % _MANY
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
