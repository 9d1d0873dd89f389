"""The data plane's paths: which handler answers what, and the checks that come before all of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import unquote

from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.core.workspace import Workspace
from homeostat.serving.access import Access, Asked
from homeostat.serving.asking import REST, Asking, own_timeout_us
from homeostat.serving.catalog import Catalog, Unloaded
from homeostat.serving.coding import inflate
from homeostat.serving.explaining import explained, rows_to_explain
from homeostat.serving.facts import Facts
from homeostat.serving.feedback import read_feedback, record_feedback
from homeostat.serving.fleet import Fleet
from homeostat.serving.http1 import JSON, Exchange, Limits, Server
from homeostat.serving.oip import read_request
from homeostat.serving.one_line import one_line
from homeostat.serving.pages import Pages, json_object
from homeostat.serving.polling import Polling
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.repository import Repository
from homeostat.serving.request_ids import given_id, id_line
from homeostat.serving.residency import deadline_ns
from homeostat.serving.scoring import PREDICTIONS, read_csv, read_json
from homeostat.serving.served import Held, Served
from homeostat.serving.shadow import Shadow
from homeostat.serving.tracing import TracedDelivery, Tracer

log = logging.getLogger("homeostat.serving")

Handler = Callable[[Exchange], None]


class App:
    """Answers exchanges. All methods run on the event loop."""

    def __init__(
        self, ws: Workspace, predictions: PredictionLog, shadow: Shadow, access: Access, limits: Limits,
        tracer: Tracer | None = None,
    ) -> None:  # fmt: skip
        self._ws = ws
        self.tracer = tracer
        self._rest, self._scores = (
            (REST, PREDICTIONS) if tracer is None else (tracer.form(REST), tracer.form(PREDICTIONS))
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.server = Server(self.handle, limits, Polling(self._loop))
        if tracer is not None:
            self.server.exchange = tracer.exchange
        self.catalog = Catalog(self.server, predictions, shadow, ws.settings.memory_budget_mb << 20)
        if tracer is not None:
            self.catalog.deliveries = TracedDelivery
        self.access = access
        self.facts = Facts(self.catalog)
        self.pages = Pages(self.catalog, self.facts, None if tracer is None else tracer.exporter)
        self.fleet = Fleet(self.catalog, self.pages)
        self.repository = Repository(ws, self.catalog)
        self.asking = Asking(self.catalog)
        self.since_ns = 0  # while a request that was held is asked again: when it came
        self._handlers: dict[bytes, tuple[dict[bytes, Handler], bool]] = {}

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, now or later."""
        entry = self._handlers.get(exchange.target) or self._resolve(exchange.target)
        if entry is None:
            target = exchange.target[:120].decode("latin-1")
            self._fail(exchange, 404, f"there is nothing at {target} (the models are under /v2/models/MODEL)")
            return
        handlers, open_to_all = entry
        if not (open_to_all or self.access.familiar(exchange)):
            if not self.access.known(exchange):
                self.access.look_up(exchange, partial(self.guarded, self.handle, exchange))
                return
            refusal = self.access.refusal(exchange)
            if refusal is not None:
                wait = b"Retry-After: %d\r\n" % refusal.wait_s if refusal.wait_s else b""
                self._fail(exchange, refusal.status, refusal.message, wait)
                return
        handler = handlers.get(exchange.method)
        if handler is None:
            allowed = b", ".join(handlers)
            self._fail(exchange, 405, f"{exchange.method.decode()} is not possible here; use {allowed.decode()}",
                       b"Allow: %b\r\n" % allowed)  # fmt: skip
            return
        try:
            handler(exchange)
        except Unloaded as found:
            self.hold(found.served, handler, exchange, own_timeout_us(exchange))
        except HomeostatError as error:
            self._fail(exchange, error.status, one_line(error), _retry_after(error))

    def guarded(self, handle: Callable[[Any], None], waiting: Any) -> None:
        """`handle(waiting)`, begun by no connection, which would answer for what it raises: whoever waits hears of it,
        and those who waited for the same thing are not kept waiting."""
        try:
            handle(waiting)
        except Exception:
            log.exception("a request could not be handled")
            waiting.fail(500, "internal error; the server's log has the details")

    def hold(self, served: Served, handler: Callable[[Any], None], waiting: Any, own_us: int) -> None:
        """Have a request handled when its model is in memory again, within its own time limit if it has one."""
        since_ns = time.perf_counter_ns()
        resume = partial(self.guarded, partial(self._again, since_ns, handler), waiting)
        self.catalog.residency.hold(served, Held(resume, waiting.fail, deadline_ns(served, since_ns, own_us)))

    def _again(self, since_ns: int, handler: Callable[[Any], None], waiting: Any) -> None:
        self.since_ns = since_ns  # it was admitted then, and has waited since
        try:
            handler(waiting)
        except HomeostatError as error:
            waiting.fail(error.status, one_line(error))
        except Unloaded as found:
            waiting.fail(503, str(found))
        finally:
            self.since_ns = 0

    def _fail(self, exchange: Exchange, status: int, message: str, extra: bytes = b"") -> None:
        codes = self.catalog.codes
        codes[status] = codes.get(status, 0) + 1
        exchange.fail(status, message, extra + id_line(given_id(exchange.headers)))

    def _resolve(self, target: bytes) -> tuple[dict[bytes, Handler], bool] | None:
        """The handlers of a path by method, remembered under the target as it was sent."""
        path = target.partition(b"?")[0].decode("latin-1")
        if path.startswith(("http://", "https://")):  # as proxies are asked (RFC 9112, 3.2.2)
            path = "/" + path.partition("://")[2].partition("/")[2]
        parts = [unquote(part) for part in path.rstrip("/").split("/")[1:]]
        entry = self._route(parts)
        if entry is not None and len(self._handlers) < 1024 and len(target) < 1024:
            self._handlers[target] = entry
        return entry

    def _route(self, parts: list[str]) -> tuple[dict[bytes, Handler], bool] | None:
        pages = self.pages
        fixed: dict[tuple[str, ...], tuple[dict[bytes, Handler], bool]] = {
            ("metrics",): (_get(self.metrics), False),
            ("ping",): (_get(pages.ping), True),
            ("health",): (_get(pages.ping), True),
            ("version",): (_get(pages.version), True),
            ("invocations",): ({b"POST": self.score_only}, False),
            ("v1", "models"): (_get(pages.models), False),
            ("v2",): (_get(pages.server), True),
            ("v2", "health", "live"): (_get(pages.live), True),
            ("v2", "health", "ready"): (_get(pages.ready), True),
            ("v2", "models"): (_get(pages.models), False),
            ("v2", "models", "stats"): (_get(partial(pages.stats, None, None)), False),
            ("v2", "repository", "index"): ({b"POST": pages.index, b"GET": pages.index}, False),
        }
        found = fixed.get(tuple(parts))
        if found is not None:
            return found
        handlers: dict[bytes, Handler] | None = None
        if len(parts) >= 3 and parts[2] and parts[1] == "models":
            if parts[0] == "v2":
                handlers = self._of_model(parts[2], tuple(parts[3:]))
            elif parts[0] == "v1" and len(parts) == 3:
                handlers = self._of_v1(parts[2])
        elif parts[:3] == ["v2", "repository", "models"] and len(parts) == 5 and parts[3]:
            calls: dict[str, Handler] = {"load": partial(self.load, parts[3]), "unload": partial(self.unload, parts[3])}
            handlers = {b"POST": calls[parts[4]]} if parts[4] in calls else None
        return None if handlers is None else (handlers, False)

    def _of_model(self, model: str, rest: tuple[str, ...]) -> dict[bytes, Handler] | None:
        pages = self.pages
        version: str | None = None
        if rest[:1] == ("versions",) and len(rest) >= 2:
            version, rest = rest[1], rest[2:]
        paths: dict[tuple[str, ...], dict[bytes, Handler]] = {
            (): _get(partial(pages.metadata, model, version)),
            ("ready",): _get(partial(pages.model_ready, model, version)),
            ("stats",): _get(partial(pages.stats, model, version)),
            ("config",): _get(partial(pages.config, model, version)),
            ("openapi.json",): _get(partial(pages.openapi, model, version)),
            ("infer",): {b"POST": partial(self.infer, model, version)},
            ("invocations",): {b"POST": partial(self.score, model, version)},
        }
        if version is None:
            paths[("flush",)] = {b"POST": partial(self.flush, model)}
            paths[("feedback",)] = {b"POST": partial(self.feedback, model)}
        return paths.get(rest)

    def _of_v1(self, named: str) -> dict[bytes, Handler] | None:
        model, _, call = named.rpartition(":")
        if not model:
            return _get(partial(self.pages.model_ready, named, None))
        calls: dict[str, Handler] = {
            "predict": partial(self.score, model, None),
            "explain": partial(self.explain, model),
        }
        return {b"POST": calls[call]} if call in calls else None

    def admitted(self, model: str, asked: Asked) -> Served:
        """The model, for a request for predictions. Raises as `Catalog.served` and `Admission.check`."""
        served = self.catalog.models.get(model) or self.catalog.served(model)
        if served.admission is not None and not self.since_ns:
            served.admission.check(self.access.actor(asked, "serving:read"))
        return served

    def infer(self, model: str, version: str | None, exchange: Exchange) -> None:
        """POST /v2/models/MODEL[/versions/VERSION]/infer."""
        started = self.since_ns or time.perf_counter_ns()
        served = self.admitted(model, exchange)
        lane = self.asking.first(served, version)
        try:
            body = self._body(exchange)
            json_length = exchange.headers.get(b"inference-header-content-length")
            request, at = read_request(body, json_length, lane.loaded.contract.offered[0])
            if not request.id and b"x-request-id" in exchange.headers:
                request.id = given_id(exchange.headers)
        except InvalidInput:
            served.rejected += 1
            raise
        exchange.body = b""
        self.asking.ask(served, version, lane, request, body, at, exchange, self._rest, started)

    def score_only(self, exchange: Exchange) -> None:
        """POST /invocations: MLflow's path, which names no model, for the only one that is deployed."""
        models = list(self.catalog.models)
        if len(models) > 1:
            raise InvalidInput(
                f"/invocations names no model and {len(models)} are deployed",
                hint="use /v2/models/MODEL/invocations",
            )
        self.score(models[0] if models else "", None, exchange)

    def score(self, model: str, version: str | None, exchange: Exchange) -> None:
        """POST /invocations, /v2/models/MODEL[/versions/VERSION]/invocations and /v1/models/MODEL:predict."""
        started = self.since_ns or time.perf_counter_ns()
        served = self.admitted(model, exchange)
        lane = self.asking.first(served, version)
        contract = lane.loaded.contract
        media = exchange.headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
        identity = given_id(exchange.headers)
        data = b""
        try:
            body = self._body(exchange)
            if media == b"text/csv":
                request = read_csv(body, contract, identity)
            elif media in (JSON, b"application/x-www-form-urlencoded", b""):  # what curl says when it is told nothing
                request, data = read_json(body, contract, identity)
            else:
                self._fail(exchange, 415, f"{media[:80].decode('latin-1')} is not read here; send JSON or text/csv")
                return
        except InvalidInput:
            served.rejected += 1
            raise
        exchange.body = b""
        self.asking.ask(served, version, lane, request, data, 0, exchange, self._scores, started)

    def explain(self, model: str, exchange: Exchange) -> None:
        """POST /v1/models/MODEL:explain: what each feature of each row did to its prediction."""
        lane = self.asking.first(self.admitted(model, exchange), None)
        actor = self.access.actor(exchange, "explain:read")
        rows = rows_to_explain(self._body(exchange), lane.loaded.contract)

        async def work() -> None:
            found = await asyncio.to_thread(explained, self._ws, actor, lane.loaded, rows)
            exchange.answer(200, JSON, found)

        self._later(exchange, work())

    def load(self, model: str, exchange: Exchange) -> None:
        """POST /v2/repository/models/MODEL/load"""
        actor = self.access.actor(exchange, "serving:write")
        parameters: dict[str, Any] = json_object(exchange.body).get("parameters") or {}
        self._later(exchange, self.repository.load(model, parameters, actor))

    def unload(self, model: str, exchange: Exchange) -> None:
        """POST /v2/repository/models/MODEL/unload"""
        actor = self.access.actor(exchange, "serving:write")
        self._later(exchange, self.repository.unload(model, actor))

    def _later(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        """Answer when `work` is done: with nothing unless it has answered itself, or with what it raised."""

        async def answer() -> None:
            try:
                await work
            except HomeostatError as error:
                self._fail(exchange, error.status, one_line(error))
            except Exception:
                log.exception("a request could not be handled")
                self._fail(exchange, 500, "internal error; the server's log has the details")
            else:
                exchange.answer(200, JSON, b"")

        self.keep(answer())

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Have `work` done, however long it takes."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _body(self, exchange: Exchange) -> bytes:
        coding = exchange.headers.get(b"content-encoding")
        return exchange.body if coding is None else inflate(coding, exchange.body, self.server.limits.body)

    def feedback(self, model: str, exchange: Exchange) -> None:
        """POST /v2/models/MODEL/feedback: what answers turned out to be worth, one or many."""
        self.access.actor(exchange, "serving:write")  # rewards move traffic: reading is not enough
        self.catalog.served(model)
        told = read_feedback(self._body(exchange))

        async def tell() -> None:
            recorded = await asyncio.to_thread(record_feedback, self._ws, model, told)
            exchange.answer(200, JSON, b'{"recorded":%d}' % recorded)

        self._later(exchange, tell())

    def metrics(self, exchange: Exchange) -> None:
        """GET /metrics: of every process on this port."""

        async def tell() -> None:
            page = await self.fleet.metrics()
            exchange.answer(200, b"text/plain; version=0.0.4; charset=utf-8", page.text())

        self._later(exchange, tell())

    def flush(self, model: str, exchange: Exchange) -> None:
        """POST /v2/models/MODEL/flush: answers once every prediction that a process on this port accepted before it is
        on disk."""
        self.catalog.served(model)

        async def tell() -> None:
            found = await self.fleet.flush(model)
            if found.failure:
                self._fail(
                    exchange, 507, f"the prediction log cannot be written: {found.failure} (free some disk space)"
                )
            else:
                exchange.answer(200, JSON, b'{"flushed":true,"rows":%d,"dropped":%d}' % (found.rows, found.dropped))

        self._later(exchange, tell())


def _retry_after(error: HomeostatError) -> bytes:
    wait_s = error.facts.get("retry_after_s", 1 if error.status == 503 else 0)
    return b"Retry-After: %d\r\n" % wait_s if wait_s else b""


def _get(handler: Handler) -> dict[bytes, Handler]:
    return {b"GET": handler, b"HEAD": handler}
