"""The built pages, served as they lie in the package, compressed beforehand."""

from __future__ import annotations

import html
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from homeostat.core.errors import NotFound, TooManyRequests, Unauthenticated
from homeostat.core.paths import inside
from homeostat.server.access import COOKIE, address_of
from homeostat.server.verb_routes import read_body

WEB = Path(__file__).parent.parent / "web"
PLACES = ("loop", "runs", "models", "data", "deployments")

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>Homeostat</title>
<h1>The pages are not built yet</h1><p>In a checkout, run <code>make web</code>, then reload.
The API answers already: <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>"""

_LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Homeostat · log in</title>
<meta name="viewport" content="width=device-width"><h1>Log in</h1><p>{message}</p>
<form method="post" action="/login"><label>Token <input type="password" name="token" autocomplete="current-password"
autofocus required></label> <button>Log in</button></form>
<p>A token is made with <code>homeostat team create-token NAME</code>.</p></html>"""


async def page(_: Request) -> Response:
    """Every page of the single-page app is its index; the path is read in the browser."""
    index = WEB / "index.html"
    if not index.is_file():
        return HTMLResponse(_NOT_BUILT, 200, {**HEADERS, "Cache-Control": "no-store"})
    return HTMLResponse(index.read_bytes(), 200, {**HEADERS, "Cache-Control": "no-store"})


async def asset(request: Request) -> Response:
    """A file of the build: hashed by name, so kept by the browser for good; Brotli or gzip when it asks."""
    path = inside(WEB, "assets/" + request.path_params["path"])
    if not path.is_file():
        raise NotFound(f"there is no file {request.url.path[:200]}")
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    accepted = request.headers.get("accept-encoding", "")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    for name, suffix in (("br", ".br"), ("gzip", ".gz")):
        packed = path.with_name(path.name + suffix)
        if name in accepted and packed.is_file():
            return Response(packed.read_bytes(), 200, {**headers, "Content-Encoding": name}, kind)
    return Response(path.read_bytes(), 200, headers, kind)


async def login_form(_: Request) -> Response:
    """A login form that works without scripts."""
    return HTMLResponse(_LOGIN.format(message=""), 200, HEADERS)


async def login(request: Request) -> Response:
    """Check the token and keep it in a cookie that scripts cannot read."""
    from urllib.parse import parse_qs

    from starlette.concurrency import run_in_threadpool

    form = parse_qs((await read_body(request, 4096)).decode("utf-8", "replace"))
    token = form.get("token", [""])[0].strip()
    try:
        await run_in_threadpool(request.app.state.workspace.team.authenticate, token)
    except Unauthenticated as error:
        told = request.app.state.attempts.wrong(address_of(request.scope), error)
        wait = {"Retry-After": str(told.facts["retry_after_s"])} if isinstance(told, TooManyRequests) else {}
        return HTMLResponse(_LOGIN.format(message=html.escape(told.message)), told.status, {**HEADERS, **wait})
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=request.url.scheme == "https", path="/")
    return response
