"""A control plane for tests: real uvicorn on a loopback port, in a thread of the test's process."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from typing import Any

import homeostat as hs
from homeostat.server.app import make_app
from homeostat.server.up import ControlPlane, configured


class Answer:
    """What a request was answered."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error told, whose shape is checked."""
        told = self.json
        assert set(told) == {"error"}
        assert set(told["error"]) == {"code", "message", "hint", "facts"}
        assert self.headers["Content-Type"] == "application/json"
        return told["error"]


class Running:
    """A server on `workspace`. `host` is what the app believes to listen on; the socket is always on loopback."""

    def __init__(self, workspace: hs.Workspace, host: str = "127.0.0.1") -> None:
        self.workspace = workspace
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.app = app = make_app(workspace, host)
        config = configured(app, log_level="critical", grace_s=1)
        self._server = ControlPlane(config, app.state.live)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        deadline = time.monotonic() + 300
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request as it is written; `Host` is this server unless `headers` says otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            named = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            raw = body.encode() if isinstance(body, str) else body
            if raw is not None and "Content-Length" not in named and "Transfer-Encoding" not in named:
                named["Content-Length"] = str(len(raw))
            for name, value in named.items():
                connection.putheader(name, value)
            connection.endheaders(raw)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, path: str, arguments: object, headers: dict[str, str] | None = None) -> Answer:
        """POST `arguments` as JSON."""
        return self.request(
            "POST", path, json.dumps(arguments), {"Content-Type": "application/json", **(headers or {})}
        )

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(300)
        assert not self._thread.is_alive()
