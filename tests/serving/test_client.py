"""The client against servers that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from homeostat.core.errors import Corrupt, HomeostatError, InvalidInput, Unavailable
from homeostat.serving import PredictionClient

ROW = np.ones((1, 2), "f4")
HEAD = (
    b'{"model_name":"m","id":"","outputs":'
    b'[{"name":"p","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}'
)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nInference-Header-Content-Length: %d\r\n\r\n%b" % (
    len(HEAD) + 4, len(HEAD), HEAD + np.float32(0.25).tobytes(),
)  # fmt: skip
LATER = b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 19\r\n\r\n{"error":"loading"}'


class Scripted:
    """A server that answers each connection's requests with the next of its answers, then closes. None: it hangs."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = iter(answers)
        self.asked = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open: list[socket.socket] = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        for answer in self.answers:
            try:
                self.serve(answer)
            except OSError:  # the client has gone, or the test is over
                continue

    def serve(self, answer: bytes | None) -> None:
        connection, _ = self.listener.accept()
        self.open.append(connection)
        data = b""
        while b'"inputs"' not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        self.asked += 1
        if answer is not None:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.listener.close()
        for connection in self.open:
            connection.close()


@pytest.fixture
def scripted() -> Iterator[type[Scripted]]:
    made: list[Scripted] = []

    class Kept(Scripted):
        def __init__(self, answers: list[bytes | None]) -> None:
            super().__init__(answers)
            made.append(self)

    yield Kept
    for server in made:
        server.close()


def ask(url: str, **options: float) -> np.ndarray:
    with PredictionClient(url, connections=1, depth=1, **options) as client:  # type: ignore[arg-type]
        return client.predict("m", ROW, id="r1")


def test_an_answer_cut_off_and_one_put_off_are_asked_again(scripted: type[Scripted]) -> None:
    server = scripted([GOOD[:20], b"", LATER, GOOD[:-1], GOOD])
    assert ask(server.url).tolist() == [0.25]
    assert server.asked == 5


def test_patience_ends(scripted: type[Scripted]) -> None:
    with pytest.raises(Unavailable, match="request 'r1': loading"):
        ask(scripted([LATER] * 1000).url, retry_s=0.2)
    with pytest.raises(Unavailable, match="has not answered for 0.1 s"):
        ask(scripted([None]).url, timeout_s=0.1)
    with pytest.raises(Unavailable, match="no data plane answers"):
        ask("http://127.0.0.1:1", retry_s=0)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", Corrupt, "not one of a Homeostat data plane"),
        (b"HTTP/1.1 200 OK\r\n\r\n", Corrupt, "not one of a Homeostat data plane"),
        (b'HTTP/1.1 400 Bad\r\nContent-Length: 17\r\n\r\n{"error":"shape"}', InvalidInput, "request 'r1': shape"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nboom", HomeostatError, "request 'r1': boom"),
    ],
)
def test_other_answers_are_told(scripted: type[Scripted], answer: bytes, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        ask(scripted([answer]).url)


def test_what_cannot_be_asked_is_told() -> None:
    with pytest.raises(InvalidInput, match="is not the address of a data plane"):
        PredictionClient("localhost:8080")
    with PredictionClient("http://127.0.0.1:1") as client, pytest.raises(InvalidInput, match=r"have the shape \(2,\)"):
        client.predict("m", np.ones(2))
