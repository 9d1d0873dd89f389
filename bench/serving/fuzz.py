"""Mutilated requests against the parsers of the data plane: nothing may crash, hang, or be understood two ways.

    python -m bench.serving.fuzz [--inputs 1000000] [--seed 0] [--target http1] [--processes 2]

Each input is a good one of its kind with a few mutations. It must be accepted whole or refused in one line: by an
error of ours below HTTP, by a 4xx with {"error": …} or a closed connection above. A request whose length can be read
two ways (Transfer-Encoding beside Content-Length, two lengths) must not be answered, nor anything behind it.
Prints inputs per second and the slowest input of each target; exit code 1 with the input when something breaks.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from homeostat.core.errors import HomeostatError
from homeostat.core.heads import Heads
from homeostat.registry import ModelParameter
from homeostat.serving.asked_by_mlflow import AskedContract
from homeostat.serving.contract import ColumnsContract, Contract, MatrixContract, TensorsContract, TensorSpec
from homeostat.serving.explaining import rows_to_explain
from homeostat.serving.http1 import Connection, Exchange, Head, Limits, Server
from homeostat.serving.http2.call import Call
from homeostat.serving.http2.connection import Http2
from homeostat.serving.http2.frames import PREFACE
from homeostat.serving.oip import WireRequest, read_request
from homeostat.serving.one_line import one_line
from homeostat.serving.polling import Polling
from homeostat.serving.rpc_infer import InferCall
from homeostat.serving.rpc_wire import field, number, packed
from homeostat.serving.scoring import read_csv, read_json

SLOW_S = 2.0
ASLEEP: Any = SimpleNamespace(call_soon=lambda _: None)  # a loop that never turns


def _asked() -> AskedContract:
    contract = AskedContract("m", [_spec("a", "FP64"), _spec("b", "BYTES"), _spec("c", "BOOL")], "key", "time")
    kinds = ("long", "double", "string", "boolean", "datetime", "object")
    contract.declare([ModelParameter(name=kind, type=kind) for kind in kinds], ["b", "c"])
    return contract


def _spec(name: str, datatype: str, shape: list[int] | None = None) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape or [-1])


CONTRACTS: list[Contract] = [
    MatrixContract("m", [_spec(name, "FP32") for name in "abc"], "key", "time"),
    ColumnsContract("m", [_spec("a", "INT64"), _spec("b", "BYTES"), _spec("c", "BOOL")], "key", "time"),
    TensorsContract("m", [_spec("x", "FP64", [-1, 2])], "key", "time", batchable=True),
    TensorsContract("m", [_spec("x", "BYTES", [-1, -1])], "key", "time", batchable=False),
    TensorsContract("m", [_spec("x", "BF16", [-1, 2])], "key", "time", batchable=True),
    _asked(),
]
_WORDS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"\xff", b"Content-Length: 5\r\n", b"Content-Length: +5\r\n", b",", b"[", b"]",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:\tchunked\r\n", b"transfer-encoding: identity\r\n", b"0",
    b"0\r\n\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"HTTP/1.0", b"null", b"NaN", b"1e999", b"-1",
    b"99999999999999999999", b"9223372036854775807", b"4294967296", b'"', b"{", b"}", b"true", b"\\ud800", b"\xc3",
    b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", b'"binary_data_size":', b"\x80\x80\x80\x80\x80\x80",
    b'"content_type":"pd"', b'"content_type":"base64"', b"FP16", b"BF16", b"BYTES", b"INT8", b"UINT64",
]  # fmt: skip


def mutate(dice: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with one to five mutations."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(data) + 1)
        stop = min(len(data), at + dice.randint(1, 12))
        kind = dice.randrange(8)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << dice.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = dice.randrange(256)
        elif kind == 2:
            del data[at:stop]
        elif kind == 3:
            data[at:at] = data[at:stop]
        elif kind == 4:
            data[at:at] = dice.choice(_WORDS)
        elif kind == 5:
            data[at:stop] = dice.choice(_WORDS)
        elif kind == 6:
            other = dice.choice(seeds)
            data[at:] = other[dice.randrange(len(other) + 1) :]
        else:
            digits = [place for place, byte in enumerate(data) if 48 <= byte < 58]
            if digits:
                place = dice.choice(digits)
                data[place : place + 1] = str(dice.choice([0, 1, 2, 7, 255, 65536, -1])).encode()
    return bytes(data)


class _Transport(asyncio.Transport):
    """Keeps what is written. Anything written after the end is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self.closed, "written after the end"
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...


