"""What can be asked about searches. Starting one is `homeostat.tune`, from Python."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import NotFound
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tuning import store
from homeostat.tuning.model import Study


@verb(permission="tuning:read")
def get_study(ws: Workspace, study: str) -> Study:
    """A search with its trials and the best of them."""

    def look(connection: sa.Connection) -> Study:
        row = connection.execute(sa.select(store.studies).where(store.studies.c.id == study)).first()
        if row is None:
            raise NotFound(
                f"there is no search '{study[:80]}'",
                hint="`homeostat tuning list-studies` shows them",
                study=study[:80],
            )
        return store.study_record(connection, row)

    return ws.db.read(look)


@verb(permission="tuning:read")
def list_studies(ws: Workspace, run_id: str | None = None, limit: int = 50) -> list[Study]:
    """Searches, newest first; with `run_id` those of one pipeline step's or search's run."""
    query = sa.select(store.studies).order_by(store.studies.c.start_ms.desc(), store.studies.c.id.desc())
    if run_id is not None:
        query = query.where(store.studies.c.run_id == run_id)
    query = query.limit(max(1, min(limit, 500)))
    return ws.db.read(lambda c: [store.study_record(c, row) for row in c.execute(query)])
