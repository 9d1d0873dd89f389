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
from homeostat.core.paths import check_name
from homeostat.core.records import to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.manifest import read_manifest
from homeostat.registry.model import DataVersion, Model, ModelVersion, VersionRegistered


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
    check_name(model, "model name")
    manifest, tree = read_manifest(ws, package)
    run = run_id or current_run()

    def add(c: sa.Connection) -> ModelVersion:
        count = store.hold(c, model, make=True)
        if once is not None:
            before = store.versions(
                c,
                sa.select(store.version.c.record).where(store.version.c.model == model, store.version.c.once == once),
            )
            if before:
                return before[0]
        made = ModelVersion(
            model=model, version=count + 1, digest=package, flavor=manifest.flavor, created_ms=now_ms(),
            signature=manifest.signature, onnx=manifest.onnx, size=tree.size, environment=manifest.environment,
            files={name: file.digest for name, file in tree.files.items()}, run_id=run, metrics=metrics or {},
            params={key: str(value) for key, value in (params or {}).items()}, classes=manifest.classes,
            tags={key: str(value) for key, value in (tags or {}).items()}, data=data or [], description=description,
            actor=current_actor(),
        )  # fmt: skip
        c.execute(
            sa.insert(store.version).values(
                model=model, version=made.version, once=once, run_id=run, created_ms=made.created_ms,
                record=to_json(made),
            )
        )  # fmt: skip
        c.execute(sa.update(store.model).where(store.model.c.name == model).values(versions=made.version))
        _remember(ws, c, made)
        publish(ws, c, VersionRegistered(model=model, version=made.version, run_id=run))
        return store.one(c, model, made.version)

    return ws.db.write(add)


@verb(permission="registry:read")
def get_version(ws: Workspace, model: str, version: int | None = None, alias: str | None = None) -> ModelVersion:
    """A version by number or by alias; the newest one when neither is given."""
    if version is not None and alias is not None:
        raise InvalidInput("a version is named by a number or by an alias, not by both")

    def read(c: sa.Connection) -> ModelVersion:
        if version is not None:
            return store.one(c, model, version)
        if alias is None:
            count = c.execute(sa.select(store.model.c.versions).where(store.model.c.name == model)).scalar_one_or_none()
            return store.one(c, model, count or 1)
        where = (store.alias.c.model == model, store.alias.c.alias == alias)
        number = c.execute(sa.select(store.alias.c.version).where(*where)).scalar_one_or_none()
        if number is not None:
            return store.one(c, model, number)
        names = sorted(c.execute(sa.select(store.alias.c.alias).where(store.alias.c.model == model)).scalars())
        raise NotFound(
            f"model '{model[:128]}' has no alias '{alias[:128]}'",
            hint=f"it has {', '.join(names)}" if names else "set one with `homeostat registry set-alias`",
            model=model[:128],
            alias=alias[:128],
        )

    return ws.db.read(read)


@verb(permission="registry:read")
def list_models(ws: Workspace) -> list[Model]:
    """Every registered model, by name."""

    def read(c: sa.Connection) -> list[Model]:
        aliases: dict[str, dict[str, int]] = {}
        for row in c.execute(sa.select(store.alias).order_by(store.alias.c.alias)):
            aliases.setdefault(row.model, {})[row.alias] = row.version
        return [
            Model(
                name=row.name, description=row.description, versions=row.versions, updated_ms=row.updated_ms,
                aliases=aliases.get(row.name, {}),
            )
            for row in c.execute(sa.select(store.model).order_by(store.model.c.name))
        ]  # fmt: skip

    return ws.db.read(read)


@verb(permission="registry:read")
def list_versions(ws: Workspace, model: str, limit: int = 100, before: int | None = None) -> list[ModelVersion]:
    """The newest `limit` versions, newest first; older ones than `before` to go on. Raises NotFound for no model."""
    if not 1 <= limit <= 1000:
        raise InvalidInput(f"limit={limit}", hint="between 1 and 1000; go on with before=VERSION")

    def read(c: sa.Connection) -> list[ModelVersion]:
        if c.execute(sa.select(store.model.c.name).where(store.model.c.name == model)).first() is None:
            raise store.unknown_model(model)
        query = sa.select(store.version.c.record).where(store.version.c.model == model)
        if before is not None:
            query = query.where(store.version.c.version < before)
        return store.versions(c, query.order_by(store.version.c.version.desc()).limit(limit))

    return ws.db.read(read)


@verb(permission="registry:write")
def annotate(
    ws: Workspace,
    model: str,
    version: int | None = None,
    description: str | None = None,
    tags: dict[str, Any] | None = None,
) -> None:
    """Describe a model, or one of its versions; tags (of a version) are added to those it has."""

    def change(c: sa.Connection) -> None:
        store.hold(c, model)
        if version is None:
            if tags:
                raise InvalidInput("tags belong to a version", hint="name the version too")
            c.execute(sa.update(store.model).where(store.model.c.name == model).values(description=description or ""))
            return
        was = store.one(c, model, version)
        store.rewrite(
            c,
            msgspec.structs.replace(
                was,
                description=was.description if description is None else description,
                tags={**was.tags, **{key: str(value) for key, value in (tags or {}).items()}},
            ),
        )

    ws.db.write(change)


def _remember(ws: Workspace, c: sa.Connection, made: ModelVersion) -> None:
    # Without a run the registration itself is what read the data and wrote the model.
    run = made.run_id or f"register-{made.digest[:32]}"
    with acting_run(run) if made.run_id or made.data else nullcontext():
        for table in made.data:
            record_read(ws, "table", table.table, table.version, c)
        record_write(ws, "model", made.model, made.version, c)
