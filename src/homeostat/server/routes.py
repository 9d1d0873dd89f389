"""Routes that cannot exist without a permission.

Every HTTP endpoint is a `Guarded` route. `build` refuses to start the server when a route declares no permission, so a
forgotten check is a failure at start and not a hole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from homeostat.core.errors import HomeostatError, PermissionDenied, Unauthenticated
from homeostat.core.records import Record
from homeostat.server.access import ANONYMOUS, Actor

Endpoint = Callable[[Request], Awaitable[Response]]

# Anybody may ask these, logged in or not: they tell nothing about the workspace.
PUBLIC = "public"


class Guarded(Record):
    """An endpoint with the permission it needs ("slice:read", …, or PUBLIC)."""

    path: str
    methods: tuple[str, ...]
    permission: str
    endpoint: Endpoint


class Fixed(BaseRoute):
    """All routes whose paths hold no parameters, found by one look: as patterns, near two hundred would be compared
    with each request.

    `paths`: what answers each method, by path.
    """

    def __init__(self) -> None:
        self.paths: dict[str, dict[str, ASGIApp]] = {}

    def add(self, path: str, methods: Iterable[str], endpoint: Endpoint) -> None:
        """Let `endpoint` answer `methods` at `path`; HEAD goes to what answers GET."""
        answers = self.paths.setdefault(path, {})
        for method in methods:
            answers[method] = request_response(endpoint)
        if "GET" in answers:
            answers["HEAD"] = answers["GET"]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path is one of these, and whether its method is."""
        answers = self.paths.get(scope["path"]) if scope["type"] == "http" else None
        if answers is None:
            return Match.NONE, {}
        return (Match.FULL if scope["method"] in answers else Match.PARTIAL), {"path_params": {}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose path is one of these."""
        answers = self.paths[scope["path"]]
        answer = answers.get(scope["method"])
        if answer is None:
            raise HTTPException(405, headers={"Allow": ", ".join(answers)})
        await answer(scope, receive, send)


def build(routes: Iterable[Guarded]) -> list[BaseRoute]:
    """Starlette routes that check the permission before the endpoint runs.

    Raises: HomeostatError when one declares none.
    """
    fixed = Fixed()
    built: list[BaseRoute] = [fixed]
    for route in routes:
        if not route.permission:
            raise HomeostatError(f"route {route.path} declares no permission; the server does not start")
        if "{" in route.path:
            built.append(Route(route.path, _checked(route), methods=list(route.methods)))
        else:
            fixed.add(route.path, route.methods, _checked(route))
    return built


def _checked(route: Guarded) -> Endpoint:
    async def run(request: Request) -> Response:
        if route.permission != PUBLIC:
            actor: Actor = request.state.actor
            if actor == ANONYMOUS:
                if "text/html" in request.headers.get("accept", "") and request.method == "GET":
                    return RedirectResponse("/login", 303)
                raise Unauthenticated("this server asks for a token", hint="send 'Authorization: Bearer hst_…'")
            if not actor.may(route.permission):
                raise PermissionDenied(
                    f"'{actor.name}' may not do this: it needs {route.permission}",
                    hint="ask an administrator for a token with another role: "
                    "`homeostat team create-token USER --role ROLE`",
                    permission=route.permission,
                )
        return await route.endpoint(request)

    return run
