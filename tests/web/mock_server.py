"""The real pages and headers of `homeostat.server`, with the records of `figures` behind them.

    python -m tests.web.mock_server 5000        # then `npm run dev` in web/, or open it as it is

`Mock` can be emptied, told to fail, and made to speak of an event, which a real workspace does only after real work.

What only a slow machine would see is seen on any: with HOMEOSTAT_WEB_LAG_MS=800 every answer, of the mock or of the
real server under test, is held back by 0 to 800 ms, some before they are worked out and some after, so that answers
overtake each other; HOMEOSTAT_WEB_SEED says which by how much. HOMEOSTAT_WEB_SLOWER=6 makes the browser six times as
slow. Together they make a machine that is busy with something else, and no test of these pages may mind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from homeostat.core.errors import HomeostatError
from homeostat.server import pages
from homeostat.server.answers import error_response
from tests.web import figures, figures_live, figures_models, mock_runs

Json = Any


def _not_found(what: str) -> Response:
    body = {"code": "not_found", "message": what, "hint": "list them with `homeostat`", "facts": {}}
    return JSONResponse({"error": body}, 404)


class Mock:
    """The records as they stand, and who listens. Change `loop` or the lists, then `emit` what changed."""

    def __init__(self) -> None:
        self.loops: list[Json] = [figures.loop_status()]
        self.quality = figures.quality()
        self.decisions = figures.decisions()
        self.runs = figures_models.runs()
        self.models = figures_models.models()
        self.tables = figures_models.tables()
        self.views: list[Json] = []
        self.channels: list[Json] = []
        self.deliveries: list[Json] = []
        self.busy = True
        self.failing: Json | None = None
        self.asked: list[str] = []
        self._queues: list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Json]]] = []
        self._last = 0

    def empty(self) -> None:
        """A workspace in which nothing has happened."""
        self.loops, self.quality, self.decisions = [], [], []
        self.runs, self.models, self.tables = [], [], []

    def emit(self, name: str, **payload: Json) -> None:
        """Tell every open page of an event."""
        self._last += 1
        event = {"id": self._last, "name": name, "at_ms": int(time.time() * 1000), "payload": payload}
        for loop, queue in self._queues:
            loop.call_soon_threadsafe(queue.put_nowait, event)

    @property
    def listeners(self) -> int:
        return len(self._queues)

    async def events(self, _: Request) -> Response:
        queue: asyncio.Queue[Json] = asyncio.Queue()
        entry = (asyncio.get_running_loop(), queue)
        self._queues.append(entry)

        async def stream() -> AsyncIterator[str]:
            try:
                yield "retry: 500\n\n"
                while True:
                    event = await queue.get()
                    yield f"id: {event['id']}\nevent: {event['name']}\ndata: {json.dumps(event)}\n\n"
            finally:
                self._queues.remove(entry)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def call(self, request: Request) -> Response:
        name = f"{request.path_params['slice']}/{request.path_params['verb']}"
        self.asked.append(name)
        if self.failing is not None:
            return JSONResponse({"error": self.failing}, 500)
        answer = ANSWERS.get(name)
        if answer is None:
            return _not_found(f"there is nothing at /api/v1/{name}")
        try:
            return JSONResponse(answer(self, dict(request.query_params)))
        except StopIteration:
            return _not_found(f"{name} knows no {dict(request.query_params)}")
        except HomeostatError as error:
            return error_response(error)

    async def predict(self, request: Request) -> Response:
        self.asked.append(f"{request.method} predict")
        if self.failing is not None:
            return JSONResponse({"error": self.failing}, 500)
        if request.method == "GET":
            return JSONResponse(figures_live.takes())
        return JSONResponse(figures_live.predicted((await request.json())["inputs"][0]["shape"][0]))

    async def change(self, request: Request) -> Response:
        name = f"{request.path_params['slice']}/{request.path_params['verb']}"
        given = await request.json()
        self.asked.append(name)
        act = CHANGES.get(name)
        if act is None:
            return _not_found(f"there is nothing at /api/v1/{name}")
        act(self, given)
        return JSONResponse(None)


def _one(items: list[Json], key: str, value: str) -> Json:
    return next(iter([item for item in items if item[key] == value]))


def _drop(items: list[Json], key: str, value: str) -> None:
    items[:] = [item for item in items if item[key] != value]


def _save_view(mock: Mock, given: Json) -> None:
    _drop(mock.views, "name", given["name"])
    mock.views.append({"owner": "local", "updated_ms": 0, **given})


CHANGES: dict[str, Callable[[Mock, Json], Any]] = {
    "tracking/set_tags": lambda m, g: _one(m.runs, "id", g["id"])["tags"].update(g["tags"]),
    "tracking/delete_tag": lambda m, g: _one(m.runs, "id", g["id"])["tags"].pop(g["key"]),
    "tracking/delete_run": lambda m, g: _one(m.runs, "id", g["id"]).update(lifecycle="deleted"),
    "tracking/restore_run": lambda m, g: _one(m.runs, "id", g["id"]).update(lifecycle="active"),
    "notify/replay_delivery": lambda m, g: _one(m.deliveries, "id", g["id"]).update(status="waiting", error=""),
    "tracking/save_view": _save_view,
    "tracking/delete_view": lambda m, g: _drop(m.views, "name", g["name"]),
}
ANSWERS: dict[str, Callable[[Mock, dict[str, str]], Json]] = {
    "loop/list_models": lambda m, _: m.loops,
    "loop/status": lambda m, q: _one(m.loops, "model", q["model"]),
    "loop/quality_history": lambda m, _: m.quality,
    "loop/decisions": lambda m, _: m.decisions,
    "loop/why": lambda m, q: figures.why(_one(m.decisions, "id", q["id"])),
    "tracking/search_runs": lambda m, q: mock_runs.page(m.runs, q),
    "tracking/run_facets": lambda m, q: mock_runs.facets(m.runs, q),
    "tracking/get_runs": lambda m, q: [run for ident in json.loads(q["ids"]) for run in m.runs if run["id"] == ident],
    "tracking/metric_ranges": lambda m, q: mock_runs.ranges(m.runs, q),
    "tracking/metric_curves": lambda m, q: mock_runs.curves(m.runs, q),
    "tracking/get_run": lambda m, q: _one(m.runs, "id", q["id"]),
    "pipelines/get_pipeline_run": lambda m, q: figures_models.pipeline_run(m.runs, q["run"]),
    "tracking/list_views": lambda m, _: m.views,
    "tracking/list_media": lambda m, q: mock_runs.logged(q),
    "tracking/preview_table": lambda m, q: mock_runs.table_of(q),
    "tracking/list_artifacts": lambda m, q: mock_runs.artifacts(q["id"]),
    "registry/list_models": lambda m, _: m.models,
    "registry/list_versions": lambda m, q: figures_models.versions() if q["model"] == "flight-delay" else [],
    "registry/get_model": lambda m, q: _one(m.models, "name", q["name"]),
    "registry/diff_versions": lambda m, q: figures_models.version_diff(int(q["first"]), int(q["second"])),
    "registry/history": lambda m, _: figures_models.history(),
    "registry/list_rules": lambda m, _: [],
    "registry/list_requests": lambda m, _: [],
    "notify/list_channels": lambda m, _: m.channels,
    "notify/list_deliveries": lambda m, _: m.deliveries,
    "explain/importance": lambda m, _: figures_models.importance(),
    "serving/list_deployments": lambda m, _: (
        [figures_models.graph_deployment(), *figures_models.deployments()] if m.models else []
    ),
    "serving/get_graph": lambda m, q: figures_models.graph(),
    "serving/graph_traffic": lambda m, q: figures_models.graph_traffic(),
    "serving/deployment_history": lambda m, _: figures_live.history(),
    "serving/states": lambda m, q: [
        one for one in figures_live.states() if q.get("model", one["model"]) == one["model"]
    ],
    "serving/endpoint": lambda m, _: {"rest_url": "http://127.0.0.1:8080", "live": True},
    "serving/traffic": lambda m, q: figures_live.traffic(int(q["window_ms"]), int(q["points"]), m.busy) if m.models else [],
    "serving/judge_canary": lambda m, _: figures_live.judgement(),
    "serving/bandit_arms": lambda m, _: None,
    "serving/compare_shadow": lambda m, _: figures_live.shadow(),
    "serving/logged_request": lambda m, q: figures_live.logged(q["request_id"]),
    "lineage/of": lambda m, _: figures_models.lineage(),
    "data/list_tables": lambda m, _: m.tables,
    "data/get_table": lambda m, q: _one(m.tables, "name", q["name"]),
    "data/profile_table": lambda m, q: figures_models.profile(q["name"]),
    "data/list_versions": lambda m, q: figures_models.table_versions(q["name"], int(q["limit"])),
}


def make_app(mock: Mock) -> Starlette:
    places = ["/", *(f"/{page}{rest}" for page in pages.PLACES for rest in ("", "/{rest:path}"))]
    return Starlette(
        routes=[
            Route("/api/v1/events", mock.events),
            Route("/api/v1/{slice}/{verb}", mock.call),
            Route("/api/v1/{slice}/{verb}", mock.change, methods=["POST"]),
            Route("/predict/{model}", mock.predict, methods=["GET", "POST"]),
            Route("/preview/{run}/{path:path}", mock_runs.preview_of),
            Route("/assets/{path:path}", pages.asset),
            *(Route(place, pages.page) for place in places),
        ]
    )


class Late:
    """An application whose answers come late, each by an amount of its own: the same for the same seed."""

    def __init__(self, app: Any, most_ms: int, seed: str) -> None:
        self.app, self.most_ms, self.seed = app, most_ms, seed
        self._asked: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if not path.startswith(("/api/", "/predict/", "/preview/")) or path == "/api/v1/events":
            return await self.app(scope, receive, send)
        question = f"{path}?{scope['query_string'].decode()}"
        self._asked[question] += 1
        chance = random.Random(f"{self.seed} {question} {self._asked[question]}")
        late, before = chance.random() * self.most_ms / 1000, chance.random() < 0.5
        if before:
            await asyncio.sleep(late)
            return await self.app(scope, receive, send)

        async def held(message: Any) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(late)
            await send(message)

        return await self.app(scope, receive, held)


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """The app on a free port of this machine; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if most_ms := int(os.environ.get("HOMEOSTAT_WEB_LAG_MS", "0")):
        app = Late(app, most_ms, os.environ.get("HOMEOSTAT_WEB_SEED", "0"))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        if time.monotonic() > deadline:
            raise RuntimeError("the test server did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


if __name__ == "__main__":
    uvicorn.run(make_app(Mock()), host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
