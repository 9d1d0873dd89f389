"""The data plane's paths: which handler answers what, and the checks that come before all of them."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

from homeostat.core.errors import HomeostatError, InvalidInput, TooLarge
from homeostat.serving.access import Access
from homeostat.serving.asking import REST, Asking
from homeostat.serving.catalog import Catalog
from homeostat.serving.http1 import JSON, Exchange, Limits, Server
from homeostat.serving.lane import one_line
from homeostat.serving.oip import read_request
from homeostat.serving.pages import Pages
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.shadow import Shadow

log = logging.getLogger("homeostat.serving")

Handler = Callable[[Exchange], None]


class App:
    """Answers exchanges. All methods run on the event loop."""

    def __init__(self, predictions: PredictionLog, shadow: Shadow, access: Access, limits: Limits) -> None:
        self.server = Server(self.handle, limits)
        self.catalog = Catalog(self.server, predictions, shadow)
        self.access = access
        self.pages = Pages(self.catalog)
        self.asking = Asking(self.catalog)
        self._loop = asyncio.get_running_loop()
        self._handlers: dict[bytes, tuple[dict[bytes, Handler], bool]] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, now or later."""
        entry = self._handlers.get(exchange.target) or self._resolve(exchange.target)
        if entry is None:
            target = exchange.target[:120].decode("latin-1")
            self._fail(exchange, 404, f"there is nothing at {target} (the models are under /v2/models/MODEL)")
            return
        handlers, open_to_all = entry
        if not open_to_all:
            if not self.access.known(exchange):
                header = exchange.headers.get(b"authorization", b"")
                looking = self._loop.run_in_executor(None, self.access.look_up, header)
                looking.add_done_callback(lambda _: self.handle(exchange))
                return
            refusal = self.access.refusal(exchange)
            if refusal is not None:
                self._fail(exchange, *refusal)
                return
        handler = handlers.get(exchange.method)
        if handler is None:
            allowed = b", ".join(handlers)
            self._fail(exchange, 405, f"{exchange.method.decode()} is not possible here; use {allowed.decode()}",
                       b"Allow: %b\r\n" % allowed)  # fmt: skip
            return
        try:
            handler(exchange)
        except HomeostatError as error:
            self._fail(exchange, error.status, one_line(error), b"Retry-After: 1\r\n" if error.status == 503 else b"")

    def _fail(self, exchange: Exchange, status: int, message: str, extra: bytes = b"") -> None:
        codes = self.catalog.codes
        codes[status] = codes.get(status, 0) + 1
        exchange.fail(status, message, extra)

    def _resolve(self, target: bytes) -> tuple[dict[bytes, Handler], bool] | None:
        """The handlers of a path by method, remembered under the target as it was sent."""
        path = target.partition(b"?")[0].decode("latin-1")
        parts = [unquote(part) for part in path.rstrip("/").split("/")[1:]]
        entry = self._route(parts)
        if entry is not None and len(self._handlers) < 1024 and len(target) < 1024:
            self._handlers[target] = entry
        return entry

    def _route(self, parts: list[str]) -> tuple[dict[bytes, Handler], bool] | None:
        pages = self.pages
        if parts == ["metrics"]:
            return _get(pages.metrics), False
        if parts[:1] != ["v2"]:
            return None
        fixed: dict[tuple[str, ...], tuple[dict[bytes, Handler], bool]] = {
            (): (_get(pages.server), True),
            ("health", "live"): (_get(pages.live), True),
            ("health", "ready"): (_get(pages.ready), True),
            ("models",): (_get(pages.models), False),
            ("models", "stats"): (_get(partial(pages.stats, None, None)), False),
            ("repository", "index"): ({b"POST": pages.index, b"GET": pages.index}, False),
        }
        rest = tuple(parts[1:])
        if rest in fixed:
            return fixed[rest]
        if len(rest) < 2 or rest[0] != "models" or not rest[1]:
            return None
        model, rest = rest[1], rest[2:]
        version: str | None = None
        if rest[:1] == ("versions",) and len(rest) >= 2:
            version, rest = rest[1], rest[2:]
        of_model: dict[tuple[str, ...], dict[bytes, Handler]] = {
            (): _get(partial(pages.metadata, model, version)),
            ("ready",): _get(partial(pages.model_ready, model, version)),
            ("stats",): _get(partial(pages.stats, model, version)),
            ("infer",): {b"POST": partial(self.infer, model, version)},
        }
        if version is None:
            of_model[("flush",)] = {b"POST": partial(self.flush, model)}
        return (of_model[rest], False) if rest in of_model else None

    def infer(self, model: str, version: str | None, exchange: Exchange) -> None:
        """POST /v2/models/MODEL[/versions/VERSION]/infer."""
        started = time.perf_counter_ns()
        served = self.catalog.served(model)
        lane = self.asking.first(served, version)
        body = exchange.body
        try:
            if b"content-encoding" in exchange.headers:
                body = self._decompress(exchange.headers[b"content-encoding"], body)
            json_length = exchange.headers.get(b"inference-header-content-length")
            request, at = read_request(body, json_length, lane.loaded.contract.offered[0])
        except InvalidInput:
            served.rejected += 1
            raise
        exchange.body = b""
        self.asking.ask(served, version, lane, request, body, at, exchange, REST, started)

    def _decompress(self, coding: bytes, body: bytes) -> bytes:
        windows = {b"gzip": 31, b"deflate": 15, b"identity": 0}
        window = windows.get(coding.strip().lower())
        if window is None:
            raise InvalidInput(f"the content coding '{coding[:40].decode('latin-1')}' is not known", hint="use gzip")
        if not window:
            return body
        limit = self.server.limits.body
        inflater = zlib.decompressobj(window)
        try:
            data = inflater.decompress(body, limit + 1)
        except zlib.error as error:
            raise InvalidInput(f"the body is not {coding.decode('latin-1')}: {error}") from None
        if len(data) > limit:
            raise TooLarge(f"the body is longer than {limit} bytes when decompressed")
        if not inflater.eof or inflater.unused_data:
            raise InvalidInput("the compressed body is cut off or followed by other data")
        return data

    def flush(self, model: str, exchange: Exchange) -> None:
        """POST /v2/models/MODEL/flush: answers once every prediction accepted before it is on disk."""
        served = self.catalog.served(model)
        loop, catalog = self._loop, self.catalog
        waiting = len(served.lanes) + 1

        def written(rows: int, failure: Exception | None) -> None:
            loop.call_soon_threadsafe(answer, rows, failure)

        def answer(rows: int, failure: Exception | None) -> None:
            if failure is not None:
                self._fail(exchange, 507, f"the prediction log cannot be written: {failure} (free some disk space)")
            else:
                body = b'{"flushed":true,"rows":%d,"dropped":%d}' % (rows, catalog.predictions.dropped)
                exchange.answer(200, JSON, body)

        def one_done() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                catalog.shadow.barrier(lambda: catalog.predictions.flush(written))

        for lane in served.lanes:
            lane.barrier(one_done)
        one_done()


def _get(handler: Handler) -> dict[bytes, Handler]:
    return {b"GET": handler, b"HEAD": handler}
