"""Searches for models and versions: a page of those that every comparison of a filter holds for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from homeostat.core.foreign import invalid
from homeostat.core.foreign_search import Comparison, Group, Language, offset_of, parse_filter, parse_order, token_of
from homeostat.core.patterns import like
from homeostat.core.workspace import Workspace
from homeostat.registry import models, store
from homeostat.registry.model import Model, ModelVersion
from homeostat.registry.names import PROMPT_TAG

_ENTITIES = {"attribute": "attribute", "tag": "tag", "tags": "tag"}
_MODELS = Language(_ENTITIES, {"name": False}, lists=("name",), registry=True)
_VERSIONS = Language(
    _ENTITIES, {"name": False, "version_number": True, "run_id": False, "source_path": False},
    lists=("name", "run_id"), registry=True,
)  # fmt: skip
_MODEL_ORDER = {
    "name": store.model.c.name, "timestamp": store.model.c.updated_ms,
    "last_updated_timestamp": store.model.c.updated_ms,
}  # fmt: skip
_VERSION_ORDER = {
    "name": store.version.c.model, "version_number": store.version.c.version,
    "creation_timestamp": store.version.c.created_ms, "last_updated_timestamp": store.version.c.updated_ms,
}  # fmt: skip
_ATTRIBUTES = {
    "version_number": store.version.c.version,
    "name": store.version.c.model,
    "run_id": sa.func.coalesce(store.version.c.run_id, ""),
    "source_path": store.version.c.source,
}


def find_models(
    ws: Workspace, filter_text: str, most: int, order: list[str], token: str
) -> tuple[list[Model], dict[str, list[ModelVersion]], str]:
    """A page of models, the newest version of each stage by model, and the token of the next page ("" at the end)."""
    tree = parse_filter(filter_text, _MODELS)
    by = _ordering(order, _MODEL_ORDER, "Invalid order by key")
    offset = offset_of(token)
    tags = store.model_tag
    tagged = [tags.c.model == store.model.c.name]

    def read(c: sa.Connection) -> tuple[list[Model], dict[str, list[ModelVersion]], str]:
        wanted = _Conditions(c, {"name": store.model.c.name}, tags, tagged).held(tree)
        query = sa.select(store.model).where(store.model.c.deleted_ms.is_(None), *wanted).order_by(*by)
        found = models.records(c, query.limit(most + 1).offset(offset))
        page = found[:most]
        return page, latest(c, [model.name for model in page]), token_of(offset + most) if len(found) > most else ""

    return ws.db.read(read)


def find_versions(
    ws: Workspace, filter_text: str, most: int, order: list[str], token: str
) -> tuple[list[ModelVersion], str]:
    """A page of versions, and the token of the next page ("" at the end)."""
    tree = parse_filter(filter_text, _VERSIONS)
    by = _ordering(order or ["last_updated_timestamp DESC", "name ASC", "version_number DESC"], _VERSION_ORDER)
    offset = offset_of(token)
    tags = store.version_tag
    tagged = [tags.c.model == store.version.c.model, tags.c.version == store.version.c.version]

    def read(c: sa.Connection) -> tuple[list[ModelVersion], str]:
        wanted = _Conditions(c, _ATTRIBUTES, tags, tagged).held(tree)
        query = store.select_versions().where(*wanted).order_by(*by)
        found = store.versions(c, query.limit(most + 1).offset(offset))
        return found[:most], token_of(offset + most) if len(found) > most else ""

    return ws.db.read(read)


def latest(c: sa.Connection, names: list[str]) -> dict[str, list[ModelVersion]]:
    """The newest version of each stage, by model."""
    newest = (
        sa.select(store.version.c.model, sa.func.max(store.version.c.version).label("version"))
        .where(store.version.c.model.in_(names), store.version.c.deleted_ms.is_(None))
        .group_by(store.version.c.model, store.version.c.stage)
        .subquery()
    )
    query = store.select_versions().join(
        newest, sa.and_(newest.c.model == store.version.c.model, newest.c.version == store.version.c.version)
    )
    found: dict[str, list[ModelVersion]] = {name: [] for name in names}
    if names:
        for version in store.versions(c, query.order_by(store.version.c.version)):
            found[version.model].append(version)
    return found


class _Conditions:
    """A filter's tree as conditions on one table and its tags. Prompts are models that only a filter for them finds."""

    def __init__(
        self, c: sa.Connection, columns: dict[str, Any], tags: sa.Table, tagged: list[sa.ColumnElement[bool]]
    ) -> None:
        self._sqlite = c.dialect.name == "sqlite"
        self._columns = columns
        self._tags = tags
        self._tagged = tagged
        self._prompts = False

    def held(self, tree: Any | None) -> list[sa.ColumnElement[bool]]:
        self._prompts = _wants_prompts(tree)
        found = [] if tree is None else [self._held(tree)]
        if not self._prompts:
            marked = self._tags.c.key == PROMPT_TAG, sa.func.lower(self._tags.c.value) == "true"
            found.append(~sa.exists().where(*self._tagged, *marked))
        return found

    def _held(self, node: Any) -> sa.ColumnElement[bool]:
        if isinstance(node, Group):
            members = [self._held(member) for member in node.members]
            if node.kind == "not":
                return sa.not_(members[0])
            return sa.and_(*members) if node.kind == "and" else sa.or_(*members)
        assert isinstance(node, Comparison)
        entity, key, operator, value = node
        if entity == "attribute":
            return self._compared(self._columns[key], operator, value)
        if key == PROMPT_TAG and not self._prompts:
            return sa.true()
        there = [*self._tagged, self._tags.c.key == key]
        if value is None:
            found = sa.exists().where(*there)
            return ~found if operator == "IS NULL" else found
        return sa.exists().where(*there, self._compared(self._tags.c.value, operator, value))

    def _compared(self, column: Any, operator: str, value: Any) -> sa.ColumnElement[bool]:
        if operator in ("LIKE", "ILIKE"):
            return like(column, str(value), operator == "LIKE", self._sqlite)
        if operator in ("IN", "NOT IN"):
            return column.in_(value) if operator == "IN" else column.not_in(value)
        return column.op(operator, is_comparison=True)(value)


