"""A query as SQL, on SQLite and on PostgreSQL.

A condition on one parameter, tag or metric becomes a set of runs (`r.seq in (…)`) where an index answers it, and a
look at each run where none does, or where few are to be looked at; one on several becomes a comparison of what is
looked up for each run. Every condition is true or false, never null, so that `not` turns it round. Statements are read
with `statements.rows`: `r` is the run at hand, `o` the row of a parameter, tag or metric that a search begins with,
values are bound.
"""

from __future__ import annotations

from typing import Any, NamedTuple, assert_never

from homeostat.core.patterns import glob
from homeostat.core.regular import compiled
from homeostat.core.statements import marks
from homeostat.tracking.query.names import NOTES
from homeostat.tracking.query.tree import (
    Among,
    Arithmetic,
    Compare,
    Condition,
    Constant,
    Every,
    Lower,
    Member,
    Metric,
    Missing,
    Not,
    Param,
    Property,
    Some,
    Tag,
    Text,
    Value,
    Word,
)
from homeostat.tracking.query.words import word_sql

Sql = tuple[str, list[Any]]

_COLUMNS = {
    "id": "r.id", "name": "r.name", "status": "r.status", "kind": "r.kind", "source": "r.source", "user": "r.owner",
    "start": "r.start_ms", "end": "r.end_ms", "parent": "r.parent_id", "code_version": "r.code_version",
    "error": "r.error", "experiment_id": "r.experiment_id", "lifecycle": "r.lifecycle",
    "duration": "(cast(r.end_ms - r.start_ms as double precision) / 1000)",
}  # fmt: skip
_FIGURES = {
    "last": "last_value", "min": "min_value", "max": "max_value", "count": "points", "step": "last_step",
}  # fmt: skip
TABLES = {"param": "tracking_param", "tag": "tracking_tag", "series": "tracking_series"}
_SETS = {
    "datasets": "tracking_run_dataset u join tracking_dataset d on d.id = u.dataset_id where d.name = ?",
    "artifacts": "tracking_artifact u where u.path = ?",
}
_NULLABLE = {"end", "parent", "error", "duration"}
_OPERATORS = {"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Place(NamedTuple):
    """Where a value is kept: the rows of one key in a table, the experiment, the run itself, or what is joined."""

    table: str
    key: str = ""


RUN, EXPERIMENT, JOINED = Place("run"), Place("experiment"), Place("joined")


class Writer:
    """Writes SQL of one query for one database; `joined` are the names of metrics that are joined to the run.

    `at` is the place of the row `o` where a search begins with one. With `few`, there are few runs to be looked at;
    where they are `rare`, few of all runs are expected to fit.
    """

    def __init__(
        self,
        postgres: bool,
        joined: dict[Metric, str] | None = None,
        at: Place | None = None,
        few: bool = False,
        rare: bool = False,
    ) -> None:
        self.postgres = postgres
        self._joined = joined or {}
        self._at = at
        self.few = few
        self.rare = rare
        self._beside: dict[Place, str] = {}
        self.seq = "r.seq" if at is None else "o.run_seq"
        # How texts are ordered: by code points, everywhere.
        self.plain = ' collate "C"' if postgres else ""

    def own(self, node: Any) -> Sql | None:
        """`node` where all it asks is of `o`: may be null. An index may then begin and end with it."""
        if isinstance(node, Compare | Among | Text) and self._at and places_of(node) == {self._at}:
            return self._test(node, None)
        return None

    def condition(self, node: Condition) -> Sql:
        """`node` as a condition on the run that is true or false."""
        match node:
            case Every(members) | Some(members):
                word = " and " if isinstance(node, Every) else " or "
                parts = self._together(members) if isinstance(node, Every) else [self.condition(m) for m in members]
                if not parts:
                    return ("1 = 1" if isinstance(node, Every) else "1 = 0"), []
                return f"({word.join(sql for sql, _ in parts)})", [value for _, bound in parts for value in bound]
            case Not(member):
                sql, bound = self.condition(member)
                return f"not {sql}" if sql.startswith("(") else f"not ({sql})", bound
            case Member(group, name):
                return f"exists (select 1 from {_SETS[group]} and u.run_seq = {self.seq})", [name]  # noqa: S608 - names of this file
            case Word(text):
                return word_sql(self.postgres, text, self.seq, self.few, self.rare)
            case Missing(value):
                return self.missing(value)
            case Compare() | Among() | Text():
                return self._held([node])
            case _:
                assert_never(node)

    def value(self, node: Value, at: Place | None = None) -> Sql:
        """`node` as an expression on the run; what is kept at the place `at` is read from its row `x`."""
        match node:
            case Constant(value):
                return "?", [value]
            case Property(name) if name == "notes":
                return self.value(Tag(NOTES), at)
            case Property(name) if name == "experiment":
                if at == EXPERIMENT:
                    return "x.name", []
                return "(select x.name from tracking_experiment x where x.id = r.experiment_id)", []
            case Property(name):
                return _COLUMNS[name], []
            case Param() | Tag() | Metric():
                return self._kept(node, at)
            case Lower(operand):
                sql, bound = self.value(operand, at)
                return f"lower({sql}{self.plain})", bound
            case Arithmetic(operator, left, right):
                return self._computed(operator, self.value(left, at), self.value(right, at))
            case _:
                assert_never(node)

    def _kept(self, node: Param | Tag | Metric, at: Place | None) -> Sql:
        if isinstance(node, Metric) and node in self._joined:
            return f"cast({self._joined[node]}.value as double precision)", []
        column = column_of(node)
        (place,) = places(node)
        if place in (at, self._at):
            return f"{'x' if place == at else 'o'}.{column}", []
        if not self.few:
            return f"{self._beside.setdefault(place, f'b{len(self._beside)}')}.{column}", []
        table = TABLES[place.table]
        return f"(select x.{column} from {table} x where x.run_seq = {self.seq} and x.key = ?)", [place.key]  # noqa: S608 - names of this file

    def beside(self) -> Sql:
        """What joins the rows to the run that the values written so far are read from."""
        joins = [
            f" left join {TABLES[place.table]} {name} on {name}.run_seq = {self.seq} and {name}.key = ?"
            for place, name in self._beside.items()
        ]
        return "".join(joins), [place.key for place in self._beside]

    def _computed(self, operator: str, a: Sql, b: Sql) -> Sql:
        left, right = (f"cast({sql} as double precision)" for sql, _ in (a, b))
        if operator == "/":
            right = f"nullif({right}, 0)"
        # What is no number is missing; only PostgreSQL would keep it.
        made = f"({left} {operator} {right})"
        return f"nullif({made}, 'NaN')" if self.postgres else made, [*a[1], *b[1]]

    def _together(self, members: tuple[Any, ...]) -> list[Sql]:
        """The members' SQL; what is asked of one row of one table is asked of it at once."""
        by_place: dict[Place, list[Any]] = {}
        parts: list[Sql] = []
        for member in members:
            found = places_of(member) if isinstance(member, Compare | Among | Text) else set[Place]()
            place = next(iter(found)) if len(found) == 1 else RUN
            if place.table in TABLES:
                by_place.setdefault(place, []).append(member)
            else:
                parts.append(self.condition(member))
        return parts + [self._held(group) for group in by_place.values()]

    def _held(self, nodes: list[Any]) -> Sql:
        """All of `nodes`, which are asked of the same places."""
        found = {place for node in nodes for place in places_of(node)}
        at = next(iter(found)) if len(found) == 1 else None
        own = at is not None and at == self._at
        tests = [self._test(node, None if own else at) for node in nodes]
        sql, bound = " and ".join(sql for sql, _ in tests), [value for _, values in tests for value in values]
        if own:
            return f"coalesce({sql}, false)", bound
        if at == EXPERIMENT:
            return f"r.experiment_id in (select x.id from tracking_experiment x where {sql})", bound  # noqa: S608 - names of this file
        if at is None or at.table not in TABLES:
            always = at == RUN and not any(name in _NULLABLE for node in nodes for name in _properties(node))
            return sql if always else f"coalesce({sql}, false)", bound
        rows = f"from {TABLES[at.table]} x where x.key = ?"
        if not self.few and (at.table == "series" or all(numeric(node) for node in nodes)):
            return f"{self.alone(self.seq)} in (select x.run_seq {rows} and {sql})", [at.key, *bound]
        return f"exists (select 1 {rows} and x.run_seq = {self.seq} and {sql})", [at.key, *bound]

    def rows_of(self, nodes: list[Any]) -> Sql:
        """The rows `x` of which all `nodes` hold, which are asked of one place in a table: "from …"."""
        at = next(iter(places_of(nodes[0])))
        tests = [self._test(node, at) for node in nodes]
        where, bound = " and ".join(sql for sql, _ in tests), [value for _, values in tests for value in values]
        return f"from {TABLES[at.table]} x where x.key = ? and {where}", [at.key, *bound]

    def alone(self, column: str) -> str:
        """`column`, so written that SQLite does not begin with what is asked of it."""
        return column if self.postgres else f"+{column}"

    def missing(self, value: Value) -> Sql:
        """A condition on the run: it has no such value."""
        found = places(value)
        at = next(iter(found)) if len(found) == 1 else None
        if at is None or at == self._at or at.table not in TABLES:
            sql, bound = self.value(value)
            return f"{sql} is null", bound
        sql, bound = self.value(value, at)
        rows = f"from {TABLES[at.table]} x where x.key = ? and {sql} is not null"
        if not self.few and column_of(value) != "value":
            return f"{self.alone(self.seq)} not in (select x.run_seq {rows})", [at.key, *bound]
        return f"not exists (select 1 {rows} and x.run_seq = {self.seq})", [at.key, *bound]

    def _test(self, node: Compare | Among | Text, at: Place | None) -> Sql:
        """`node`, null where a value is missing."""
        if isinstance(node, Compare):
            (a, bound_a), (b, bound_b) = self.value(node.left, at), self.value(node.right, at)
            by = self.plain if node.left.kind == "text" and node.operator != "==" else ""
            return f"{a} {_OPERATORS[node.operator]} {b}{by}", [*bound_a, *bound_b]
        sql, bound = self.value(node.value, at)
        if isinstance(node, Among):
            return f"{sql} in ({marks(len(node.options))})", [*bound, *node.options]
        argument, length = node.argument, len(node.argument)
        if not argument and node.test != "like":
            return f"{sql} is not null", bound
        match node.test:
            case "contains":
                return f"{'strpos' if self.postgres else 'instr'}({sql}, ?) > 0", [*bound, argument]
            case "startswith":
                return f"substr({sql}, 1, {length}) = ?", [*bound, argument]
            case "endswith":
                return f"{f'right({sql}, {length})' if self.postgres else f'substr({sql}, -{length})'} = ?", [
                    *bound,
                    argument,
                ]
            case "like":
                if self.postgres:
                    return f"{sql} like ? escape ''", [*bound, argument]
                return f"{sql} glob ?", [*bound, glob(argument)]
            case _:
                if self.postgres:
                    return f"{sql} ~ ?", [*bound, compiled(argument).postgres]
                return f"matches(?, {sql})", [argument, *bound]


def column_of(node: Any) -> str:
    """The column that holds a parameter, tag or metric; "value" of anything else."""
    if isinstance(node, Metric):
        return _FIGURES.get(node.part, "value")
    return "number" if isinstance(node, Param) and node.kind == "number" else "value"


def places(node: Value) -> set[Place]:
    """Where the values are kept that `node` is made of."""
    match node:
        case Constant():
            return set()
        case Property(name):
            return {Place("tag", NOTES)} if name == "notes" else {EXPERIMENT} if name == "experiment" else {RUN}
        case Param(key):
            return {Place("param", key)}
        case Tag(key):
            return {Place("tag", key)}
        case Metric(key):
            return {JOINED} if joins(node) else {Place("series", key)}
        case Lower(operand):
            return places(operand)
        case Arithmetic(_, left, right):
            return places(left) | places(right)
        case _:
            assert_never(node)


def places_of(node: Compare | Among | Text) -> set[Place]:
    """Where the values are kept that `node` asks of."""
    return places(node.left) | places(node.right) if isinstance(node, Compare) else places(node.value)


def parts_of(node: Any) -> list[Any]:
    """`node` and everything within it."""
    found = [node]
    for part in node if isinstance(node, tuple) else ():
        if isinstance(part, tuple):
            found += parts_of(part)
    return found


def _properties(node: Any) -> list[str]:
    return [part.name for part in parts_of(node) if isinstance(part, Property)]


def nullable(value: Value) -> bool:
    """Whether runs may lack the value."""
    if isinstance(value, Lower):
        return nullable(value.operand)
    return not isinstance(value, Property) or value.name in _NULLABLE or value.name == "notes"


def joins(metric: Metric) -> bool:
    """Whether the figure is in no column: it is found before (`figures`) and joined to the run."""
    return metric.part in ("first", "at") or bool(metric.model or metric.dataset)


def numeric(node: Compare | Among | Text) -> bool:
    """Whether numbers are asked of, which indexes hold."""
    value = node.left if isinstance(node, Compare) else node.value
    return value.kind == "number" and not isinstance(node, Text)
