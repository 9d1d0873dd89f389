"""Search among logged models: conditions joined by AND, any order, pages.

`name = 'a' AND metrics.auc > 0.7 AND params.lr IN ('0.1', '0.2') AND tags."my tag" LIKE '%x%'`. Of a metric the last
point counts (the highest step, then time, then value), among those on one of the datasets when the search names some;
models without one come last in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.patterns import like
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.conditions import malformed, parse, texts, unquoted
from homeostat.tracking.logged_models import LoggedModel, filled

_MODEL, _POINT = store.logged_model, store.model_metric

_COLUMNS = {
    "name": _MODEL.c.name,
    "model_id": _MODEL.c.id,
    "model_type": _MODEL.c.model_type,
    "status": _MODEL.c.status,
    "source_run_id": _MODEL.c.source_run_id,
    "experiment_id": sa.cast(_MODEL.c.experiment_id, sa.String),
    "creation_timestamp": _MODEL.c.created_ms,
    "last_updated_timestamp": _MODEL.c.updated_ms,
}
_ALIASES = {
    "creation_time": "creation_timestamp",
    "creation_timestamp_ms": "creation_timestamp",
    "last_updated_timestamp_ms": "last_updated_timestamp",
}
_NUMERIC = ("creation_timestamp", "last_updated_timestamp")
# As MLflow's client says them; they are ordered by how far a model has come.
_STATUSES = {"UNSPECIFIED": "unspecified", "PENDING": "pending", "READY": "ready", "FAILED": "failed"}
_PROTOCOL = {"LOGGED_MODEL_UPLOAD_FAILED": "FAILED"}
_BY_STATUS = sa.case({"pending": 1, "ready": 2, "failed": 3}, value=_MODEL.c.status, else_=0)


class Dataset(Record):
    """What points were measured on; an empty name or digest is any."""

    name: str = ""
    digest: str = ""


class Order(Record):
    """One key to order by: an attribute, or `metrics.KEY`, on one dataset or any."""

    field: str
    ascending: bool = True
    dataset: Dataset | None = None


def search_logged_models(
    ws: Workspace,
    experiment_ids: Sequence[int],
    filter: str = "",
    datasets: Sequence[Dataset] = (),
    order: Sequence[Order] = (),
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[LoggedModel], bool]:
    """Models that are not deleted, and whether there are more. Raises: InvalidInput for a malformed filter or order."""
    query = sa.select(_MODEL).where(
        _MODEL.c.lifecycle != "deleted", _MODEL.c.experiment_id.in_(experiment_ids), *_conditions(ws, filter, datasets)
    )
    keys = [_ALIASES.get(one.field, one.field) for one in order]
    for one in order:
        query = _ordered(query, one, datasets)
    if "creation_timestamp" not in keys:
        query = query.order_by(_MODEL.c.created_ms.desc())
    if "model_id" not in keys:
        query = query.order_by(_MODEL.c.id)

    def read(c: sa.Connection) -> tuple[list[LoggedModel], bool]:
        rows = c.execute(query.limit(limit + 1).offset(offset)).all()
        return filled(c, rows[:limit]), len(rows) > limit

    return ws.db.read(read)


def _conditions(ws: Workspace, text: str, datasets: Sequence[Dataset]) -> list[sa.ColumnElement[bool]]:
    on_any = _on_any(datasets)
    found: list[sa.ColumnElement[bool]] = []
    measured = False
    for given, name, op, value in parse(text):
        entity, key = _key(text, given, name)
        if entity == "attributes":
            found.append(_attribute(ws, key, op, value))
            continue
        if entity == "metrics":
            measured = True
            last = _last(key, on_any)
            found.append(
                _MODEL.c.id.in_(sa.select(last.c.model_id).where(_compared(ws, last.c.value, op, value, True)))
            )
            continue
        table = {"params": store.logged_model_param, "tags": store.logged_model_tag}[entity]
        conditions = [table.c.model_id == _MODEL.c.id, table.c.key == key, _compared(ws, table.c.value, op, value)]
        found.append(sa.exists(sa.select(sa.literal(1)).where(*conditions)))
    if on_any and not measured:
        found.append(sa.exists(sa.select(sa.literal(1)).where(_POINT.c.model_id == _MODEL.c.id, *on_any)))
    return found


def _last(key: str, where: list[sa.ColumnElement[bool]]) -> sa.Subquery:
    """model_id and value of the last point of a metric, by model."""
    last_first = sa.func.row_number().over(
        partition_by=_POINT.c.model_id,
        order_by=[_POINT.c.step.desc(), _POINT.c.at_ms.desc(), _POINT.c.value.desc(), _POINT.c.id.desc()],
    )
    of_metric = sa.select(_POINT.c.model_id, _POINT.c.value, last_first.label("rank")).where(_POINT.c.key == key)
    ranked = of_metric.where(*where).subquery()
    return sa.select(ranked.c.model_id, ranked.c.value).where(ranked.c.rank == 1).subquery()


def _key(text: str, entity: str, name: str) -> tuple[str, str]:
    if not entity:
        entity = "attributes"
    if entity not in ("attributes", "metrics", "params", "tags"):
        raise InvalidInput(f"Invalid entity type: {entity[:80]!r}. Expected one of attributes, metrics, params, tags.")
    if entity != "attributes":
        return entity, name
    known = _ALIASES.get(name, name)
    if known not in _COLUMNS:
        raise malformed(text, f"an attribute, one of {', '.join(_COLUMNS)}, and not {name[:80]!r}")
    return entity, known


def _attribute(ws: Workspace, key: str, op: str, value: str) -> sa.ColumnElement[bool]:
    if key == "status":
        return _status_is(op, texts(value) if op in ("IN", "NOT IN") else [unquoted(value)])
    return _compared(ws, _COLUMNS[key], op, value, key in _NUMERIC)


def _status_is(op: str, said: list[str]) -> sa.ColumnElement[bool]:
    if op not in ("=", "!=", "IN", "NOT IN"):
        raise InvalidInput(f"Invalid comparison operator for status: {op}")
    names = [_PROTOCOL.get(one, one.removeprefix("LOGGED_MODEL_")) for one in said]
    unknown = [one for one in said if _PROTOCOL.get(one, one.removeprefix("LOGGED_MODEL_")) not in _STATUSES]
    if unknown:
        raise InvalidInput(f"Unknown model status in filter: {unknown[0][:80]!r}", hint=", ".join(_STATUSES))
    within = _MODEL.c.status.in_([_STATUSES[name] for name in names])
    return within if op in ("=", "IN") else ~within


def _compared(ws: Workspace, column: Any, op: str, value: str, numeric: bool = False) -> sa.ColumnElement[bool]:
    allowed = ("<", "<=", ">", ">=", "=", "!=") if numeric else ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
    if op not in allowed:
        raise InvalidInput(f"Invalid comparison operator {op!r}. Expected one of {', '.join(allowed)}.")
    if numeric:
        try:
            number = float(value.strip("'\""))
        except ValueError:
            raise InvalidInput(f"Invalid value {value[:80]}: a number is compared with a number") from None
        return column.op(op, is_comparison=True)(sa.literal(number, sa.Float))
    if op in ("IN", "NOT IN"):
        return column.in_(texts(value)) if op == "IN" else column.not_in(texts(value))
    text = unquoted(value)
    if op in ("LIKE", "ILIKE"):
        return like(column, text, op == "LIKE", ws.db.reader.dialect.name == "sqlite")
    return column == text if op == "=" else column != text


def _on_any(datasets: Sequence[Dataset]) -> list[sa.ColumnElement[bool]]:
    return [sa.or_(*map(_of, datasets))] if datasets else []


def _of(dataset: Dataset) -> sa.ColumnElement[bool]:
    said = ((_POINT.c.dataset_name, dataset.name), (_POINT.c.dataset_digest, dataset.digest))
    return sa.and_(*(column == wanted for column, wanted in said if wanted))


def _ordered(query: sa.Select[Any], one: Order, datasets: Sequence[Dataset]) -> sa.Select[Any]:
    entity, dot, key = one.field.partition(".")
    if not dot:
        name = _ALIASES.get(one.field, one.field)
        if name not in _COLUMNS:
            raise InvalidInput(f"Invalid order by field name: {one.field[:80]}")
        column: Any = _BY_STATUS if name == "status" else _COLUMNS[name]
    else:
        if entity != "metrics":
            raise InvalidInput(f"Invalid order by field name: {one.field[:80]}. Only metrics are supported.")
        on = [*_on_any(datasets), *([_of(one.dataset)] if one.dataset else [])]
        last = _last(key, on)
        query = query.outerjoin(last, last.c.model_id == _MODEL.c.id)
        column = last.c.value
    missing_last = sa.case((column.is_(None), 1), else_=0)
    return query.order_by(missing_last, column.asc() if one.ascending else column.desc())
