"""Receivers on this machine: an HTTP server that answers as it is told, and a mail server that keeps what it gets."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """An HTTP server that keeps every request. `answer` gives (status, headers) for the n-th one, from 0."""

    def __init__(self, answer: Callable[[int], tuple[int, dict[str, str]]] = lambda n: (200, {})) -> None:
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = receiver.answer(len(receiver.requests))
                receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/s3cret?key=k"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class MailBox:
    """A mail server that takes everything and keeps envelope and text."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                box._talk(self)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _talk(self, handler: socketserver.StreamRequestHandler) -> None:
        sender, to = "", []
        handler.wfile.write(b"220 here\r\n")
        while line := handler.rfile.readline().decode().strip():
            word = line.split(" ")[0].upper()
            if word == "MAIL":
                sender = line.split("<")[1].split(">")[0]
            elif word == "RCPT":
                to.append(line.split("<")[1].split(">")[0])
            elif word == "DATA":
                handler.wfile.write(b"354 go on\r\n")
                lines: list[str] = []
                while (text := handler.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(text)
                self.mails.append((sender, to, "\n".join(lines)))
            handler.wfile.write(b"221 bye\r\n" if word == "QUIT" else b"250 ok\r\n")
            if word == "QUIT":
                return

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
