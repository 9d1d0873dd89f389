"""Routes that cannot exist without a permission.

Every HTTP endpoint is a `Guarded` route. `build` refuses to start the server when a route declares no permission, so a
forgotten check is a failure at start and not a hole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

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


def build(routes: Iterable[Guarded]) -> list[Route]:
    """Starlette routes that check the permission before the endpoint runs.

    Raises: HomeostatError when one declares none.
    """
    built: list[Route] = []
    for route in routes:
        if not route.permission:
            raise HomeostatError(f"route {route.path} declares no permission; the server does not start")
        built.append(Route(route.path, _checked(route), methods=list(route.methods)))
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
