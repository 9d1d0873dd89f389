"""Versions: registered once, numbered without a gap, read by number or alias."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.context import acting_run, current_actor, current_run
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.events import publish
from homeostat.core.lineage_facts import record_read, record_write
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.manifest import read_manifest
from homeostat.registry.model import DataVersion, ModelCreated, ModelVersion, VersionRegistered
from homeostat.registry.names import check_model_name, check_tag


@verb(permission="registry:write")
def register(
    ws: Workspace,
    model: str,
    package: str,
    run_id: str | None = None,
    metrics: dict[str, float | None] | None = None,
    params: dict[str, Any] | None = None,
    data: list[DataVersion] | None = None,
    tags: dict[str, Any] | None = None,
    description: str = "",
    once: str | None = None,
) -> ModelVersion:
    """Make the next version of `model` from a package, named by the digest of its file tree.

    `run_id` defaults to the run that is open; `data` says which table versions it learnt from. Both become lineage.
    With `once`, a second call with the same key gives the version that the first one made.

    Raises: NotFound when the package's bytes are not kept here; InvalidInput when they are not a package.
    """
    check_model_name(model)
    manifest, tree = read_manifest(ws, package)
    made = ModelVersion(
        model=model, version=0, digest=package, flavor=manifest.flavor, created_ms=now_ms(),
        signature=manifest.signature, onnx=manifest.onnx, size=tree.size, environment=manifest.environment,
        files={name: file.digest for name, file in tree.files.items()}, run_id=run_id or current_run(),
        metrics=metrics or {}, params={key: str(value) for key, value in (params or {}).items()},
        classes=manifest.classes, tags=texts(tags), data=data or [], description=description, actor=current_actor(),
    )  # fmt: skip
    return ws.db.write(lambda c: add(ws, c, made, once))


def add(
    ws: Workspace,
    c: sa.Connection,
    wanted: ModelVersion,
    once: str | None = None,
    parent: ModelVersion | None = None,
    held: store.Held | None = None,
) -> ModelVersion:
    """Keep `wanted` as the next version of its model within the open transaction, or give what `once` made before.

    `parent` is the version that it is a copy of; `held` is the model, where it is held and the version counted already.
    Else a model that is not there is made.
    """
    model = wanted.model
    if held is None:
        held = store.hold(c, model, make=True, more=1 if once is None else 0)
    if once is not None:
        query = store.select_versions().where(store.version.c.model == model, store.version.c.once == once)
        if before := store.versions(c, query):
            return before[0]
    number = held.versions if once is None else store.hold(c, model, more=1).versions
    made = msgspec.structs.replace(wanted, version=number, updated_ms=wanted.created_ms)
    store.add(c, made, once)
    _remember(ws, c, made, parent)
    if held.made:
        publish(ws, c, ModelCreated(model=model))
    publish(ws, c, VersionRegistered(model=model, version=made.version, run_id=made.run_id))
    return msgspec.structs.replace(made, tags=dict(sorted(made.tags.items())))


def texts(tags: dict[str, Any] | None) -> dict[str, str]:
    """Tags as they are kept. Raises InvalidInput for a key or value that cannot be."""
    kept = {key: str(value) for key, value in (tags or {}).items()}
    for key, value in kept.items():
        check_tag(key, value)
    return kept


@verb(permission="registry:read", at_once=True)
def get_version(ws: Workspace, model: str, version: int | None = None, alias: str | None = None) -> ModelVersion:
    """A version by number or by alias; the newest one when neither is given."""
    if version is not None and alias is not None:
        raise InvalidInput("a version is named by a number or by an alias, not by both")

    def look(c: sa.Connection) -> ModelVersion | None:
        if version is not None:
            return store.there(c, model, version)
        return store.newest(c, model) if alias is None else store.by_alias(c, model, alias)

    def miss(c: sa.Connection) -> ModelVersion:
        if (found := look(c)) is not None:
            return found
        if alias is None:
            return store.one(c, model, 1 if version is None else version)
        store.id_of(c, model)
        names = sorted(c.execute(sa.select(store.alias.c.alias).where(store.alias.c.model == model)).scalars())
        raise NotFound(
            f"model '{model[:128]}' has no alias '{alias[:128]}'",
            hint=f"it has {', '.join(names)}" if names else "set one with `homeostat registry set-alias`",
            model=model[:128],
            alias=alias[:128],
        )

    return ws.db.look(look) or ws.db.read(miss, settled=False)


@verb(permission="registry:read")
def list_versions(ws: Workspace, model: str, limit: int = 100, before: int | None = None) -> list[ModelVersion]:
    """The newest `limit` versions, newest first; older ones than `before` to go on. Raises NotFound for no model."""
    if not 1 <= limit <= 1000:
        raise InvalidInput(f"limit={limit}", hint="between 1 and 1000; go on with before=VERSION")

    def read(c: sa.Connection) -> list[ModelVersion]:
        store.id_of(c, model)
        query = store.select_versions().where(store.version.c.model == model)
        if before is not None:
            query = query.where(store.version.c.version < before)
        return store.versions(c, query.order_by(store.version.c.version.desc()).limit(limit))

    return ws.db.read(read)


def _remember(ws: Workspace, c: sa.Connection, made: ModelVersion, parent: ModelVersion | None) -> None:
    # What a copy is made of is its original, whichever run that came of. Without a run the registration itself is
    # what read the data and wrote the model.
    copied = f"copy-{parent.model}-{parent.version}"[:64] if parent else None
    run = copied or made.run_id or f"register-{made.digest[:32]}"
    with acting_run(run) if parent or made.run_id or made.data else nullcontext():
        if parent is not None:
            record_read(ws, "model", parent.model, parent.version, c)
        for table in made.data:
            record_read(ws, "table", table.table, table.version, c)
        record_write(ws, "model", made.model, made.version, c)
