"""Models as such: made before they have a version, described, tagged, renamed, deleted and brought back."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, NotFound
from homeostat.core.events import publish
from homeostat.core.guards import need_unused
from homeostat.core.lineage_facts import rename_asset
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import chronicle, store
from homeostat.registry.aliases import need_no_approval
from homeostat.registry.model import Model, ModelChanged, ModelCreated, ModelTagged
from homeostat.registry.names import GONE, check_model_name, is_prompt
from homeostat.registry.versions import texts


@verb(permission="registry:write", at_once=True)
def create_model(ws: Workspace, name: str, description: str = "", tags: dict[str, Any] | None = None) -> Model:
    """Make a model that has no version yet. `register` makes one by itself. Raises: AlreadyExists."""
    check_model_name(name)
    kept = texts(tags)

    def make(c: sa.Connection) -> Model:
        at_ms = now_ms()
        if (held := store.add_model(c, name, description, at_ms)) is None:
            raise taken(name)
        store.put_tags(c, name, None, kept)
        chronicle.append(c, held, "created", before=chronicle.START)
        publish(ws, c, ModelCreated(model=name))
        return Model(
            name=name, description=description, versions=0, created_ms=at_ms, updated_ms=at_ms,
            tags=dict(sorted(kept.items())), aliases={},
        )  # fmt: skip

    return ws.db.write(make)


@verb(permission="registry:read")
def get_model(ws: Workspace, name: str) -> Model:
    """A model with its tags and aliases. Raises: NotFound."""
    return ws.db.read(lambda c: one(c, name), settled=False)


@verb(permission="registry:read")
def list_models(ws: Workspace, deleted: bool = False, prompts: bool = False) -> list[Model]:
    """Every registered model, by name; or those that were deleted, or the prompts, which are kept like models."""
    query = sa.select(store.model).where(
        store.model.c.deleted_ms.is_not(None) if deleted else store.model.c.deleted_ms.is_(None)
    )
    found = ws.db.read(lambda c: records(c, query.order_by(store.model.c.name)))
    return [model for model in found if is_prompt(model.tags) == prompts]


@verb(permission="registry:write", at_once=True)
def annotate(
    ws: Workspace,
    model: str,
    version: int | None = None,
    description: str | None = None,
    tags: dict[str, Any] | None = None,
) -> None:
    """Describe a model, or one of its versions; tags are added to those it has."""
    kept = texts(tags)

    def change(c: sa.Connection) -> None:
        store.hold(c, model)
        if version is not None:
            was = store.one(c, model, version)
            store.rewrite(c, was if description is None else msgspec.structs.replace(was, description=description))
        elif description is not None:
            c.execute(sa.update(store.model).where(store.model.c.name == model).values(description=description))
        store.put_tags(c, model, version, kept)
        for key, value in kept.items():
            publish(ws, c, ModelTagged(model=model, version=version, key=key, value=value))

    ws.db.write(change)


@verb(permission="registry:write", at_once=True)
def delete_tag(ws: Workspace, model: str, key: str, version: int | None = None) -> bool:
    """Remove a tag of a model, or of one of its versions; whether there was one. Raises: NotFound for no such model."""

    def change(c: sa.Connection) -> bool:
        store.hold(c, model)
        if version is not None:
            store.one(c, model, version)
        gone = store.drop_tag(c, model, version, key)
        if gone:
            publish(ws, c, ModelTagged(model=model, version=version, key=key, value=None))
        return gone

    return ws.db.write(change)


@verb(permission="registry:write")
def rename_model(ws: Workspace, name: str, new_name: str, reason: str = "") -> Model:
    """Give a model another name: versions, aliases, rules, history and lineage go with it.

    What serves the model knows it by its name. Raises: NotFound, AlreadyExists; Refused while it is deployed.
    """
    check_model_name(new_name)

    def change(c: sa.Connection) -> Model:
        held = store.hold(c, name)
        if c.execute(sa.select(store.model.c.id).where(store.model.c.name == new_name)).first() is not None:
            raise taken(new_name)
        need_unused(ws, c, "model", name)
        _call(c, name, new_name)
        rename_asset(c, "model", name, new_name)
        chronicle.append(c, held, "renamed", reason=reason, detail={"to": new_name})
        publish(ws, c, ModelChanged(model=new_name, change="renamed", previous=name))
        return one(c, new_name)

    return ws.db.write(change)


@verb(permission="registry:write")
def delete_model(ws: Workspace, name: str, reason: str = "") -> None:
    """Take a model with all its versions and aliases away; `restore_model` brings it back. Its name is free at once.

    Raises: NotFound; Refused while it is deployed, or a rule guards one of its aliases.
    """

    def change(c: sa.Connection) -> None:
        held = store.hold(c, name)
        need_unused(ws, c, "model", name)
        for alias in store.aliases_of(c, [name])[name]:
            need_no_approval(c, held, alias)
        hidden = f"{name}{GONE}{held.id}"
        _call(c, name, hidden)
        c.execute(sa.update(store.model).where(store.model.c.name == hidden).values(deleted_ms=now_ms()))
        chronicle.append(c, held, "deleted", reason=reason)
        publish(ws, c, ModelChanged(model=name, change="deleted"))

    ws.db.write(change)


@verb(permission="registry:write")
def restore_model(ws: Workspace, name: str, as_name: str | None = None, reason: str = "") -> Model:
    """Bring back the model of this name that was deleted last, under its own name or another.

    Raises: NotFound when none was deleted; AlreadyExists when the name is taken by now.
    """
    target = check_model_name(as_name or name)

    def change(c: sa.Connection) -> Model:
        gone = sa.select(store.model).where(store.model.c.name.startswith(f"{name}{GONE}", autoescape=True))
        row = c.execute(gone.order_by(store.model.c.deleted_ms.desc(), store.model.c.id.desc())).first()
        if row is None:
            raise NotFound(f"no model '{name[:128]}' was deleted", hint="list-models --deleted names those that were")
        if c.execute(sa.select(store.model.c.id).where(store.model.c.name == target)).first() is not None:
            raise taken(target)
        _call(c, row.name, target)
        c.execute(sa.update(store.model).where(store.model.c.name == target).values(deleted_ms=None))
        held = store.hold(c, target)
        chronicle.append(c, held, "restored", reason=reason)
        publish(ws, c, ModelChanged(model=target, change="restored"))
        return one(c, target)

    return ws.db.write(change)


def one(c: sa.Connection, name: str) -> Model:
    """A model as a record. Raises: NotFound."""
    found = records(c, sa.select(store.model).where(store.model.c.name == name, store.model.c.deleted_ms.is_(None)))
    if not found:
        raise store.unknown_model(name)
    return found[0]


def records(c: sa.Connection, query: sa.Select[Any]) -> list[Model]:
    """The models whose rows the query gives, in its order."""
    rows = c.execute(query).all()
    names = [row.name for row in rows]
    aliases, tags = store.aliases_of(c, names), store.tags_of(c, names)
    return [
        Model(
            name=row.name.partition(GONE)[0], description=row.description, versions=row.versions,
            updated_ms=row.updated_ms, created_ms=row.created_ms, deleted_ms=row.deleted_ms, aliases=aliases[row.name],
            tags=tags[row.name],
        )
        for row in rows
    ]  # fmt: skip


def taken(name: str) -> AlreadyExists:
    """The error for a name that another model has."""
    return AlreadyExists(f"model '{name[:128]}' exists already", hint="choose another name", model=name[:128])


def _call(c: sa.Connection, name: str, new_name: str) -> None:
    c.execute(sa.update(store.model).where(store.model.c.name == name).values(name=new_name))
    for table in store.NAMED:
        c.execute(sa.update(table).where(table.c.model == name).values(model=new_name))
