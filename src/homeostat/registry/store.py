"""The tables of the registry. A version's record is kept as JSON; columns hold what is looked up by."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.db import metadata
from homeostat.core.errors import NotFound
from homeostat.core.records import from_json, to_json
from homeostat.registry.model import ModelVersion

model = sa.Table(
    "registry_model",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("versions", sa.Integer, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
)
version = sa.Table(
    "registry_version",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("once", sa.String(255)),
    sa.Column("run_id", sa.String(64), index=True),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.UniqueConstraint("model", "once"),
)
alias = sa.Table(
    "registry_alias",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("alias", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)
# Append-only: who moved which alias from where to where, and why.
move = sa.Table(
    "registry_alias_move",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(128), nullable=False),
    sa.Column("alias", sa.String(128), nullable=False),
    sa.Column("previous", sa.Integer),
    sa.Column("version", sa.Integer),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("registry_alias_move_model", "model", "id"),
)


def hold(c: sa.Connection, name: str, make: bool = False) -> int:
    """Take the model's row for the rest of the transaction, so that changes to one model happen one after another;
    the number of its versions. Raises NotFound unless `make`."""
    if make:
        c.execute(
            sa.text(
                "insert into registry_model (name, description, versions, updated_ms) values (:name, '', 0, :now)"
                " on conflict (name) do nothing"
            ),
            {"name": name, "now": now_ms()},
        )
    held = c.execute(
        sa.update(model).where(model.c.name == name).values(updated_ms=now_ms()).returning(model.c.versions)
    ).scalar_one_or_none()
    if held is None:
        raise unknown_model(name)
    return held


def one(c: sa.Connection, name: str, number: int) -> ModelVersion:
    """A version with its aliases. Raises NotFound that says which versions there are."""
    found = versions(c, sa.select(version.c.record).where(version.c.model == name, version.c.version == number))
    if found:
        return found[0]
    count = c.execute(sa.select(model.c.versions).where(model.c.name == name)).scalar_one_or_none()
    if count is None:
        raise unknown_model(name)
    hint = f"it has versions 1 to {count}" if count else "it has no version yet"
    raise NotFound(f"model '{name}' has no version {number}", hint=hint, model=name, version=number)


def versions(c: sa.Connection, query: sa.Select[Any]) -> list[ModelVersion]:
    """The versions whose `record` the query selects, in its order, with their aliases."""
    found = [from_json(text, ModelVersion) for text in c.execute(query).scalars()]
    names = {one.model for one in found}
    pointing: dict[tuple[str, int], list[str]] = defaultdict(list)
    if names:
        for row in c.execute(sa.select(alias).where(alias.c.model.in_(names)).order_by(alias.c.alias)):
            pointing[row.model, row.version].append(row.alias)
    return [msgspec.structs.replace(one, aliases=pointing[one.model, one.version]) for one in found]


def rewrite(c: sa.Connection, changed: ModelVersion) -> None:
    """Keep a changed record. The model is held (`hold`)."""
    c.execute(
        sa.update(version)
        .where(version.c.model == changed.model, version.c.version == changed.version)
        .values(record=to_json(msgspec.structs.replace(changed, aliases=[])))
    )


def unknown_model(name: str) -> NotFound:
    """The error for a model that was never registered."""
    return NotFound(
        f"model '{name[:128]}' is not registered",
        hint="`homeostat registry list-models` lists those that are",
        model=name[:128],
    )
