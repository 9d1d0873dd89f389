"""Runs and their steps as one whole: a pipeline's steps and a search's trials belong to the run that began them."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.model import Run
from homeostat.tracking.reading import read_runs

_PARTS = ("step", "trial")
_AT_ONCE = 500


def runs_by_id(ws: Workspace, ids: list[str]) -> dict[str, Run]:
    """The runs of these ids; those that do not exist are left out."""

    def read(c: sa.Connection) -> dict[str, Run]:
        seqs: list[int] = []
        for start in range(0, len(ids), _AT_ONCE):
            seqs += c.execute(
                sa.select(store.run.c.seq).where(store.run.c.id.in_(ids[start : start + _AT_ONCE]))
            ).scalars()
        return {run.id: run for run in read_runs(c, seqs)}

    return ws.db.read(read)


def wholes_of(ws: Workspace, ids: list[str]) -> dict[str, str]:
    """For each run the id of the run it is a step or trial of, or its own; the chain is followed to its end."""
    parents: dict[str, str | None] = {}

    def read(c: sa.Connection) -> None:
        asked = set(ids)
        while asked:
            part = sorted(asked)[:_AT_ONCE]
            query = sa.select(store.run.c.id, store.run.c.kind, store.run.c.parent_id).where(store.run.c.id.in_(part))
            parents.update(dict.fromkeys(part))
            for row in c.execute(query):
                parents[row.id] = row.parent_id if row.kind in _PARTS else None
            asked = (asked - set(part)) | {p for p in (parents[i] for i in part) if p and p not in parents}

    ws.db.read(read)

    def top(run_id: str) -> str:
        while (parent := parents.get(run_id)) is not None:
            run_id = parent
        return run_id

    return {run_id: top(run_id) for run_id in ids}


def parts_of(ws: Workspace, ids: list[str]) -> dict[str, str]:
    """Every run that is one of `ids`, or a step or trial within it at any depth, with the one it belongs to."""
    whole = {run_id: run_id for run_id in ids}

    def read(c: sa.Connection) -> None:
        level = list(ids)
        while level:
            part, level = level[:_AT_ONCE], level[_AT_ONCE:]
            query = sa.select(store.run.c.id, store.run.c.parent_id).where(
                store.run.c.parent_id.in_(part), store.run.c.kind.in_(_PARTS)
            )
            for row in c.execute(query):
                if row.id not in whole:
                    whole[row.id] = whole[row.parent_id]
                    level.append(row.id)

    ws.db.read(read)
    return whole
