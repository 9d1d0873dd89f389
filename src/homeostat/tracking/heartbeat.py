"""Runs that fall silent: who sends heartbeats and stops is marked lost, and is running again when it comes back."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.events import publish
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.model import RunFinished

BEAT_S = 15
SILENT_S = 120


@verb(permission="tracking:write")
def heartbeat(ws: Workspace, id: str, at_ms: int | None = None) -> str:
    """Say that a run is alive; its status. From the first heartbeat on, silence is noticed."""
    at = now_ms() if at_ms is None else at_ms

    def beat(c: sa.Connection) -> str:
        changed = c.execute(
            sa.update(store.run)
            .where(store.run.c.id == id)
            .values(
                heartbeat_ms=at,
                status=sa.case((store.run.c.status == "lost", "running"), else_=store.run.c.status),
                end_ms=sa.case((store.run.c.status == "lost", sa.null()), else_=store.run.c.end_ms),
            )
            .returning(store.run.c.status)
        ).scalar_one_or_none()
        if changed is None:
            raise store.unknown_run(id)
        return changed

    return ws.db.write(beat)


@verb(permission="tracking:write")
def mark_lost(ws: Workspace, silent_s: int = SILENT_S, at_ms: int | None = None) -> list[str]:
    """Mark running runs whose last heartbeat is older than `silent_s` seconds as lost; their ids.

    A run that never sent one is left alone: nothing is known of it.
    """
    at = now_ms() if at_ms is None else at_ms
    silent = (store.run.c.status == "running", store.run.c.heartbeat_ms < at - silent_s * 1000)

    def mark(c: sa.Connection) -> list[str]:
        gone = c.execute(
            sa.update(store.run)
            .where(*silent)
            .values(status="lost", end_ms=store.run.c.heartbeat_ms)
            .returning(store.run.c.id)
        ).scalars().all()  # fmt: skip
        for run_id in gone:
            publish(ws, c, RunFinished(run_id=run_id, status="lost"))
        return sorted(gone)

    # Asked every few seconds, and mostly in vain: a look costs no write.
    return (
        ws.db.write(mark) if ws.db.look(lambda c: c.execute(sa.select(store.run.c.id).where(*silent)).first()) else []
    )
