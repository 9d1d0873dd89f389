"""A throw-away S3 server for the tests, in a process of its own."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time

from tests.ports import free_port

# What a client needs to know; the keys are any.
VARIABLES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
# The server looks at the form of a signature only.
SIGNED = "AWS4-HMAC-SHA256 Credential=test/x/us-east-1/s3/aws4_request"


class ObjectStore:
    """A running server. `new_bucket` makes a fresh, empty bucket."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **VARIABLES},
        )
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._buckets = 0
        self._wait()

    def new_bucket(self) -> str:
        self._buckets += 1
        name = f"bucket{self._buckets}"
        assert self.request("PUT", f"/{name}") == 200
        return name

    def request(self, method: str, path: str, body: bytes | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, {"Authorization": SIGNED})
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(300)

    def _wait(self) -> None:
        for _ in range(300):
            try:
                self.request("GET", "/")
                return
            except OSError:
                assert self._process.poll() is None, "the object store did not start"
                time.sleep(0.1)
        raise RuntimeError("the object store did not answer")
