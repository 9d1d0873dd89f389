"""A small, fast client of the data plane: requests go out on several keep-alive connections, many in flight on each.

It waits on its sockets directly instead of through asyncio: so it works inside notebooks and threads, and costs a few
microseconds of CPU per request less.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import numpy as np

from homeostat.core.errors import Corrupt, HomeostatError, InvalidInput, NotFound, Refused, Unavailable
from homeostat.serving import tensors

Request = tuple[str, Mapping[str, Any], tensors.Array]
_CHUNK = 4096
_STATUS: dict[int, type[HomeostatError]] = {
    400: InvalidInput,
    404: NotFound,
    422: Refused,
    429: Unavailable,
    503: Unavailable,
}
_RETRY_WAIT_S = 0.05


class _Output(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}


class _Answer(msgspec.Struct):
    outputs: list[_Output]
    id: str = ""
    model_version: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


class _Line:
    """One connection: what is to be sent, what is awaited, what has arrived."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.socket = socket.create_connection(address, timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.waiting: deque[int] = deque()
        self.outgoing = bytearray()
        self.incoming = bytearray()


class PredictionClient:
    """Asks the data plane at `url` for predictions, in binary mode.

    `connections` times `depth` requests are in flight at once. A request that meets a closed connection or 503 is sent
    again for up to `retry_s` seconds: with its id, so that the prediction log counts it once.

    Examples
    --------
    with PredictionClient("http://127.0.0.1:8080") as client:
        for probabilities in client.predict_many("flight-delay", requests):
            ...
    """

    def __init__(
        self, url: str, *, connections: int = 8, depth: int = 8, timeout_s: float = 30.0, retry_s: float = 30.0,
        token: str = "",
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise InvalidInput(f"{url!r} is not the address of a data plane", hint="such as http://127.0.0.1:8080")
        self.url = url.rstrip("/")
        self._address = (parts.hostname, parts.port or 80)
        self._depth = depth
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._common = f"Host: {parts.netloc}\r\n".encode() + (
            f"Authorization: Bearer {token}\r\n".encode() if token else b""
        )
        self._wanted = connections
        self._lines: list[_Line] = []
        self._selector = selectors.DefaultSelector()

    def predict(self, model: str, features: tensors.Array, *, id: str = "", **metadata: Any) -> tensors.Array:
        """The model's first output for the rows of `features`, shape (rows, columns)."""
        return self.predict_many(model, [(id, metadata, features)])[0]

    def predict_many(self, model: str, requests: Iterable[Request]) -> list[tensors.Array]:
        """The model's first output for every request, in their order.

        A request is (id, metadata, features): `features` of shape (rows, columns), `metadata` tensors by name with one
        value per row, such as `{"key": ["UA-1"], "time": [1357034400000]}` (text or integers). An empty id lets the
        data plane choose one.

        Raises: InvalidInput, NotFound and so on as the data plane answers them, naming the request; Unavailable when
        it cannot be reached for `retry_s` seconds.
        """
        return list(self.iter_predict(model, requests))

    def iter_predict(self, model: str, requests: Iterable[Request]) -> Iterator[tensors.Array]:
        """`predict_many` as it goes along: holds a few thousand requests at a time."""
        path = f"/v2/models/{quote(model, safe='')}/infer"
        start = f"POST {path} HTTP/1.1\r\n".encode() + self._common
        source = iter(requests)
        while chunk := list(islice(source, _CHUNK)):
            yield from self._ask([_encode(start, *request) for request in chunk], chunk)

    def flush(self, model: str) -> int:
        """Return when every prediction answered so far is durable; the number of rows the process has logged."""
        path = f"/v2/models/{quote(model, safe='')}/flush"
        request = f"POST {path} HTTP/1.1\r\n".encode() + self._common + b"Content-Length: 0\r\n\r\n"
        body = self._exchange([request], [("", {}, np.empty(0))])[0][1]
        return int(msgspec.json.decode(body)["rows"])

    def close(self) -> None:
        """Close the connections."""
        for line in list(self._lines):
            self._drop(line)
        self._selector.close()

    def __enter__(self) -> PredictionClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, encoded: list[bytes], requests: list[Request]) -> list[tensors.Array]:
        return [_read_answer(length, body) for length, body in self._exchange(encoded, requests)]

    def _exchange(self, encoded: list[bytes], requests: list[Request]) -> list[tuple[int, bytes]]:
        """The answers to `encoded`, in order: the length of the JSON part (-1: all) and the body."""
        answers: list[tuple[int, bytes] | None] = [None] * len(encoded)
        todo = deque(range(len(encoded)))
        left = len(encoded)
        last_word = time.monotonic()
        deadline = last_word + self._retry_s
        put_off: float | None = None  # since when every answer has been "try again later"
        try:
            while left:
                if not self._connect(deadline):
                    continue
                self._fill(todo, encoded)
                events = self._selector.select(0.5)
                now = time.monotonic()
                if not events and now - last_word > self._timeout_s:
                    raise Unavailable(
                        f"{self.url} has not answered for {self._timeout_s:g} s", hint="is it overloaded?"
                    )
                for key, mask in events:
                    line: _Line = key.data
                    arrived = self._serve(line, mask, todo)
                    if arrived:
                        last_word = now
                        deadline = now + self._retry_s
                    for at, status, length, body in arrived:
                        if status == 200:
                            answers[at] = (length, body)
                            left -= 1
                            put_off = None
                            continue
                        put_off = put_off or now
                        if status not in (429, 503) or now - put_off >= self._retry_s:
                            raise _failure(status, body, requests[at][0])
                        todo.append(at)
                if put_off is not None:
                    time.sleep(_RETRY_WAIT_S)
        except BaseException:
            # What is still in flight must not be taken for the answer to a later question.
            for line in list(self._lines):
                self._drop(line)
            raise
        return [answer for answer in answers if answer is not None]

    def _connect(self, deadline: float) -> bool:
        while len(self._lines) < self._wanted:
            try:
                line = _Line(self._address, self._timeout_s)
            except OSError as error:
                if self._lines:
                    return True
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"no data plane answers at {self.url}: {error.strerror or error}",
                        hint="start it with `homeostat up`, or look at its log",
                    ) from error
                time.sleep(_RETRY_WAIT_S)
                return False
            self._lines.append(line)
            self._selector.register(line.socket, selectors.EVENT_READ, line)
        return True

    def _fill(self, todo: deque[int], encoded: list[bytes]) -> None:
        for line in list(self._lines):
            while todo and len(line.waiting) < self._depth:
                at = todo.popleft()
                line.waiting.append(at)
                line.outgoing += encoded[at]
            if line.outgoing:
                try:
                    self._send(line)
                except OSError:
                    self._lose(line, todo)

    def _send(self, line: _Line) -> None:
        try:
            sent = line.socket.send(line.outgoing)
        except BlockingIOError:
            sent = 0
        del line.outgoing[:sent]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.outgoing else 0)
        if self._selector.get_key(line.socket).events != wanted:
            self._selector.modify(line.socket, wanted, line)

    def _serve(self, line: _Line, mask: int, todo: deque[int]) -> list[tuple[int, int, int, bytes]]:
        try:
            if mask & selectors.EVENT_WRITE:
                self._send(line)
            if not mask & selectors.EVENT_READ:
                return []
            data = line.socket.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self._lose(line, todo)
            return []
        line.incoming += data
        return _split(line)

    def _lose(self, line: _Line, todo: deque[int]) -> None:
        """The connection is gone: what it owed is asked again."""
        todo.extendleft(reversed(line.waiting))
        self._drop(line)

    def _drop(self, line: _Line) -> None:
        self._lines.remove(line)
        self._selector.unregister(line.socket)
        line.socket.close()


