"""Verbs: where predictions are asked for, and whether the data planes have caught up with a deployment."""

from __future__ import annotations

import platform
import time

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import Unavailable
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.serving import store
from homeostat.serving.model import Endpoint, ServingState

# A plane beats every few seconds; one that has been silent for longer is taken to be gone.
BEAT_S = 2.0
SILENT_MS = 15_000
_STEP_S = 0.02


def plane_name(host: str, port: int, index: int) -> str:
    """How a data plane of this machine is called: by the machine too, as several may share a workspace, each with its
    own 127.0.0.1."""
    return f"{_machine()}{host}:{port}#{index}"


def machine_of(plane: str) -> str:
    """The machine that a data plane of this name runs on.

    >>> machine_of("web-1/127.0.0.1:8080#0")
    'web-1'
    """
    return plane.partition("/")[0] or plane


def _machine() -> str:
    return f"{platform.node()[:200]}/"


@verb(permission="serving:read")
def endpoint(ws: Workspace) -> Endpoint:
    """The address of the data plane. Raises Unavailable when none has ever been started here."""
    query = sa.select(store.plane.c.url, store.plane.c.beat_ms).order_by(store.plane.c.beat_ms.desc()).limit(1)
    row = ws.db.read(lambda c: c.execute(query).first())
    if row is None:
        raise Unavailable("no data plane runs for this workspace", hint="start one with `homeostat up`")
    return Endpoint(rest_url=row.url, live=row.beat_ms > now_ms() - SILENT_MS)


@verb(permission="serving:read")
def states(ws: Workspace, model: str | None = None) -> list[ServingState]:
    """What each data-plane process that is alive has made of the deployments."""
    query = (
        sa.select(store.state)
        .join(store.plane, store.plane.c.plane == store.state.c.plane)
        .where(store.plane.c.beat_ms > now_ms() - SILENT_MS, store.state.c.model != store.ITSELF)
        .order_by(store.state.c.model, store.state.c.plane)
    )
    if model is not None:
        query = query.where(store.state.c.model == model)
    rows = ws.db.read(lambda c: c.execute(query).all())
    return [
        ServingState(plane=r.plane, model=r.model, generation=r.generation, state=r.state, reason=r.reason)
        for r in rows
    ]


@verb(permission="serving:read")
def wait_ready(ws: Workspace, model: str, generation: int | None = None, timeout_s: float = 60.0) -> list[ServingState]:
    """Wait until every live data plane answers `model` by `generation` (the current one by default) or a later one.
    Where it is unloaded until somebody asks, the first request still waits for it.

    Raises: NotFound when the model is not deployed; Unavailable when a version cannot be loaded, with the reason, or
    when it takes longer than `timeout_s`.
    """
    found = ws.db.read(lambda c: store.read_deployment(c, model))
    if found is None:
        raise store.not_deployed(model)
    wanted = found.generation if generation is None else generation
    deadline = time.monotonic() + timeout_s
    while True:
        live = _live(ws)
        reached = {s.plane: s for s in states(ws, model) if s.generation >= wanted}
        for plane_state in reached.values():
            if plane_state.state == "failed":
                raise Unavailable(
                    f"'{model}' generation {plane_state.generation} cannot be served by {plane_state.plane}: "
                    f"{plane_state.reason}",
                    hint="`homeostat serving rollback` returns to the routes before",
                    model=model,
                )
        if live and all(plane in reached and reached[plane].state in ("ready", "unloaded") for plane in live):
            return list(reached.values())
        if time.monotonic() > deadline:
            raise Unavailable(
                f"'{model}' generation {wanted} is not served after {timeout_s:g} s: "
                + ("no data plane is alive" if not live else "the data plane is still loading it"),
                hint="start the data plane with `homeostat up`" if not live else "wait longer, or look at its log",
                model=model,
            )
        time.sleep(_STEP_S)


def served_here(ws: Workspace) -> bool:
    """Whether a data plane of this machine is alive."""
    return any(plane.startswith(_machine()) for plane in _live(ws))


def _live(ws: Workspace) -> list[str]:
    query = sa.select(store.plane.c.plane).where(store.plane.c.beat_ms > now_ms() - SILENT_MS)
    return ws.db.read(lambda c: list(c.execute(query).scalars()))
