"""The short way for foreign calls: a request whose head is known is answered without the parser and without ASGI.

A client that logs sends the same head again and again, each time with another body. What the parser, the gate and the
table of calls say of a request depends on its head alone, except for whose its token is; so they are asked once.
Everything else goes the way that `protocol.py` and `app.py` show, and so does a request the first time.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple, cast

from starlette.types import Scope

from homeostat.core.heads import Heads, comes_again
from homeostat.server.access import Gate
from homeostat.server.answers import Headers, foreign_error_body, json_headers
from homeostat.server.foreign import Call, Calls, refusal
from homeostat.server.protocol import Bounded

# The largest body that is kept in memory until it is whole, in bytes; larger ones are read as their handlers like.
_MOST = 1 << 20
_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class KnownRequest(NamedTuple):
    """What a head asks for, with which token. `length`: of the body, in bytes; `named`: the arguments in the path."""

    length: int
    call: Call
    token: str
    query: bytes
    named: dict[str, str]


class Direct:
    """What a server knows of the heads that its clients send."""

    def __init__(self, gate: Gate, calls: Calls) -> None:
        self.heads = Heads[KnownRequest]()
        self.gate = gate
        self._calls = calls

    def learn(self, data: bytes, scope: Scope) -> None:
        """Remember the head that `data` begins with and that the parser understood as `scope`, if it may be."""
        found = self._calls.at(scope["path"])
        call = found[0].get(scope["method"]) if found is not None else None
        if found is None or call is None or call.declared.raw:
            return
        headers = dict(scope["headers"])
        length = int(headers.get(b"content-length", b"0"))
        if length > min(_MOST, call.max_body) or not comes_again(headers):
            return
        token = self.gate.token_of(scope)
        # Whoever sends wrong ones is known by the address, which a proxy tells otherwise.
        if token is not None and not (token and b"x-forwarded-for" in headers):
            self.heads.learn(data, KnownRequest(length, call, token, scope["query_string"], found[1]))


class DirectConnection(Bounded):
    """One connection, that takes the short way where it can."""

    def __init__(self, *args: Any, direct: Direct, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._direct = direct
        self._begins = True  # what comes next is the first of a message
        # Of each message begun since the parser was fed: its head, if the connection stays open after it.
        self._met: list[Scope | None] = []
        self._asked: KnownRequest | None = None  # it is being answered, or its body is still to come
        self._parts: list[bytes] = []
        self._missing = 0  # bytes of the body
        self._behind = b""  # came after it
        self._ends = False  # with the answer
        self._quiet_since_s = 0.0

    # --- asyncio ---
    def data_received(self, data: bytes) -> None:
        if self._asked is not None:
            self._more(data)
            return
        begins = self._begins and not self._answering
        if begins and self._free() and (found := self._direct.heads.find(data)) is not None:
            self._begin(*found)
            return
        self._met = []
        super().data_received(data)
        if begins and len(self._met) == 1 and (scope := self._met[0]) is not None:
            self._direct.learn(data, scope)

    def connection_lost(self, exc: Exception | None) -> None:
        self._parts, self._behind = [], b""
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._asked is None:
            super().shutdown()
        self._ends = True

    # --- httptools ---
    def on_message_begin(self) -> None:
        self._begins = False
        self._met.append(None)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        parser = self.parser
        assert parser is not None
        if parser.should_keep_alive() and not parser.should_upgrade() and parser.get_http_version() == "1.1":
            self._met[-1:] = [cast(Scope, self.scope)]

    def on_message_complete(self) -> None:
        super().on_message_complete()
        assert self.parser is not None
        self._begins = not self.parser.should_upgrade()

    # --- the short way ---
    def _free(self) -> bool:
        """Whether one more may be answered, and its answer written. If not, uvicorn knows what to do."""
        most = self.limit_concurrency
        return (
            not self.flow.write_paused
            and not self.transport.is_closing()
            and (most is None or (len(self.connections) < most and len(self.tasks) < most))
        )

    def _begin(self, asked: KnownRequest, body: bytes) -> None:
        self._asked = asked
        self._missing = asked.length - len(body)
        if self._missing:
            self._parts = [body]
            self._since_s, self._body_bytes = self.loop.time(), 0
        else:
            self._start(asked, body)

    def _more(self, data: bytes) -> None:
        if not self._missing:  # of the next request; one at a time, in order
            self._behind += data
            self.flow.pause_reading()
            return
        self._came(len(data))
        part, self._behind = data[: self._missing], data[self._missing :]
        self._missing -= len(part)
        self._parts.append(part)
        if not self._missing:
            body, self._parts = b"".join(self._parts), []
            assert self._asked is not None
            self._start(self._asked, body)

    def _start(self, asked: KnownRequest, body: bytes) -> None:
        task = self.loop.create_task(self._answer(asked, body))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, asked: KnownRequest, body: bytes) -> None:
        try:
            status, said, more = await self._answered(asked, body)
            self.server_state.total_requests += 1
            self._asked = None
            if not self.transport.is_closing():
                headers = [*self.server_state.default_headers, *json_headers(said, more)]
                head = b"".join([b"%b: %b\r\n" % header for header in headers])
                self._joined.write_at_once(_STATUS[status] + head + b"\r\n" + said)
                self._next()
        except BaseException:  # such as a server that ends and does not wait any longer: nothing is left unanswered
            self.transport.close()
            raise

    async def _answered(self, asked: KnownRequest, body: bytes) -> tuple[int, bytes, Headers]:
        """Status, body and further headers."""
        try:
            actor = await self._direct.gate.holder(asked.token, self.client[0] if self.client else "")
            return 200, await asked.call.answer(actor, asked.query, asked.named, body), ()
        except Exception as error:
            refused = refusal(error)
            return refused.status, *foreign_error_body(refused)

    def _next(self) -> None:
        if self._ends:
            self.transport.close()
            return
        self._quiet_since_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wake_after(self.timeout_keep_alive)
        if self._behind:
            data, self._behind = self._behind, b""
            self.flow.resume_reading()
            self.data_received(data)

    def _wake_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        # One timer for many requests: it is not set anew with each of them.
        self.timeout_keep_alive_task = None
        left_s = self._quiet_since_s + self.timeout_keep_alive - self.loop.time()
        if self._asked is not None:
            return
        if left_s > 0:
            self._wake_after(left_s)
        else:
            super().timeout_keep_alive_handler()

    def overdue(self, now_s: float) -> bool:
        """Also whether too little of a body came that is waited for on the short way."""
        if self._asked is None:
            return super().overdue(now_s)
        return self._missing > 0 and self._silent(now_s)