def _split(line: _Line) -> list[tuple[int, int, int, bytes]]:
    """The whole answers that have arrived: (request, status, length of the JSON part or -1, body)."""
    found: list[tuple[int, int, int, bytes]] = []
    data, at = line.incoming, 0
    while (end := data.find(b"\r\n\r\n", at)) >= 0:
        head = bytes(data[at:end]).lower()
        mark = head.find(b"\r\ncontent-length: ")
        if not head.startswith(b"http/1.1 ") or mark < 0 or not line.waiting:
            raise Corrupt("the answer is not one of a Homeostat data plane", hint="is another program at this address?")
        size = int(head[mark + 18 :].split(b"\r\n", 1)[0])
        if len(data) < end + 4 + size:
            break
        mark = head.find(b"\r\ninference-header-content-length: ")
        length = int(head[mark + 35 :].split(b"\r\n", 1)[0]) if mark >= 0 else -1
        found.append((line.waiting.popleft(), int(head[9:12]), length, bytes(data[end + 4 : end + 4 + size])))
        at = end + 4 + size
    del data[:at]
    return found


def _encode(start: bytes, id: str, metadata: Mapping[str, Any], features: tensors.Array) -> bytes:
    """One request in binary mode."""
    matrix = np.ascontiguousarray(features, "<f4")
    if matrix.ndim != 2:
        raise InvalidInput(f"request '{id}': features have the shape {matrix.shape}, not (rows, columns)")
    block = matrix.tobytes()
    blocks = [block]
    inputs = [b'{"name":"features","datatype":"FP32","shape":[%d,%d],"parameters":{"binary_data_size":%d}}'
              % (*matrix.shape, len(block))]  # fmt: skip
    for name, values in metadata.items():
        texts = any(isinstance(value, str) for value in values)
        datatype = "BYTES" if texts else "INT64"
        block = tensors.to_bytes(datatype, np.asarray(values, dtype=object if texts else "<i8"))
        blocks.append(block)
        inputs.append(b'{"name":%b,"datatype":"%b","shape":[%d],"parameters":{"binary_data_size":%d}}'
                      % (msgspec.json.encode(name), datatype.encode(), len(values), len(block)))  # fmt: skip
    head = b'{"id":%b,"parameters":{"binary_data_output":true},"inputs":[%b]}' % (
        msgspec.json.encode(id), b",".join(inputs),
    )  # fmt: skip
    body = b"".join((head, *blocks))
    return b"%bInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n%b" % (
        start,
        len(head),
        len(body),
        body,
    )


def _read_answer(length: int, body: bytes) -> tensors.Array:
    answer = _decode(body[:length] if length >= 0 else body)
    first = answer.outputs[0]
    size = first.parameters["binary_data_size"]
    return tensors.from_bytes(first.name, first.datatype, first.shape, body[length : length + size])


def _failure(status: int, body: bytes, id: str) -> HomeostatError:
    try:
        message = str(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message = body[:200].decode("utf-8", "replace")
    kind = _STATUS.get(status, HomeostatError)
    return kind(f"request '{id}': {message}" if id else message, status=status)