def _head(lines: list[str], body: bytes = b"") -> bytes:
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
HTTP1_SEEDS = [
    _head(["POST /v2/models/m/infer HTTP/1.1", "Host: localhost", "Content-Length: 5"], b"hello") * 2,
    _head(["POST /a HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
    _head(["POST /a HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked"], b"3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"),
    _head(["POST /a HTTP/1.1", "Host: localhost", "Content-Length: 6", "Transfer-Encoding: chunked"],
          b"0\r\n\r\n" + _SMUGGLED),
    _head(["POST /a HTTP/1.1", "Host: localhost", f"Content-Length: {len(_SMUGGLED)}"], _SMUGGLED),
    _head(["HEAD /v2 HTTP/1.1", "Host: localhost", "Connection: close"]),
    _head(["GET / HTTP/1.0", "Connection: keep-alive"]) + _head(["GET /b HTTP/1.1", "Host: localhost"]),
    _head(["POST /a HTTP/1.1", "Host: localhost", "Expect: 100-continue", "Content-Length: 2"], b"{}"),
    PREFACE,
]  # fmt: skip
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")


_HEADS = Heads[Head]()  # of all inputs so far


def http1(dice: random.Random, data: bytes) -> None:
    """A connection: every answer is 200 or a 4xx with an error, and nothing ambiguous is answered. Heads that were met
    before mean what they mean to somebody who meets them for the first time."""
    cuts = [dice.choice([len(data), len(data), 7, 60]) for _ in range(1 + len(data) // 7)]
    heard, written = _told(data, cuts, _HEADS)
    assert (heard, written) == _told(data, cuts, Heads[Head]()), "a known head is understood in another way"
    answered = _check_answers(written)
    assert answered >= len(heard), "a request without an answer"
    # Pipelined inputs are judged by their first request: what comes after an ambiguous one must not be heard either.
    if _ambiguous(data):
        assert not heard, f"{len(heard)} requests were answered although the first can be read two ways"


def _told(data: bytes, cuts: list[int], heads: Heads[Head]) -> tuple[list[tuple[Any, ...]], bytes]:
    """What a server heard and said that knows these heads."""
    heard: list[tuple[Any, ...]] = []

    def handle(exchange: Exchange) -> None:
        heard.append((exchange.method, exchange.target, exchange.headers, exchange.body))
        exchange.answer(200, b"application/json", b"{}")

    transport = _Transport()
    server = Server(handle, Limits(body=500, head=600, in_flight=8), Polling(ASLEEP))
    server.heads = heads
    connection = Connection(server)
    connection.connection_made(transport)
    at = 0
    for cut in cuts:
        if at < len(data) and not transport.closed:
            connection.data_received(data[at : at + cut])
        at += cut
    return heard, transport.written


def _check_answers(written: bytes) -> int:
    count = 0
    while written:
        match = _STATUS.match(written)
        assert match, f"no status line: {written[:80]!r}"
        status = int(match[1])
        head, _, rest = written.partition(b"\r\n\r\n")
        if status == 100:
            written = rest
            continue
        count += 1
        size = int(next(line[16:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")))
        assert status == 200 or 400 <= status < 500, f"status {status}"
        if status != 200:
            assert set(msgspec.json.decode(rest[:size])) == {"error"}
        written = rest[size:] if not rest.startswith(b"HTTP/1.1 ") else rest  # HEAD has a length and no body
    return count


def _ambiguous(data: bytes) -> bool:
    """Whether the first request says its length in two ways, read by the letter and nothing else."""
    head, end, _ = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not end:
        return False
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    lengths, codings = names.count(b"content-length"), names.count(b"transfer-encoding")
    return lengths + codings > 1


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _http2_seeds() -> list[bytes]:
    import hpack

    def call(encoder: hpack.Encoder, stream: int) -> bytes:
        fields = [(":method", "POST"), (":scheme", "http"), (":path", "/s/C"), (":authority", "localhost"),
                  ("content-type", "application/grpc"), ("grpc-encoding", "gzip")]  # fmt: skip
        return _frame(1, 4, stream, encoder.encode(fields)) + _frame(0, 1, stream, b"\0\0\0\0\5hello")

    encoder = hpack.Encoder()
    settings = _frame(4, 0, 0, struct.pack(">HIHI", 4, 100, 5, 16384))
    calls = b"".join([call(encoder, stream) for stream in (1, 3, 5)])
    extras = _frame(8, 0, 0, struct.pack(">I", 99)) + _frame(6, 0, 0, bytes(8)) + _frame(3, 0, 1, bytes(4))
    return [settings + calls, settings + extras[:13] + calls, calls + extras, _frame(0, 8, 1, b"\2abc\0\0") + calls]


HTTP2_SEEDS = _http2_seeds()


def http2(dice: random.Random, data: bytes) -> None:
    """A connection: calls are answered, or the connection ends."""

    def handle(call: Call) -> None:
        call.answer(call.body)

    transport = _Transport()
    server = Server(lambda _: None, Limits(body=500, head=600, in_flight=8), Polling(ASLEEP))
    connection = Http2(server, handle)
    connection.connection_made(transport)
    data = PREFACE + data
    at = 0
    while at < len(data) and not transport.closed:
        step = dice.choice([len(data), len(data), 7, 60])
        connection.data_received(data[at : at + step])
        at += step
    written = transport.written
    while written:
        length = int.from_bytes(written[:3], "big")
        assert len(written) >= 9 + length, "half a frame is written"
        if written[3] == 7:
            code = int.from_bytes(written[13:17], "big")
            assert code != 2, "an internal error ends the connection"
        written = written[9 + length :]


def _wire(contract: Contract, binary: bool) -> bytes:
    inputs: list[dict[str, Any]] = []
    tail = b""
    for spec in contract.offered:
        shape = [2 if size < 0 else size for size in spec.shape]
        count = int(np.prod(shape))
        text = spec.datatype == "BYTES"
        value: Any = "x" if text else spec.datatype == "BOOL" or 1
        tensor: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": shape}
        if binary:
            size = {"FP32": 4, "BOOL": 1, "BF16": 2}.get(spec.datatype, 8)
            block = b"\1\0\0\0x" * count if text else bytes(size * count)
            tail += block
            tensor["parameters"] = {"binary_data_size": len(block)}
        else:
            tensor["data"] = [value] * count
        inputs.append(tensor)
    inputs.append({"name": "key", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]})
    head = msgspec.json.encode({"id": "x", "parameters": {"content_type": "pd"}, "inputs": inputs})
    return (b"%d\n" % len(head) if binary else b"\n") + head + tail


def _accept(contract: Contract, request: WireRequest, body: bytes, at: int) -> None:
    for wire in request.inputs:
        if wire.parameters is None and request.parameters is not None:
            wire.parameters = request.parameters
    accepted = contract.accept(request.inputs, body, at)
    if contract.asks:
        contract.bind(accepted.payload, request.params, request.parameters)
        assert contract.joins(accepted.payload, accepted.payload)
    arrays = contract.feed(contract.merge([accepted.payload]))
    assert accepted.rows > 0 or not isinstance(contract, MatrixContract)
    if contract.batchable:
        assert all(len(array) == accepted.rows for array in arrays), "the rows differ"


def _refusable(work: Callable[[], object]) -> None:
    refusal: HomeostatError | None = None
    try:
        work()
    except HomeostatError as error:
        refusal = error
    if refusal is not None:
        line = one_line(refusal)
        assert 400 <= refusal.status < 500, f"status {refusal.status}: {line}"
        assert line.isprintable(), f"not one readable line: {line!r}"
        assert len(line) < 2000, f"not a short line: {line!r}"


OIP_SEEDS = [_wire(contract, binary) for contract in CONTRACTS for binary in (False, True)]


def oip(dice: random.Random, data: bytes) -> None:
    """An inference request's body; the line before it is Inference-Header-Content-Length."""
    length, _, body = data.partition(b"\n")
    contract = dice.choice(CONTRACTS)

    def work() -> None:
        request, at = read_request(body, length or None, contract.offered[0])
        _accept(contract, request, body, at)

    _refusable(work)


SCORING_SEEDS = [
    b'{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3], [4, 5, null]], "index": [0, 1]}}',
    b'{"dataframe_records": [{"a": 1, "b": "x", "c": true}, {"a": 2, "b": "y", "c": false}]}',
    b'{"instances": [[1, 2, 3], [4.5, 5, 6]], "params": {}}', b'{"inputs": {"x": [[1, 2], [3, 4]]}}',
    b'{"dataframe_split": {"columns": ["a"], "data": [[1.5]]}, "params": {"long": 1, "double": 0.5, "string": "x"}}',
    b'{"dataframe_records": [{"a": 1}], "params": {"boolean": true, "datetime": "2024-05-01", "object": {"k": [1]}}}',
    b'{"inputs": [[1, "x", true]]}', b'a,b,c\r\n1,2,3\r\n4,"5",6\r\n', b"a,b,c\n1,x,true\n", b'{"inputs": ["a", "b"]}',
]  # fmt: skip


def scoring(dice: random.Random, data: bytes) -> None:
    """A scoring request in JSON or CSV, and a request to explain."""
    contract = dice.choice(CONTRACTS)

    def from_json() -> None:
        request, body = read_json(data, contract, "")
        _accept(contract, request, body, 0)

    _refusable(from_json)
    _refusable(lambda: _accept(contract, read_csv(data, contract, ""), b"", 0))
    _refusable(lambda: rows_to_explain(data, contract))


def _message(contract: Contract, typed: bool) -> bytes:
    inputs: list[bytes] = []
    raws: list[bytes] = []
    for spec in contract.offered:
        shape = [2 if size < 0 else size for size in spec.shape]
        count = int(np.prod(shape))
        tensor = field(1, spec.name) + field(2, spec.datatype) + field(3, packed(shape))
        if typed:
            contents = {"FP32": field(6, bytes(4 * count)), "FP64": field(7, bytes(8 * count)),
                        "INT64": field(3, packed([-1] * count)), "BOOL": field(1, packed([1] * count)),
                        "BYTES": field(8, b"x") * count}.get(spec.datatype, b"")  # fmt: skip
            tensor += field(5, contents)
        else:
            size = {"FP32": 4, "BOOL": 1, "BF16": 2}.get(spec.datatype, 8)
            raws.append(field(7, b"\1\0\0\0x" * count if spec.datatype == "BYTES" else bytes(size * count)))
        inputs.append(field(5, tensor))
    parameter = field(4, field(1, "content_type") + field(2, field(3, "pd"))) + field(4, field(1, "p") + number(2, 1))
    return field(1, "m") + field(3, "id") + parameter + b"".join(inputs + raws) + field(6, field(1, "y"))


RPC_SEEDS = [_message(contract, typed) for contract in CONTRACTS for typed in (False, True)]


def rpc(dice: random.Random, data: bytes) -> None:
    """A ModelInferRequest."""
    contract = dice.choice(CONTRACTS)

    def work() -> None:
        asked = InferCall(data)
        _accept(contract, asked.request, asked.body, 0)

    _refusable(work)


Target = Callable[[random.Random, bytes], None]
TARGETS: dict[str, tuple[Target, list[bytes]]] = {
    "http1": (http1, HTTP1_SEEDS), "http2": (http2, HTTP2_SEEDS), "oip": (oip, OIP_SEEDS),
    "scoring": (scoring, SCORING_SEEDS), "rpc": (rpc, RPC_SEEDS),
}  # fmt: skip


def run(name: str, inputs: int, seed: int | str) -> tuple[float, float, bytes]:
    """Seconds in all, the slowest input's seconds, that input. Raises AssertionError, or whatever broke, with a note
    of the input."""
    target, seeds = TARGETS[name]
    dice = random.Random(f"{name}-{seed}")
    slowest, which = 0.0, b""
    began = time.perf_counter()
    for _ in range(inputs):
        data = mutate(dice, seeds)
        started = time.process_time()  # of this process: others on the machine make no input slow
        try:
            target(dice, data)
        except BaseException as error:
            error.add_note(f"{name}: {data!r}")
            raise
        took = time.process_time() - started
        if took > slowest:
            slowest, which = took, data
    return time.perf_counter() - began, slowest, which


def main() -> int:
    """Print a line for each target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=100_000, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=[*TARGETS])
    parser.add_argument("--processes", type=int, default=1, help="side by side, each with inputs of its own")
    args = parser.parse_args()
    names = [args.target] if args.target else [*TARGETS]
    count, parts = args.inputs // len(names), max(1, args.processes)
    with ProcessPoolExecutor(parts) as pool:
        for name in names:
            began = time.perf_counter()
            seeds = [f"{args.seed}" if parts == 1 else f"{args.seed}-{part}" for part in range(parts)]
            found = list(pool.map(run, [name] * parts, [-(-count // parts)] * parts, seeds))
            _, slowest, which = max(found, key=lambda one: one[1])
            rate = count / (time.perf_counter() - began)
            print(f"{name:8} {count:9} inputs {rate:8.0f}/s   slowest {1e3 * slowest:.1f} ms", flush=True)
            if slowest > SLOW_S:
                print(f"too slow: {which!r}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