def _wants_prompts(node: Any | None) -> bool:
    """Whether the first comparison of the tag that marks prompts asks for them."""
    first = next((one for one in _comparisons(node) if one[:2] == ("tag", PROMPT_TAG)), None)
    return first is not None and (first.operator, str(first.value).lower()) in (("=", "true"), ("!=", "false"))


def _comparisons(node: Any | None) -> Iterator[Comparison]:
    if isinstance(node, Group):
        for member in node.members:
            yield from _comparisons(member)
    elif node is not None:
        yield node


def _ordering(
    clauses: list[str], columns: dict[str, Any], unknown: str = "Invalid attribute key"
) -> list[sa.ColumnElement[Any]]:
    """What to order by: each column once; a name, and the newest version of it first, where that is not said."""
    language = Language(_ENTITIES, dict.fromkeys(columns, False), unknown=unknown)
    found: dict[Any, sa.ColumnElement[Any]] = {}
    for clause in clauses:
        entity, key, ascending = parse_order(clause, language)
        if entity != "attribute":
            raise invalid(f"Invalid order_by entity: {entity}")
        column = columns[key]
        if column in found:
            raise invalid(f"`order_by` contains duplicate fields: {clauses}"[:500])
        found[column] = column.asc() if ascending else column.desc()
    natural = {columns["name"]: columns["name"].asc()}
    if "version_number" in columns:
        natural[columns["version_number"]] = columns["version_number"].desc()
    return list((found | {column: order for column, order in natural.items() if column not in found}).values())
