"""Aliases: names such as `champion` that point at a version, moved by compare-and-set, every move kept."""

from __future__ import annotations

import re

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor, current_run
from homeostat.core.errors import Conflict, InvalidInput, Refused
from homeostat.core.events import publish
from homeostat.core.paths import check_name
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.model import AliasMove, AliasMoved


@verb(permission="registry:write")
def set_alias(
    ws: Workspace, model: str, alias: str, version: int, expect: int | None = None, reason: str = ""
) -> AliasMove:
    """Point `alias` at a version.

    With `expect` it happens only if the alias points there now (0: if it does not exist); of several that try at once
    one succeeds. When it points at `version` already nothing changes and `moved` is False, so a call may be repeated.

    Raises: Conflict when the alias points elsewhere than expected; Refused for a version that its gates refused.
    """
    check_name(alias, "alias")
    if alias == "latest" or re.fullmatch(r"v?\d+", alias):
        raise InvalidInput(f"'{alias}' cannot be an alias", hint="'latest' and version numbers have a meaning already")

    def change(c: sa.Connection) -> AliasMove:
        store.hold(c, model)
        target = store.one(c, model, version)
        now = _points_at(c, model, alias)
        if now == version:
            return _move(model, alias, now, version, reason, moved=False)
        if expect is not None and (now or 0) != expect:
            raise Conflict(
                f"alias '{alias}' of '{model}' points at {f'version {now}' if now else 'nothing'}, not at {expect}",
                hint="look again, then decide again",
                model=model, alias=alias, version=now,
            )  # fmt: skip
        if target.status == "refused":
            failed = "; ".join(gate.reason or gate.gate for gate in target.gates if not gate.passed)
            raise Refused(
                f"version {version} of '{model}' was refused by its gates: {failed}",
                hint="register a version that passes, or record gates that hold",
                model=model, version=version,
            )  # fmt: skip
        if now is None:
            c.execute(sa.insert(store.alias).values(model=model, alias=alias, version=version))
        else:
            c.execute(sa.update(store.alias).where(*_is(model, alias)).values(version=version))
        return _record(ws, c, _move(model, alias, now, version, reason))

    return ws.db.write(change)


@verb(permission="registry:write")
def delete_alias(ws: Workspace, model: str, alias: str, reason: str = "") -> AliasMove:
    """Remove an alias; `moved` is False when there is none."""

    def change(c: sa.Connection) -> AliasMove:
        store.hold(c, model)
        now = _points_at(c, model, alias)
        if now is None:
            return _move(model, alias, None, None, reason, moved=False)
        c.execute(sa.delete(store.alias).where(*_is(model, alias)))
        return _record(ws, c, _move(model, alias, now, None, reason))

    return ws.db.write(change)


@verb(permission="registry:read")
def alias_history(ws: Workspace, model: str, alias: str | None = None, limit: int = 200) -> list[AliasMove]:
    """Every move of an alias, or of all of a model's, newest first: who, when, from where, why."""
    query = sa.select(store.move).where(store.move.c.model == model).order_by(store.move.c.id.desc()).limit(limit)
    if alias is not None:
        query = query.where(store.move.c.alias == alias)
    rows = ws.db.read(lambda c: c.execute(query).all())
    return [
        AliasMove(
            model=row.model, alias=row.alias, previous=row.previous, version=row.version, at_ms=row.at_ms,
            actor=row.actor, run_id=row.run_id, reason=row.reason,
        )
        for row in rows
    ]  # fmt: skip


def _is(model: str, alias: str) -> list[sa.ColumnElement[bool]]:
    return [store.alias.c.model == model, store.alias.c.alias == alias]


def _points_at(c: sa.Connection, model: str, alias: str) -> int | None:
    return c.execute(sa.select(store.alias.c.version).where(*_is(model, alias))).scalar_one_or_none()


def _move(
    model: str, alias: str, previous: int | None, version: int | None, reason: str, moved: bool = True
) -> AliasMove:
    return AliasMove(
        model=model, alias=alias, previous=previous, version=version, at_ms=now_ms(), actor=current_actor(),
        run_id=current_run(), reason=reason, moved=moved,
    )  # fmt: skip


def _record(ws: Workspace, c: sa.Connection, move: AliasMove) -> AliasMove:
    c.execute(
        sa.insert(store.move).values(
            model=move.model, alias=move.alias, previous=move.previous, version=move.version, at_ms=move.at_ms,
            actor=move.actor, run_id=move.run_id, reason=move.reason,
        )
    )  # fmt: skip
    publish(ws, c, AliasMoved(model=move.model, alias=move.alias, version=move.version, previous=move.previous))
    return move
