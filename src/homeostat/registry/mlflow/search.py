"""Searches for models and versions: a page of those that every comparison of a filter holds for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.foreign import invalid
from homeostat.core.workspace import Workspace
from homeostat.registry import models, store
from homeostat.registry.mlflow.grammar import Comparison, offset_of, parse, parse_order, token_of
from homeostat.registry.model import Model, ModelVersion
from homeostat.registry.names import PROMPT_TAG

_MODEL_ORDER = {"name": "name", "timestamp": "updated_ms", "last_updated_timestamp": "updated_ms"}
_VERSION_ORDER = {
    "name": "model", "version_number": "version", "creation_timestamp": "created_ms",
    "last_updated_timestamp": "updated_ms",
}  # fmt: skip
_NUMBERS = {"version_number": store.version.c.version}
_TEXTS = {
    "name": store.version.c.model,
    "run_id": sa.func.coalesce(store.version.c.run_id, ""),
    "source_path": store.version.c.source,
}
_TEXT_OPERATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
_NUMBER_OPERATORS = ("=", "!=", ">", ">=", "<", "<=")
_TAG_OPERATORS = ("=", "!=", "LIKE", "ILIKE")


def find_models(
    ws: Workspace, filter_text: str, most: int, order: list[str], token: str
) -> tuple[list[Model], dict[str, list[ModelVersion]], str]:
    """A page of models, the newest version of each stage by model, and the token of the next page ("" at the end)."""
    comparisons = parse(filter_text, ("name",), ("name",))
    columns = parse_order(order, _MODEL_ORDER)
    offset = offset_of(token)

    def read(c: sa.Connection) -> tuple[list[Model], dict[str, list[ModelVersion]], str]:
        case = _Case(c)
        query = sa.select(store.model).where(store.model.c.deleted_ms.is_(None))
        for one in comparisons:
            if one.kind == "attribute":
                query = query.where(case.compare(store.model.c.name, one, _TEXT_OPERATORS))
        tags = store.model_tag
        query = query.where(*_tagged(case, comparisons, tags, [tags.c.model == store.model.c.name]))
        query = _ordered(query, store.model, columns, [("name", True)])
        found = models.records(c, query.limit(most + 1).offset(offset))
        page = found[:most]
        return page, latest(c, [model.name for model in page]), token_of(offset + most) if len(found) > most else ""

    return ws.db.read(read)


def find_versions(
    ws: Workspace, filter_text: str, most: int, order: list[str], token: str
) -> tuple[list[ModelVersion], str]:
    """A page of versions, and the token of the next page ("" at the end)."""
    comparisons = parse(filter_text, ("name", "version_number", "run_id", "source_path"), ("name", "run_id"))
    columns = parse_order(order or ["last_updated_timestamp DESC", "name ASC", "version_number DESC"], _VERSION_ORDER)
    offset = offset_of(token)

    def read(c: sa.Connection) -> tuple[list[ModelVersion], str]:
        case = _Case(c)
        query = store.select_versions()
        for one in comparisons:
            if one.kind == "attribute" and one.key in _NUMBERS:
                query = query.where(_number(_NUMBERS[one.key], one))
            elif one.kind == "attribute":
                query = query.where(case.compare(_TEXTS[one.key], one, _TEXT_OPERATORS))
        tags = store.version_tag
        same = [tags.c.model == store.version.c.model, tags.c.version == store.version.c.version]
        query = query.where(*_tagged(case, comparisons, tags, same))
        query = _ordered(query, store.version, columns, [("model", True), ("version", False)])
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


class _Case:
    """Comparisons that tell upper from lower case on every database."""

    def __init__(self, c: sa.Connection) -> None:
        self._sqlite = c.dialect.name == "sqlite"

    def compare(self, column: Any, one: Comparison, operators: tuple[str, ...]) -> sa.ColumnElement[bool]:
        if one.operator not in operators:
            raise invalid(f"Invalid comparator for {one.kind}: {one.operator}")
        if not isinstance(one.value, str | tuple):
            raise invalid(
                "Expected a quoted string value or a list of quoted string values for attributes."
                f" Got value {one.value}"
            )
        match one.operator:
            case "=":
                return column == one.value
            case "!=":
                return column != one.value
            case "IN":
                return column.in_(one.value)
            case "NOT IN":
                return ~column.in_(one.value)
            case "ILIKE":
                return column.ilike(one.value)
            case _:
                # SQLite's LIKE does not tell the cases apart; its GLOB does.
                return column.op("GLOB")(_glob(str(one.value))) if self._sqlite else column.like(one.value)


def _tagged(
    case: _Case, comparisons: list[Comparison], tags: sa.Table, same: list[sa.ColumnElement[bool]]
) -> list[sa.ColumnElement[bool]]:
    by_key: dict[str, list[sa.ColumnElement[bool]]] = {}
    for one in comparisons:
        if one.kind == "tag":
            by_key.setdefault(one.key, []).append(case.compare(tags.c.value, one, _TAG_OPERATORS))
    found: list[sa.ColumnElement[bool]] = []
    if not _wants_prompts(comparisons):
        by_key.pop(PROMPT_TAG, None)
        prompt = sa.func.lower(tags.c.value) == "true"
        found.append(~sa.exists().where(*same, tags.c.key == PROMPT_TAG, prompt))
    return found + [sa.exists().where(*same, tags.c.key == key, *held) for key, held in by_key.items()]


def _wants_prompts(comparisons: list[Comparison]) -> bool:
    for one in comparisons:
        if one.kind == "tag" and one.key == PROMPT_TAG:
            return (one.operator, str(one.value).lower()) in (("=", "true"), ("!=", "false"))
    return False


def _number(column: sa.Column[int], one: Comparison) -> sa.ColumnElement[bool]:
    if one.operator not in _NUMBER_OPERATORS:
        raise invalid(f"Invalid comparator for attribute {one.key}: {one.operator}")
    try:
        if isinstance(one.value, float) or not -(2**31) <= int(one.value) < 2**31:
            raise ValueError
    except (TypeError, ValueError):
        raise invalid(f"Invalid value for numeric attribute '{one.key}': {str(one.value)[:100]!r}") from None
    return column.op(one.operator)(int(one.value))


def _ordered(
    query: sa.Select[Any], table: sa.Table, columns: list[tuple[str, bool]], natural: list[tuple[str, bool]]
) -> sa.Select[Any]:
    wanted = [*columns, *(one for one in natural if one[0] not in [name for name, _ in columns])]
    return query.order_by(*(table.c[name].asc() if up else table.c[name].desc() for name, up in wanted))


def _glob(pattern: str) -> str:
    return "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(char, char) for char in pattern)
