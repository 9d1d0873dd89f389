"""A version's later life: its stage, and that it may be deleted and brought back. Its bytes stay as they are."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.events import publish
from homeostat.core.guards import need_unused
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import chronicle, store
from homeostat.registry.aliases import move
from homeostat.registry.model import ModelChanged, ModelVersion, Stage


@verb(permission="registry:write")
def set_stage(
    ws: Workspace, model: str, version: int, stage: Stage, archive_existing: bool = False, reason: str = ""
) -> ModelVersion:
    """Put a version into one of MLflow's stages; aliases say the same with fewer rules.

    `archive_existing` archives the other versions in that stage, which must be Staging or Production.
    """
    if archive_existing and stage not in ("Staging", "Production"):
        raise InvalidInput(f"versions are not archived for stage {stage}", hint="only for Staging and Production")

    def change(c: sa.Connection) -> ModelVersion:
        held = store.hold(c, model)
        chosen = store.one(c, model, version)
        moves = [(chosen, stage)]
        if archive_existing:
            others = store.select_versions().where(
                store.version.c.model == model, store.version.c.stage == stage, store.version.c.version != version
            )
            moves += [(other, "Archived") for other in store.versions(c, others)]
        # One moment for all: who looks for what changed together finds it by the time.
        at_ms = now_ms()
        for was, target in moves:
            store.rewrite(c, msgspec.structs.replace(was, stage=target), at_ms)
            if was.stage != target:
                detail = {"from": was.stage, "to": target}
                chronicle.append(c, held, "stage_changed", version=was.version, reason=reason, detail=detail)
                publish(ws, c, ModelChanged(model=model, change="stage", version=was.version))
        return store.one(c, model, version)

    return ws.db.write(change)


@verb(permission="registry:write")
def delete_version(ws: Workspace, model: str, version: int, reason: str = "") -> None:
    """Take a version away, with the aliases that point at it; its number is not given again.

    `restore_version` brings it back, without the aliases. Raises: NotFound; Refused while it is deployed, or the
    champion of a loop, or while a rule guards such an alias.
    """

    def change(c: sa.Connection) -> None:
        held = store.hold(c, model)
        aliases = store.one(c, model, version).aliases
        need_unused(ws, c, "model", model, version)
        for alias in aliases:
            move(ws, c, model, alias, None, None, reason or f"version {version} was deleted")
        _mark(c, model, version, now_ms())
        chronicle.append(c, held, "version_deleted", version=version, reason=reason)
        publish(ws, c, ModelChanged(model=model, change="deleted", version=version))

    ws.db.write(change)


@verb(permission="registry:write")
def restore_version(ws: Workspace, model: str, version: int, reason: str = "") -> ModelVersion:
    """Bring back a deleted version. Raises: NotFound when there is none of this number."""

    def change(c: sa.Connection) -> ModelVersion:
        held = store.hold(c, model)
        where = [store.version.c.model == model, store.version.c.version == version]
        if (
            c.execute(sa.select(store.version.c.version).where(*where, store.version.c.deleted_ms.is_not(None))).first()
            is None
        ):
            raise NotFound(f"model '{model}' has no deleted version {version}", hint="`registry history` tells of them")
        _mark(c, model, version, None)
        chronicle.append(c, held, "version_restored", version=version, reason=reason)
        publish(ws, c, ModelChanged(model=model, change="restored", version=version))
        return store.one(c, model, version)

    return ws.db.write(change)


def _mark(c: sa.Connection, model: str, version: int, deleted_ms: int | None) -> None:
    where = [store.version.c.model == model, store.version.c.version == version]
    c.execute(sa.update(store.version).where(*where).values(deleted_ms=deleted_ms, updated_ms=now_ms()))
