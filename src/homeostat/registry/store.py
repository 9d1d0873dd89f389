"""The tables of the registry. A version's record is kept as JSON; columns hold what is looked up by or changes.

A deleted model keeps its rows under a name that no model can have (`names.GONE`), so its own name is free at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.clock import now_ms
from homeostat.core.db import metadata
from homeostat.core.errors import NotFound
from homeostat.core.ids import new_id
from homeostat.core.records import from_json, to_json
from homeostat.registry.model import ApprovalRule, ModelVersion
from homeostat.registry.names import GONE

_NAME = sa.String(320)

model = sa.Table(
    "registry_model",
    metadata,
    sa.Column("name", _NAME, primary_key=True),
    # Stays through renames: what the history and the rules of a model hang on.
    sa.Column("id", sa.String(26), nullable=False, unique=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("versions", sa.Integer, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("deleted_ms", sa.BigInteger),
)
version = sa.Table(
    "registry_version",
    metadata,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("once", sa.String(255)),
    sa.Column("run_id", sa.String(64), index=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("deleted_ms", sa.BigInteger),
    sa.Column("record", sa.Text, nullable=False),
    sa.UniqueConstraint("model", "once"),
    sa.Index("registry_version_updated", "updated_ms"),
)
model_tag = sa.Table(
    "registry_model_tag",
    metadata,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
version_tag = sa.Table(
    "registry_version_tag",
    metadata,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
alias = sa.Table(
    "registry_alias",
    metadata,
    sa.Column("model", _NAME, primary_key=True),
    sa.Column("alias", sa.String(255), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)
# Append-only: who did what to which model, and why. Each entry of a model names the digest of the one before it.
history = sa.Table(
    "registry_history",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("model_id", sa.String(26), nullable=False),
    sa.Column("model", _NAME, nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("alias", sa.String(255)),
    sa.Column("previous", sa.Integer),
    sa.Column("version", sa.Integer),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("before", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Index("registry_history_model", "model_id", "id"),
)
rule = sa.Table(
    "registry_rule",
    metadata,
    sa.Column("model_id", sa.String(26), primary_key=True),
    sa.Column("alias", sa.String(255), primary_key=True),
    sa.Column("record", sa.Text, nullable=False),
)
request = sa.Table(
    "registry_request",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("model_id", sa.String(26), nullable=False, index=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)

# Hooks that MLflow's clients make; where they lead and their secrets are kept by `notify`, which brings the messages.
webhook = sa.Table(
    "registry_webhook",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
)

# What every call on one version asks.
_MAKE = (
    "insert into registry_model (name, id, description, versions, created_ms, updated_ms) values (?, ?, ?, ?, ?, ?)"
    " on conflict do nothing"
)
_HOLD = (
    "update registry_model set updated_ms = ?, versions = versions + ? where name = ? and deleted_ms is null"
    " returning id, versions"
)
_ID = "select id from registry_model where name = ? and deleted_ms is null"
_ADD = (
    "insert into registry_version (model, version, once, run_id, source, stage, created_ms, updated_ms, record)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_POINTS_AT = "select version from registry_alias where model = ? and alias = ?"
# What a move of an alias depends on.
_BEFORE_MOVE = (
    f"select ({_POINTS_AT}), (select record from registry_rule where model_id = ({_ID}) and alias = ?),"  # noqa: S608 - above
    f" (select digest from registry_history where model_id = ({_ID}) order by id desc limit 1),"
    " (select record from registry_version where model = ? and version = ? and deleted_ms is null)"
)
# A version's row, its aliases and its tags, told apart by the first column; WHICH stands for a number.
_WHOLE = (
    "select 'version', record, stage, updated_ms from registry_version"
    " where model = ? and version = WHICH and deleted_ms is null"
    " union all select 'alias', alias, '', 0 from registry_alias where model = ? and version = WHICH"
    " union all select 'tag', key, value, 0 from registry_version_tag where model = ? and version = WHICH"
)
_ONE = _WHOLE.replace("WHICH", "?")
_BY_ALIAS = _WHOLE.replace("WHICH", f"({_POINTS_AT})")
_NEWEST = _WHOLE.replace("WHICH", "(select max(version) from registry_version where model = ? and deleted_ms is null)")
_TAG = "select value from registry_model_tag where model = ? and key = ?"
_PUT_MODEL_TAG = (
    "insert into registry_model_tag (model, key, value) values (?, ?, ?)"
    " on conflict (model, key) do update set value = excluded.value"
)
_PUT_TAG = (
    "insert into registry_version_tag (model, version, key, value) values (?, ?, ?, ?)"
    " on conflict (model, version, key) do update set value = excluded.value"
)

# The tables whose rows carry a model's name.
NAMED = (version, model_tag, version_tag, alias)


class Held(msgspec.Struct, frozen=True):
    """A model whose row is held for the rest of the transaction. `made`: it was not there before."""

    id: str
    name: str
    versions: int
    made: bool = False


def hold(c: sa.Connection, name: str, make: bool = False, more: int = 0) -> Held:
    """Take the model's row for the rest of the transaction, so that changes to one model happen one after another.

    `more` versions are counted at once. Raises NotFound unless `make`.
    """
    now = now_ms()
    held = statements.rows(c, _HOLD, (now, more, name)) if GONE not in name else []
    if not held and make:
        if (made := add_model(c, name, "", now, more)) is not None:
            return made
        held = statements.rows(c, _HOLD, (now, more, name))  # somebody else has made it meanwhile
    if not held:
        raise unknown_model(name)
    return Held(held[0][0], name, held[0][1])


def add_model(c: sa.Connection, name: str, description: str, at_ms: int, versions: int = 0) -> Held | None:
    """Make a model, which is held for the rest of the transaction. None where there is one of this name already."""
    identifier = new_id()
    made = statements.change(c, _MAKE, (name, identifier, description, versions, at_ms, at_ms))
    return Held(identifier, name, versions, made=True) if made else None


def holding(c: sa.Connection, name: str, more: int = 0) -> Callable[[], Held]:
    """As `hold`, asked along with what is asked next: what is given back gives the model, or raises NotFound."""
    asked = statements.ahead(c, _HOLD, (now_ms(), more, name))

    def held() -> Held:
        if GONE in name or not (found := asked()):
            raise unknown_model(name)
        return Held(found[0][0], name, found[0][1])

    return held


def id_of(c: sa.Connection, name: str) -> str:
    """The id of a model that stays through renames. Raises NotFound."""
    found = statements.rows(c, _ID, (name,))
    if not found:
        raise unknown_model(name)
    return found[0][0]


class BeforeMove(msgspec.Struct, frozen=True):
    """What a move of an alias depends on: the version it points at, the rule on it, the last digest of the model's
    history, and the version that it is to point at."""

    version: int | None
    rule: ApprovalRule | None
    digest: str | None
    target: ModelVersion | None


def hold_for_move(c: sa.Connection, name: str, alias: str, number: int | None) -> tuple[Held, BeforeMove]:
    """`hold` a model, and what a move of its alias to the version `number` depends on.

    Raises: NotFound for no such model or version.
    """
    wanted = number if number is not None and -(2**31) <= number < 2**31 else -1
    asked = (name, alias, name, alias, name, name, wanted)
    held, found = statements.rows_of(c, [(_HOLD, (now_ms(), 0, name)), (_BEFORE_MOVE, asked)])
    if not held:
        raise unknown_model(name)
    version, rule, digest, target = found[0]
    if target is None and number is not None:
        one(c, name, number)
    return Held(held[0][0], name, held[0][1]), BeforeMove(
        version, rule and from_json(rule, ApprovalRule), digest, target and from_json(target, ModelVersion)
    )


def points_at(c: sa.Connection, model: str, alias: str) -> int | None:
    """The version an alias points at, None when there is no such alias."""
    found = statements.rows(c, _POINTS_AT, (model, alias))
    return found[0][0] if found else None


def add(c: sa.Connection, made: ModelVersion, once: str | None) -> None:
    """Keep a new version of a held model, and its tags."""
    kept = to_json(msgspec.structs.replace(made, tags={}, aliases=[]))
    at = made.created_ms
    row = (made.model, made.version, once, made.run_id, made.source, made.stage, at, at, kept)
    statements.put(c, _ADD, row)
    put_tags(c, made.model, made.version, made.tags)


def select_versions() -> sa.Select[Any]:
    """The rows that `versions` makes records of: those of no deleted model, deleted versions left out."""
    return sa.select(version).where(version.c.deleted_ms.is_(None), ~version.c.model.contains(GONE))


def one(c: sa.Connection, name: str, number: int) -> ModelVersion:
    """A version with its aliases and tags. Raises NotFound that says which versions there are."""
    if (found := there(c, name, number)) is not None:
        return found
    id_of(c, name)
    numbers = sa.select(sa.func.min(version.c.version), sa.func.max(version.c.version)).where(
        version.c.model == name, version.c.deleted_ms.is_(None)
    )
    first, last = c.execute(numbers).one()
    hint = f"it has versions {first} to {last}" if last else "it has no version"
    raise NotFound(f"model '{name}' has no version {number}", hint=hint, model=name, version=number)


def there(c: sa.Connection, name: str, number: int) -> ModelVersion | None:
    """A version with its aliases and tags; None where there is none."""
    if GONE in name or not -(2**31) <= number < 2**31:
        return None
    return _whole(name, statements.rows(c, _ONE, (name, number) * 3))


def by_alias(c: sa.Connection, name: str, alias: str) -> ModelVersion | None:
    """The version that an alias points at, with its aliases and tags; None where there is none."""
    return _whole(name, statements.rows(c, _BY_ALIAS, (name, name, alias) * 3)) if GONE not in name else None


def newest(c: sa.Connection, name: str) -> ModelVersion | None:
    """The newest version of a model, with its aliases and tags; None where there is none."""
    return _whole(name, statements.rows(c, _NEWEST, (name, name) * 3)) if GONE not in name else None


def _whole(name: str, rows: list[Any]) -> ModelVersion | None:
    row = next((row for row in rows if row[0] == "version"), None)
    if row is None:
        return None
    _, record, stage, updated_ms = row
    return msgspec.structs.replace(
        from_json(record, ModelVersion), model=name, stage=stage, updated_ms=updated_ms,
        aliases=sorted(row[1] for row in rows if row[0] == "alias"),
        tags=dict(sorted((row[1], row[2]) for row in rows if row[0] == "tag")),
    )  # fmt: skip


def versions(c: sa.Connection, query: sa.Select[Any]) -> list[ModelVersion]:
    """The versions whose rows the query (of `select_versions`) gives, in its order, with their aliases and tags."""
    rows = c.execute(query).all()
    names = {row.model for row in rows}
    pointing: dict[tuple[str, int], list[str]] = defaultdict(list)
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    if names:
        for row in c.execute(sa.select(alias).where(alias.c.model.in_(names)).order_by(alias.c.alias)):
            pointing[row.model, row.version].append(row.alias)
        tagged = sa.select(version_tag).where(version_tag.c.model.in_(names)).order_by(version_tag.c.key)
        if len(names) == 1:
            tagged = tagged.where(version_tag.c.version.in_([row.version for row in rows]))
        for row in c.execute(tagged):
            tags[row.model, row.version][row.key] = row.value
    return [
        msgspec.structs.replace(
            from_json(row.record, ModelVersion), model=row.model, stage=row.stage, updated_ms=row.updated_ms,
            deleted_ms=row.deleted_ms, aliases=pointing[row.model, row.version], tags=tags[row.model, row.version],
        )
        for row in rows
    ]  # fmt: skip


def rewrite(c: sa.Connection, changed: ModelVersion, at_ms: int | None = None) -> None:
    """Keep a record that changed at `at_ms`, or now. The model is held (`hold`); aliases and tags have own tables."""
    kept = msgspec.structs.replace(changed, aliases=[], tags={})
    c.execute(_at(changed).values(record=to_json(kept), stage=changed.stage, updated_ms=at_ms or now_ms()))


def touch(c: sa.Connection, name: str, number: int) -> None:
    """Note that something about a version has changed."""
    c.execute(
        sa.update(version).where(version.c.model == name, version.c.version == number).values(updated_ms=now_ms())
    )


def put_tags(c: sa.Connection, name: str, number: int | None, tags: dict[str, str]) -> None:
    """Set tags of a version, or of the model when `number` is None."""
    if number is None:
        statements.change_many(c, _PUT_MODEL_TAG, [(name, key, value) for key, value in tags.items()])
    else:
        statements.change_many(c, _PUT_TAG, [(name, number, key, value) for key, value in tags.items()])


def drop_tag(c: sa.Connection, name: str, number: int | None, key: str) -> bool:
    """Remove a tag; whether there was one."""
    if number is None:
        where = [model_tag.c.model == name, model_tag.c.key == key]
        return bool(c.execute(sa.delete(model_tag).where(*where)).rowcount)
    where = [version_tag.c.model == name, version_tag.c.version == number, version_tag.c.key == key]
    return bool(c.execute(sa.delete(version_tag).where(*where)).rowcount)


def tag_of(c: sa.Connection, name: str, key: str) -> str | None:
    """The value of one tag of a model, None where it has no such tag."""
    found = statements.rows(c, _TAG, (name, key))
    return found[0][0] if found else None


def tags_of(c: sa.Connection, names: list[str]) -> dict[str, dict[str, str]]:
    """The tags of models, by model."""
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for row in c.execute(sa.select(model_tag).where(model_tag.c.model.in_(names)).order_by(model_tag.c.key)):
        found[row.model][row.key] = row.value
    return found


def aliases_of(c: sa.Connection, names: list[str]) -> dict[str, dict[str, int]]:
    """The aliases of models and the versions they point at, by model."""
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for row in c.execute(sa.select(alias).where(alias.c.model.in_(names)).order_by(alias.c.alias)):
        found[row.model][row.alias] = row.version
    return found


def unknown_model(name: str) -> NotFound:
    """The error for a model that was never registered."""
    return NotFound(
        f"model '{name[:128]}' is not registered",
        hint="`homeostat registry list-models` lists those that are",
        model=name[:128],
    )


def _at(changed: ModelVersion) -> sa.Update:
    return sa.update(version).where(version.c.model == changed.model, version.c.version == changed.version)
