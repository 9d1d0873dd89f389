"""What happened to a model, in order. Entries are only ever added, in the transaction of the change they tell of."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.blobs import digest_of
from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor, current_run
from homeostat.core.errors import InvalidInput
from homeostat.core.records import canonical_json, from_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.model import AliasMove, HistoryCheck, HistoryEntry

START = "0" * 64
_MAX_LIMIT = 1000
_FIELDS = (
    "model_id", "model", "action", "alias", "previous", "version", "at_ms", "actor", "run_id", "reason", "detail",
    "before",
)  # fmt: skip
_LAST = "select digest from registry_history where model_id = ? order by id desc limit 1"
_APPEND = (
    f"insert into registry_history ({', '.join(_FIELDS)}, digest)"  # noqa: S608 - names of columns, from this file
    f" values ({statements.marks(len(_FIELDS) + 1)})"
)


def append(
    c: sa.Connection,
    held: store.Held,
    action: str,
    *,
    alias: str | None = None,
    previous: int | None = None,
    version: int | None = None,
    reason: str = "",
    detail: dict[str, Any] | None = None,
    at_ms: int | None = None,
    before: str | None = None,
) -> None:
    """Add an entry to the history of a held model; `before` is the digest of its last one, where it is at hand."""
    if before is None:
        before = next((row[0] for row in statements.rows(c, _LAST, (held.id,))), START)
    entry: dict[str, Any] = {
        "model_id": held.id, "model": held.name, "action": action, "alias": alias, "previous": previous,
        "version": version, "at_ms": at_ms or now_ms(), "actor": current_actor(), "run_id": current_run(),
        "reason": reason, "detail": to_json(detail or {}), "before": before,
    }  # fmt: skip
    statements.put(c, _APPEND, (*entry.values(), _digest(entry)))


@verb(permission="registry:read")
def history(ws: Workspace, model: str, limit: int = 200, before: int | None = None) -> list[HistoryEntry]:
    """Everything done to a model, newest first: moves, stages, requests and votes, deletions, new names.

    At most `limit` entries (1 to 1,000); `before` goes on below an id. Raises NotFound.
    """
    if not 1 <= limit <= _MAX_LIMIT:
        raise InvalidInput(f"limit is {limit}; it lies between 1 and {_MAX_LIMIT}")

    def read(c: sa.Connection) -> list[HistoryEntry]:
        query = sa.select(store.history).where(store.history.c.model_id == store.id_of(c, model))
        if before is not None:
            query = query.where(store.history.c.id < before)
        return [_entry(row) for row in c.execute(query.order_by(store.history.c.id.desc()).limit(limit))]

    return ws.db.read(read)


@verb(permission="registry:read")
def verify_history(ws: Workspace, model: str) -> HistoryCheck:
    """Walk a model's whole history, comparing every digest: an altered or removed entry shows. Raises NotFound.

    Who can write to the database could cut off the end: note the last digest elsewhere now and then.
    """

    def read(c: sa.Connection) -> HistoryCheck:
        count, before = 0, START
        query = sa.select(store.history).where(store.history.c.model_id == store.id_of(c, model))
        for row in c.execute(query.order_by(store.history.c.id)):
            if row.before != before or row.digest != _digest({name: getattr(row, name) for name in _FIELDS}):
                return HistoryCheck(model=model, entries=count, intact=False, broken_at=row.id)
            count, before = count + 1, row.digest
        return HistoryCheck(model=model, entries=count, intact=True)

    return ws.db.read(read)


@verb(permission="registry:read")
def alias_history(ws: Workspace, model: str, alias: str | None = None, limit: int = 200) -> list[AliasMove]:
    """Every move of an alias, or of all of a model's, newest first: who, when, from where, why."""

    def read(c: sa.Connection) -> list[AliasMove]:
        identifier = c.execute(sa.select(store.model.c.id).where(store.model.c.name == model)).scalar()
        query = sa.select(store.history).where(
            store.history.c.model_id == identifier, store.history.c.action == "alias_moved"
        )
        if alias is not None:
            query = query.where(store.history.c.alias == alias)
        return [
            AliasMove(
                model=model, alias=row.alias, previous=row.previous, version=row.version, at_ms=row.at_ms,
                actor=row.actor, run_id=row.run_id, reason=row.reason,
            )
            for row in c.execute(query.order_by(store.history.c.id.desc()).limit(limit))
        ]  # fmt: skip

    return ws.db.read(read)


def _digest(entry: dict[str, Any]) -> str:
    return digest_of(canonical_json(entry).encode())


def _entry(row: sa.Row[Any]) -> HistoryEntry:
    return HistoryEntry(
        id=row.id, model=row.model, action=row.action, at_ms=row.at_ms, actor=row.actor, digest=row.digest,
        before=row.before, alias=row.alias, previous=row.previous, version=row.version, run_id=row.run_id,
        reason=row.reason, detail=from_json(row.detail, dict[str, Any]),
    )  # fmt: skip
