"""Who supervises a run: one process at a time, and nobody for long after that process is gone.

A supervisor holds a run by a lease in its row. On the same machine a dead owner is noticed at once (its process id and
start time no longer match), so a restart after a crash goes on without waiting for the lease to run out.
"""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.db import database_now_ms
from homeostat.core.errors import NotFound
from homeostat.core.liveness import is_alive, this_process
from homeostat.core.workspace import Workspace
from homeostat.pipelines import store

LEASE_MS = 30_000


class Superseded(Exception):
    """Another supervisor has taken the run over; this one must not write any more."""


def no_run(run: str) -> NotFound:
    """The error for a pipeline run that is not there."""
    return NotFound(
        f"there is no pipeline run '{run[:80]}'", hint="`homeostat pipelines list-pipeline-runs` shows them", run=run
    )


def claim(ws: Workspace, run: str, *, again: bool, owner: str = "") -> int | None:
    """Become the supervisor of `run`: the fence to write with. None when it has ended or a live process holds it.

    `again` also takes a run that failed or was stopped, to go on with it. `owner` is the name under which the run was
    made, if it was made for this claim. Raises: NotFound.
    """
    wanted = {"running", "failed", "stopped"} if again else {"running"}

    def take(connection: sa.Connection) -> int | None:
        row = store.read_run(connection, run)
        if row is None:
            raise no_run(run)
        now = database_now_ms(connection)
        held = row.lease_until_ms > now and row.owner != owner and is_alive(row.owner)
        if row.status not in wanted or held:
            return None
        where = (store.runs.c.id == run, store.runs.c.fence == row.fence)
        changed = connection.execute(
            sa.update(store.runs)
            .where(*where)
            .values(
                owner=this_process(),
                lease_until_ms=now + LEASE_MS,
                fence=row.fence + 1,
                status="running",
                stop=False,
                end_ms=None,
                error=None,
            )
        )
        return row.fence + 1 if changed.rowcount else None

    return ws.db.write(take)


def renew(connection: sa.Connection, run: str, fence: int) -> None:
    """Extend the lease within a transaction of its holder. Raises: Superseded."""
    where = (store.runs.c.id == run, store.runs.c.fence == fence)
    until = database_now_ms(connection) + LEASE_MS
    if not connection.execute(sa.update(store.runs).where(*where).values(lease_until_ms=until)).rowcount:
        raise Superseded(run)


def release(ws: Workspace, run: str, fence: int) -> None:
    """Let go of the run, whatever its state."""
    where = (store.runs.c.id == run, store.runs.c.fence == fence)
    ws.db.write(lambda c: c.execute(sa.update(store.runs).where(*where).values(owner="", lease_until_ms=0)).rowcount)
