"""Filters and orders on runs as SQL.

A filter on a metric that few runs pass is answered from the index of last values; one that many pass is checked run
by run, so that a page is found without looking at the rest. Pages go on behind the last row's sort values (keyset), so
the hundredth page costs what the first does.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from homeostat.core.foreign import ForeignError, invalid
from homeostat.core.foreign_search import Comparison, Group, Language
from homeostat.core.patterns import glob
from homeostat.core.statements import among, marks, rows
from homeostat.tracking.mlflow.asked import Search
from homeostat.tracking.mlflow.narrowing import FEW, asks_several, first_by, fitting
from homeostat.tracking.mlflow.ordered import first_by_metric, ordered_by_metric
from homeostat.tracking.mlflow.shapes import RUN_NAME, TABLES
from homeostat.tracking.query.masks import Mask
from homeostat.tracking.query.remembered import Columns

_METRICS, _PARAMS, _TAGS = ("metric", "metrics"), ("parameter", "parameters", "param", "params"), ("tag", "tags")
RUNS = Language(
    entities={
        **dict.fromkeys(_METRICS, "metric"),
        **dict.fromkeys(_PARAMS, "parameter"),
        **dict.fromkeys(_TAGS, "tag"),
        **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
        **dict.fromkeys(("dataset", "datasets"), "dataset"),
    },
    attributes={
        "artifact_uri": False, "end_time": True, "run_id": False, "run_name": False, "start_time": True,
        "status": False, "user_id": False,
    },
    aliases={
        **dict.fromkeys(("created", "Created"), "start_time"),
        **dict.fromkeys(("run name", "Run name", "Run Name"), "run_name"),
    },
    lists=("run_id",),
)  # fmt: skip

_ATTRIBUTES = {
    "run_id": "r.id", "run_name": "r.name", "user_id": "r.owner", "start_time": "r.start_ms", "end_time": "r.end_ms",
    "status": "case r.status when 'lost' then 'KILLED' else upper(r.status) end",
    "artifact_uri": "(case when e.artifact_location = '' then 'mlflow-artifacts:/' || r.experiment_id"
    " when substr(e.artifact_location, length(e.artifact_location)) = '/'"
    " then substr(e.artifact_location, 1, length(e.artifact_location) - 1)"
    " else e.artifact_location end || '/' || r.id || '/artifacts')",
}  # fmt: skip
_TABLES = {"metric": "tracking_series", "parameter": "tracking_param", "tag": "tracking_tag"}
# As many matches of a metric filter are looked up from the metric's side.
_FEW = 20_000

Sql = tuple[str, list[Any]]


class Key(NamedTuple):
    """One sort key: `level` tells present (0) from NaN and missing ones, which come last either way."""

    level: str
    value: str
    ascending: bool


def find(c: sa.Connection, search: Search, columns: Columns | None = None) -> tuple[list[int], str | None]:
    """The numbers of the runs of one page, and the token of the next; `columns` is what is remembered of runs."""
    if not search.experiments:
        return [], None
    last = _read_token(search) if search.after else []
    found: list[Any] | None = None
    fit, narrowed = None, search
    # Runs that have the metric come before those that lack it: mostly there are enough of them.
    having = bool(search.order) and search.order[0][0] == "metric" and not (last and last[0])
    if having and columns is not None and ordered_by_metric(search):
        found = first_by_metric(c, search, last, columns)
    if columns is not None and asks_several(search.tree) and (found is None or len(found) <= search.limit):
        fit, rest = fitting(columns, search.tree)
        narrowed = search._replace(tree=rest)
    if having and found is None:
        if columns is not None and fit is not None:
            found = _first_of(c, narrowed, last, columns, fit)
        if found is None:
            found = _select(c, search, last, index_first=True)
    if found is None or len(found) <= search.limit:
        within = sorted(fit) if fit is not None and len(fit) <= FEW else None
        found = _select(c, search if within is None else narrowed, last, index_first=False, within=within)
    seqs = [row[0] for row in found[: search.limit]]
    return seqs, _token(search, found[search.limit - 1]) if len(found) > search.limit else None


def _first_of(c: sa.Connection, search: Search, last: list[Any], columns: Columns, fit: Mask) -> list[Any] | None:
    """What `_select` finds by the index of the first metric, of the few of `fit` that come first; None where those are
    not known, or too many."""
    _, key, ascending = search.order[0]
    for runs, whole in first_by(columns, key, ascending, fit, last[1] if last else None, 2 * search.limit + 1):
        found = _select(c, search, last, index_first=True, within=runs)
        if whole or len(found) > search.limit:
            return found
    return None


def _select(
    c: sa.Connection, search: Search, last: list[Any], index_first: bool, within: list[int] | None = None
) -> list[Any]:
    """The page behind `last`, and one row more; of the few runs `within` only, where these are given."""
    joins, keys, parameters = _keys(c, search.order, index_first)
    key = search.order[0][1] if index_first else None
    where = [f"r.experiment_id in ({marks(len(search.experiments))})", f"r.lifecycle in ({marks(len(search.stages))})"]
    parameters += [*search.experiments, *search.stages]
    if index_first:
        where.append("o0.last_value is not null")
    if search.tree is not None:
        sql, bound = _condition(c, search.tree, key, within is not None)
        # The same number; so written, SQLite looks at the run itself only where the rest holds.
        where.append(sql.replace("r.seq", "o0.run_seq") if index_first else sql)
        parameters += bound
    if last:
        sql, bound = _beyond(keys, last)
        where.append(sql)
        parameters += bound
    if within is not None:
        sql, bound = among(c, within)
        where.append(f"{'o0.run_seq' if index_first else 'r.seq'} {sql}")
        parameters += bound
    chosen = "".join(f", {key.level}, {key.value}" for key in keys)
    order: list[str] = []
    for key_ in keys:
        if key_.level != "0":
            order.append(key_.level)
        order.append(f"{key_.value} {'asc' if key_.ascending else 'desc'}")
    rest = f"{''.join(joins)} where {' and '.join(where)} order by {', '.join(order)} limit ?"
    tables = TABLES if " e." in f"{chosen}{rest}".replace("(", " ") else "tracking_run r"
    sql = f"select r.seq{chosen} from {tables}{rest}"  # noqa: S608 - names of this file; values are bound
    return rows(c, sql, [*parameters, search.limit + 1])


def _keys(
    c: sa.Connection, order: list[tuple[str, str, bool]], index_first: bool
) -> tuple[list[str], list[Key], list[Any]]:
    plain = ' collate "C"' if c.dialect.name == "postgresql" else ""
    joins: list[str] = []
    keys: list[Key] = []
    parameters: list[Any] = []
    for number, (entity, key, ascending) in enumerate(order):
        if entity == "tag" and key == RUN_NAME:
            entity, key = "attribute", "run_name"
        if entity == "attribute":
            text = "" if RUNS.attributes[key] else plain
            expression = _ATTRIBUTES[key]
            level = f"case when {expression} is null then 1 else 0 end" if key == "end_time" else "0"
            keys.append(Key(level, expression + text, ascending))
            continue
        if entity not in _TABLES:
            raise invalid(f"Invalid order_by entity type '{entity}'")
        o = f"o{number}"
        inner = index_first and number == 0
        joins.append(f" {'' if inner else 'left '}join {_TABLES[entity]} {o} on {o}.run_seq = r.seq and {o}.key = ?")
        parameters.append(key)
        if entity == "metric":
            # Of those that have it the level is the same: without it the index gives the order.
            level = (
                "0" if inner else f"case when {o}.run_seq is null then 2 when {o}.last_value is null then 1 else 0 end"
            )
            keys.append(Key(level, f"{o}.last_value", ascending))
        else:
            keys.append(Key(f"case when {o}.run_seq is null then 1 else 0 end", f"{o}.value{plain}", ascending))
    if not any(entity == "attribute" and key == "start_time" for entity, key, _ in order):
        keys.append(Key("0", "r.start_ms", False))
    keys.append(Key("0", f"r.id{plain}", True))
    return joins, keys, parameters


def _condition(c: sa.Connection, node: Any, ordered: str | None, few: bool) -> Sql:
    """`node` as a condition on r and e; `ordered` is the metric whose series is o0, so that its index can be used.

    With `few`, few runs are looked at.
    """
    if isinstance(node, Comparison):
        return _comparison(c, node, ordered, few)
    assert isinstance(node, Group)
    if node.kind == "not":
        sql, bound = _condition(c, node.members[0], None, few)
        return f"not coalesce({sql}, false)", bound
    parts = [_condition(c, member, ordered if node.kind == "and" else None, few) for member in node.members]
    return (
        "(" + f" {node.kind} ".join(sql for sql, _ in parts) + ")",
        [value for _, bound in parts for value in bound],
    )


def _comparison(c: sa.Connection, node: Comparison, ordered: str | None, few: bool) -> Sql:
    entity, key, operator, value = node
    if entity == "tag" and key == RUN_NAME:
        if value is None:
            return ("1 = 1" if operator == "IS NOT NULL" else "1 = 0"), []
        entity, key = "attribute", "run_name"
    if entity == "attribute":
        return compared(c, _ATTRIBUTES[key], operator, value)
    if entity == "metric":
        if key == ordered:
            return _metric("o0", operator, value)
        return _metric_of(c, key, operator, value, few)
    if entity == "dataset":
        column = "u.context" if key == "context" else f"d.{key}"
        sql, bound = compared(c, column, operator, value)
        return (
            "exists (select 1 from tracking_run_dataset u join tracking_dataset d on d.id = u.dataset_id"  # noqa: S608 - names of this file; values are bound
            f" where u.run_seq = r.seq and {sql})",
            bound,
        )
    there = f"select 1 from {_TABLES[entity]} x where x.run_seq = r.seq and x.key = ?"  # noqa: S608 - names of this file; values are bound
    if value is None:
        return f"{'not ' if operator == 'IS NULL' else ''}exists ({there})", [key]
    sql, bound = compared(c, "x.value", operator, value)
    return f"exists ({there} and {sql})", [key, *bound]


def _metric_of(c: sa.Connection, key: str, operator: str, value: float, few_runs: bool) -> Sql:
    sql, bound = _metric("x", operator, value)
    matching = f"from tracking_series x where x.key = ? and {sql}"
    if few_runs:
        return f"exists (select 1 {matching} and x.run_seq = r.seq)", [key, *bound]
    if c.dialect.name == "postgresql":  # which knows how many there are
        return f"r.seq in (select x.run_seq {matching})", [key, *bound]
    few = f"select count(*) from (select 1 {matching} limit {_FEW + 1}) n"  # noqa: S608 - names of this file; values are bound
    if operator != "!=" and rows(c, few, [key, *bound])[0][0] <= _FEW:
        return f"r.seq in (select x.run_seq {matching})", [key, *bound]
    return f"exists (select 1 {matching} and x.run_seq = r.seq)", [key, *bound]


def _metric(table: str, operator: str, value: float) -> Sql:
    if operator == "!=":  # NaN, null here, differs from every number
        return f"({table}.last_value <> ? or {table}.last_value is null)", [value]
    return f"{table}.last_value {operator} ?", [value]


def compared(c: sa.Connection, column: str, operator: str, value: Any) -> Sql:
    """`column operator ?`, with what is bound: the same on each database, case and all."""
    if operator in ("IN", "NOT IN"):
        return f"{column} {operator.lower()} ({marks(len(value))})", list(value)
    if operator == "ILIKE":
        return f"lower({column}) like lower(?)" + _escape(c), [value]
    if operator == "LIKE":
        if c.dialect.name == "sqlite":  # whose LIKE looks away from case, while GLOB does not
            return f"{column} glob ?", [glob(value)]
        return f"{column} like ?" + _escape(c), [value]
    return f"{column} {'<>' if operator == '!=' else operator} ?", [value]


def _escape(c: sa.Connection) -> str:
    return " escape ''" if c.dialect.name == "postgresql" else ""


def _beyond(keys: list[Key], last: list[Any]) -> Sql:
    """Rows behind `last`, which holds level and value of each key."""
    sql, bound = "1 = 0", list[Any]()
    for position in reversed(range(len(keys))):
        key, level, value = keys[position], last[2 * position], last[2 * position + 1]
        if level == 0:
            sign = ">" if key.ascending else "<"
            further = f"({key.value} {sign} ? or ({key.value} = ? and {sql}))"
            bound = [value, value, *bound]
            if position == 0 and key.level == "0":  # said alone, it is where an index begins
                further, bound = f"({key.value} {sign}= ? and {further})", [value, *bound]
        else:
            further = sql
        if key.level != "0":
            further, bound = f"({key.level} > ? or ({key.level} = ? and {further}))", [level, level, *bound]
        sql = further
    return sql, bound


def _texts(order: list[tuple[str, str, bool]]) -> list[bool]:
    """Of each sort key (see `_keys`) whether it is a text."""
    texts = [not RUNS.attributes[key] if entity == "attribute" else entity != "metric" for entity, key, _ in order]
    by_start = any(entity == "attribute" and key == "start_time" for entity, key, _ in order)
    return [*texts, *([] if by_start else [False]), True]


def _mark(search: Search) -> str:
    # A token goes on with the search it came from, and with no other.
    return hashlib.blake2b(repr((search.order, search.tree)).encode(), digest_size=6).hexdigest()


def _token(search: Search, row: Any) -> str:
    # Floats travel in hexadecimal: infinities and the last bit survive.
    last = [["f", value.hex()] if isinstance(value, float) else value for value in row[1:]]
    return base64.urlsafe_b64encode(msgspec.json.encode([_mark(search), last])).decode()


def _read_token(search: Search) -> list[Any]:
    try:
        raw = base64.urlsafe_b64decode(search.after)
        mark, last = msgspec.json.decode(raw, type=tuple[str, list[Any]])
        values = [float.fromhex(value[1]) if isinstance(value, list) else value for value in last]
    except (ValueError, TypeError, IndexError, msgspec.DecodeError):
        raise invalid("Invalid page token, could not base64-decode") from None
    if mark != _mark(search) or len(values) != 2 * len(texts := _texts(search.order)):
        raise ForeignError("INVALID_PARAMETER_VALUE", "Invalid page token: it belongs to another search", 400)
    for level, value, text in zip(values[::2], values[1::2], texts, strict=True):
        # A token comes from whoever asks. What a run lacks is on a level of its own.
        there = type(value) in ((str,) if text else (int, float)) if level == 0 else value is None
        if type(level) is not int or not there:
            raise invalid("Invalid page token: it is not one that a search gave")
    return values
