"""Taking up what a crash left: runs that nobody supervises any more."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.workspace import Workspace
from homeostat.pipelines import store
from homeostat.pipelines.ownership import claim
from homeostat.pipelines.verbs import supervise_in_background


def recover(ws: Workspace) -> list[str]:
    """Go on, in threads of this process, with every unfinished run whose supervisor is gone; their ids.

    A server calls this when it starts and now and then; it is harmless while others supervise.
    """
    query = sa.select(store.runs.c.id).where(store.runs.c.status == "running").order_by(store.runs.c.start_ms)
    taken: list[str] = []
    for run in ws.db.look(lambda c: c.execute(query).scalars().all()):
        fence = claim(ws, run, again=False)
        if fence is not None:
            supervise_in_background(ws, run, fence)
            taken.append(run)
    return taken
