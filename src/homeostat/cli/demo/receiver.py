"""A local webhook receiver, standing in for a chat room: what would be posted to Slack lands in a file."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Receiver:
    """Listens on a free loopback port and appends every body it gets to `file`, one a line."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), 1 << 20))
                with lock, open(file, "ab") as sink:
                    sink.write(body.replace(b"\n", b" ") + b"\n")
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, name="webhook-receiver", daemon=True).start()

    def count(self) -> int:
        """How many messages have arrived so far, earlier starts of the demo included."""
        return len(self._file.read_bytes().splitlines()) if self._file.exists() else 0

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
