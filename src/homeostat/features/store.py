"""The table of declarations: every version of every view and set, as JSON."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.db import metadata
from homeostat.core.errors import NotFound
from homeostat.core.records import from_json, to_json
from homeostat.features.model import Kind, Registered

definition = sa.Table(
    "features_definition",
    metadata,
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("record", sa.Text, nullable=False),
)


def newest(c: sa.Connection, kind: Kind, name: str) -> Registered | None:
    """The newest version of a declaration, if there is one."""
    own = definition.c
    asked = sa.select(own.record).where(own.kind == kind, own.name == name).order_by(own.version.desc()).limit(1)
    found = c.execute(asked).scalar_one_or_none()
    return None if found is None else from_json(found, Registered)


def one(c: sa.Connection, kind: Kind, name: str, version: int | None) -> Registered:
    """A version of a declaration, the newest by default; NotFound names what there is."""
    own = definition.c
    if version is None:
        found = newest(c, kind, name)
    else:
        text = c.execute(
            sa.select(own.record).where(own.kind == kind, own.name == name, own.version == version)
        ).scalar_one_or_none()
        found = None if text is None else from_json(text, Registered)
    if found is None:
        there = c.execute(sa.select(own.name).where(own.kind == kind).distinct().order_by(own.name).limit(20)).scalars()
        raise NotFound(
            f"there is no feature {kind} '{name[:80]}'" + (f" of version {version}" if version is not None else ""),
            hint=f"there are {', '.join(there) or 'none yet'}; `homeostat features list-{kind}s`",
            name=name[:80],
        )
    return found


def newest_of_all(c: sa.Connection, kind: Kind) -> list[Registered]:
    """The newest version of every declaration of a kind, by name."""
    own = definition.c
    last = (
        sa.select(own.name, sa.func.max(own.version).label("version"))
        .where(own.kind == kind)
        .group_by(own.name)
        .subquery()
    )
    rows = c.execute(
        sa.select(own.record)
        .join(last, (own.name == last.c.name) & (own.version == last.c.version))
        .where(own.kind == kind)
        .order_by(own.name)
    )
    return [from_json(text, Registered) for text in rows.scalars()]


def add(c: sa.Connection, registered: Registered) -> None:
    """Keep one more version."""
    c.execute(
        sa.insert(definition).values(
            kind=registered.kind, name=registered.name, version=registered.version, record=to_json(registered)
        )
    )
