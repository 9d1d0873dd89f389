"""The control plane's ASGI app. The path of a request: access → foreign call, or
router → permission → verb → answer. Foreign calls whose heads are known take a shorter one (`direct.py`)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from functools import cache

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.attempts import Attempts
from homeostat.core.errors import HomeostatError
from homeostat.core.foreign import Rpc
from homeostat.core.slices import SLICES
from homeostat.core.verbs import Verb, verbs_of
from homeostat.core.version import VERSION
from homeostat.core.workspace import Workspace
from homeostat.server import pages, predict, preview
from homeostat.server.access import Access, Gate
from homeostat.server.answers import json_response, on_any_error, on_homeostat_error, on_http_error, on_os_error
from homeostat.server.direct import Direct
from homeostat.server.foreign import Calls, Foreign, all_rpcs
from homeostat.server.live import Live
from homeostat.server.openapi import document
from homeostat.server.routes import PUBLIC, Guarded, build
from homeostat.server.verb_routes import route_of


def all_verbs() -> list[Verb]:
    """Every verb of every slice."""
    return [verb for name in SLICES for verb in verbs_of(name).values()]


def make_app(workspace: Workspace, host: str = "127.0.0.1") -> Starlette:
    """The app for `workspace`, to be served on `host`.

    On loopback the local user needs no login; on any other address every request needs a token.
    """
    live = Live(workspace)
    attempts = Attempts()
    verbs = all_verbs()
    rpcs = all_rpcs()
    max_body = workspace.settings.max_body_mb << 20

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        live.start()
        yield
        await live.stop()

    routes = [
        *(route_of(workspace, verb, max_body) for verb in verbs),
        *_about_itself(live, verbs, rpcs),
        *_handed_on(workspace, max_body),
        *_of_pages(),
    ]
    gate, calls = Gate(workspace, host, attempts), Calls(workspace, rpcs, max_body)
    app = Starlette(
        routes=build(routes),
        lifespan=lifespan,
        middleware=[Middleware(Access, gate=gate), Middleware(Foreign, calls=calls)],
        exception_handlers={
            HomeostatError: on_homeostat_error,
            HTTPException: on_http_error,
            OSError: on_os_error,
            Exception: on_any_error,
        },
    )
    app.state.workspace = workspace
    app.state.live = live
    app.state.attempts = attempts
    app.state.direct = Direct(gate, calls)
    return app


def _about_itself(live: Live, verbs: list[Verb], rpcs: list[Rpc]) -> list[Guarded]:
    """What the server tells of itself: its events, its description, that it is there."""
    # Made when somebody asks for it: a server that starts has other things to do.
    described = cache(lambda: msgspec.json.encode(document(verbs, rpcs, VERSION)))

    async def openapi(_: Request) -> Response:
        return json_response(msgspec.Raw(await run_in_threadpool(described)))

    async def health(_: Request) -> Response:
        return json_response({"status": "ok", "version": VERSION})

    return [
        Guarded(path="/api/v1/events", methods=("GET",), permission="loop:read", endpoint=live.endpoint),
        Guarded(path="/api/v1/openapi.json", methods=("GET",), permission="loop:read", endpoint=openapi),
        Guarded(path="/healthz", methods=("GET",), permission=PUBLIC, endpoint=health),
    ]


def _handed_on(workspace: Workspace, max_body: int) -> list[Guarded]:
    """What is handed on to others: files of runs to a page of their own, requests to the data plane."""
    shown, asked = preview.endpoint(workspace), predict.endpoint(workspace, max_body)
    return [
        Guarded(path="/preview/{run}/{path:path}", methods=("GET",), permission="tracking:read", endpoint=shown),
        *(
            Guarded(path="/predict/{model}", methods=(method,), permission="serving:read", endpoint=asked)
            for method in ("GET", "POST")
        ),
    ]


def _of_pages() -> list[Guarded]:
    """The pages, and what a browser needs before it is logged in."""
    paths = ("/", *(f"/{page}{rest}" for page in pages.PLACES for rest in ("", "/{rest:path}")))
    return [
        Guarded(path="/login", methods=("GET",), permission=PUBLIC, endpoint=pages.login_form),
        Guarded(path="/login", methods=("POST",), permission=PUBLIC, endpoint=pages.login),
        Guarded(path="/assets/{path:path}", methods=("GET",), permission=PUBLIC, endpoint=pages.asset),
        *(Guarded(path=path, methods=("GET",), permission="loop:read", endpoint=pages.page) for path in paths),
    ]
