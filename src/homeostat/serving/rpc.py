"""gRPC: `inference.GRPCInferenceService`, all unary calls, on the same event loop, lanes and checks as REST.

Beside the Open Inference Protocol's own calls stand the repository, statistics and configuration calls of Triton's
edition of the service, which clients of this protocol expect.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.serving.catalog import Unloaded
from homeostat.serving.http2.call import Call
from homeostat.serving.http2.connection import Http2
from homeostat.serving.one_line import one_line
from homeostat.serving.rpc_infer import RAW, TYPED, InferCall
from homeostat.serving.rpc_wire import bytes_of, field, fields, number, packed, some, text_of, varint

if TYPE_CHECKING:
    from homeostat.serving.app import App

log = logging.getLogger("homeostat.serving")
SERVICE = b"/inference.GRPCInferenceService/"
_TYPES = ["INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32",
          "FP64", "STRING", "BF16"]  # fmt: skip
_SPENT = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


class Rpc:
    """Answers calls. All methods run on the event loop."""

    def __init__(self, app: App) -> None:
        self._app = app
        tracer = app.tracer
        self._call = Call if tracer is None else tracer.call
        self._raw, self._typed = (RAW, TYPED) if tracer is None else (tracer.form(RAW), tracer.form(TYPED))
        self._calls: dict[bytes, tuple[Callable[[Call], None], bool]] = {
            SERVICE + name: (handler, open_to_all)
            for name, handler, open_to_all in (
                (b"ModelInfer", self.infer, False),
                (b"ServerLive", self._live, True),
                (b"ServerReady", self._ready, True),
                (b"ServerMetadata", self._server, True),
                (b"ModelReady", self._model_ready, False),
                (b"ModelMetadata", self._metadata, False),
                (b"ModelConfig", self._config, False),
                (b"ModelStatistics", self._statistics, False),
                (b"RepositoryIndex", self._index, False),
                (b"RepositoryModelLoad", self._load, False),
                (b"RepositoryModelUnload", self._unload, False),
            )
        }

    def protocol(self) -> asyncio.Protocol:
        """The protocol of one more connection."""
        return Http2(self._app.server, self.handle, self._call)

    def handle(self, call: Call) -> None:
        """Answer one call, now or later."""
        found = self._calls.get(call.target)
        if found is None:
            target = call.target[:120].decode("latin-1")
            self._fail(call, 501, f"there is no call {target} (the service is inference.GRPCInferenceService)")
            return
        handler, open_to_all = found
        access = self._app.access
        if not (open_to_all or access.familiar(call)):
            if not access.known(call):
                access.look_up(call, partial(self._app.guarded, self.handle, call))
                return
            refusal = access.refusal(call)
            if refusal is not None:
                self._fail(call, refusal.status, refusal.message)
                return
        try:
            handler(call)
        except Unloaded as found:
            self._app.hold(found.served, handler, call, _own_limit(call))
        except HomeostatError as error:
            self._fail(call, error.status, one_line(error))

    def _fail(self, call: Call, status: int, message: str) -> None:
        codes = self._app.catalog.codes
        codes[status] = codes.get(status, 0) + 1
        call.fail(status, message)

    def infer(self, call: Call) -> None:
        """ModelInfer."""
        started = self._app.since_ns or time.perf_counter_ns()
        asked = InferCall(call.body)
        asking = self._app.asking
        served = self._app.admitted(asked.model, call)
        lane = asking.first(served, asked.version)
        call.body = b""
        limit = call.headers.get(b"grpc-timeout")
        if limit is not None:
            asked.request.parameters = {"timeout": _microseconds(limit), **(asked.request.parameters or {})}
        form = self._typed if asked.typed else self._raw
        asking.ask(served, asked.version, lane, asked.request, asked.body, 0, call, form, started)

    def _live(self, call: Call) -> None:
        call.answer(number(1, 1))

    def _ready(self, call: Call) -> None:
        call.answer(number(1, self._app.facts.ready()))

    def _server(self, call: Call) -> None:
        facts = self._app.facts.server()
        extensions = b"".join([field(3, name) for name in facts["extensions"]])
        call.answer(some(1, facts["name"]) + some(2, facts["version"]) + extensions)

    def _model_ready(self, call: Call) -> None:
        model, version = _named(call.body)
        try:
            self._app.facts.model_ready(model, version)
        except HomeostatError:
            call.answer(b"")  # false
        else:
            call.answer(number(1, 1))

    def _metadata(self, call: Call) -> None:
        facts = self._app.facts.metadata(*_named(call.body))
        parts = [some(1, facts["name"]), *[field(2, v) for v in facts["versions"]], some(3, facts["platform"])]
        for at, key in ((4, "inputs"), (5, "outputs")):
            for spec in facts[key]:
                sizes = packed(spec["shape"])
                parts.append(field(at, some(1, spec["name"]) + some(2, spec["datatype"]) + some(3, sizes)))
        call.answer(b"".join(parts))

    def _config(self, call: Call) -> None:
        facts = self._app.facts.config(*_named(call.body))
        # ModelVersionPolicy.specific is a message whose only field lists the versions.
        policy = field(3, field(3, field(1, packed(facts["version_policy"]["specific"]["versions"]))))
        parts = [some(1, facts["name"]), some(2, facts["platform"]), policy, number(4, facts["max_batch_size"])]
        for spec in facts["input"]:
            parts.append(field(5, some(1, spec["name"]) + _kind(spec) + some(4, packed(spec["dims"]))))
        for spec in facts["output"]:
            parts.append(field(6, some(1, spec["name"]) + _kind(spec) + some(3, packed(spec["dims"]))))
        if "dynamic_batching" in facts:
            parts.append(field(11, b""))
        call.answer(field(1, b"".join([*parts, field(17, facts["backend"])])))

    def _statistics(self, call: Call) -> None:
        model, version = _named(call.body)
        found: list[bytes] = []
        for facts in self._app.facts.statistics(model or None, version):
            spent = facts["inference_stats"]
            times = [field(at, number(1, spent[name]["count"]) + number(2, spent[name]["ns"]))
                     for at, name in enumerate(_SPENT, 1)]  # fmt: skip
            found.append(
                field(1, some(1, facts["name"]) + some(2, facts["version"]) + number(3, facts["last_inference"])
                      + number(4, facts["inference_count"])
                      + number(5, facts["execution_count"]) + field(6, b"".join(times)))
            )  # fmt: skip
        call.answer(b"".join(found))

    def _index(self, call: Call) -> None:
        ready_only = any(at == 2 and value == 1 for at, _, value in fields(call.body))
        found = [
            field(1, some(1, m["name"]) + some(2, m["version"]) + some(3, m["state"]) + some(4, m["reason"]))
            for m in self._app.facts.index(ready_only)
        ]
        call.answer(b"".join(found))

    def _load(self, call: Call) -> None:
        model, parameters = _repository(call.body)
        actor = self._app.access.actor(call, "serving:write")
        self._later(call, self._app.repository.load(model, dict.fromkeys(parameters), actor))

    def _unload(self, call: Call) -> None:
        model, _ = _repository(call.body)
        actor = self._app.access.actor(call, "serving:write")
        self._later(call, self._app.repository.unload(model, actor))

    def _later(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        async def answer() -> None:
            try:
                await work
            except HomeostatError as error:
                self._fail(call, error.status, one_line(error))
            except Exception:
                log.exception("a call could not be handled")
                self._fail(call, 500, "internal error; the server's log has the details")
            else:
                call.answer(b"")

        self._app.keep(answer())


def _microseconds(limit: bytes) -> int:
    """A call's time limit: up to eight digits and a unit.

    >>> _microseconds(b"20m")
    20000
    """
    unit = {b"H": 3.6e9, b"M": 6e7, b"S": 1e6, b"m": 1e3, b"u": 1.0, b"n": 1e-3}.get(limit[-1:])
    if unit is None or not limit[:-1].isdigit() or len(limit) > 9:
        raise InvalidInput(f"grpc-timeout is {limit[:20].decode('latin-1')!r}", hint="for example 500m")
    return min(max(1, round(int(limit[:-1]) * unit)), 86_400_000_000)


def _own_limit(call: Call) -> int:
    """The call's own time limit in microseconds; 0 when it has none, or one that will be refused."""
    try:
        return _microseconds(call.headers[b"grpc-timeout"])
    except (KeyError, InvalidInput):
        return 0


def _named(message: bytes) -> tuple[str, str | None]:
    """Name and version, fields 1 and 2 of every request about a model."""
    name = version = ""
    for at, _, value in fields(message):
        if at == 1:
            name = text_of(value)
        elif at == 2:
            version = text_of(value)
    return name, version or None


def _repository(message: bytes) -> tuple[str, list[str]]:
    """The model's name and the names of the parameters of a load or unload request."""
    model = ""
    parameters: list[str] = []
    for at, _, value in fields(message):
        if at == 2:
            model = text_of(value)
        elif at == 3:
            parameters += [text_of(name) for place, _, name in fields(bytes_of(value)) if place == 1]
    if not model:
        raise InvalidInput("the request names no model")
    return model, parameters


def _kind(spec: dict[str, Any]) -> bytes:
    return b"\x10" + varint(_TYPES.index(spec["data_type"].removeprefix("TYPE_")))
