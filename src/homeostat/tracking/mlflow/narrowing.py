"""Which runs a search of MLflow's can find at most, by what is remembered of all of them.

On PostgreSQL it takes long to go through what many runs have in common. The statement of `search_sql` still says what
is found and in what order; it is asked of few runs, among which all that it would find are.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import Any

from homeostat.core.foreign_search import Comparison, Group
from homeostat.tracking.mlflow.shapes import RUN_NAME
from homeostat.tracking.query.masks import Mask
from homeostat.tracking.query.remembered import Columns
from homeostat.tracking.query.tree import Compare, Constant, Metric, Param, Tag

# So many runs are handed to the statement at most. Where more than the second fit, an index that gives the order soon
# gives a page of them.
FEW, _MANY = 5000, 20_000
_OPERATORS = {"=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def asks_several(tree: Any | None) -> bool:
    """Whether several conditions must hold: one alone is told soonest by an index."""
    return isinstance(tree, Group) and tree.kind == "and"


def fitting(columns: Columns, tree: Any | None) -> tuple[Mask | None, Any | None]:
    """The runs, of any lifecycle, of which a part of `tree` holds, and what is left of it to be asked; None where
    nothing is remembered of what it asks, or it does not ask several things."""
    members = tree.members if isinstance(tree, Group) and asks_several(tree) else ()
    found: Mask | None = None
    rest: list[Any] = []
    for member in members:
        node = compare_of(member) if isinstance(member, Comparison) else None
        if node is None or not columns.knows(node):
            rest.append(member)
            continue
        some = columns.holds(node)
        found = some if found is None else found & some
    if found is None:
        return None, tree
    return found, Group("and", tuple(rest)) if len(rest) > 1 else rest[0] if rest else None


def first_by(
    columns: Columns, key: str, ascending: bool, runs: Collection[int], last: float | None, least: int
) -> Iterator[tuple[list[int], bool]]:
    """The first of `runs` by the metric `key`, from `last` on, at least `least` of them with all that share the last
    one's value; then more of them. With each whether these are all. Nothing where the metric is not remembered."""
    metric = Metric(key)
    if len(runs) > _MANY or not columns.remembers(metric):
        return
    numbers, sign = columns.numbers(metric), 1 if ascending else -1
    values = [(sign * number, run) for run in runs if (number := numbers[run]) == number]
    if last is not None:
        values = [one for one in values if one[0] >= sign * last]
    while least <= FEW:
        if len(values) <= least:
            yield [run for _, run in values], True
            return
        bound = heapq.nsmallest(least, values)[-1][0]
        chosen = [run for value, run in values if value <= bound]
        if len(chosen) > FEW:
            return
        yield chosen, False
        least *= 4


def compare_of(node: Comparison) -> Compare | None:
    """What asks the same in our own words, where that is a number or a text that is remembered."""
    operator = _OPERATORS.get(node.operator)
    if node.entity == "metric" and operator is not None:
        return Compare(operator, Metric(node.key), Constant(float(node.value), "number"))
    if operator == "==" and isinstance(node.value, str):
        if node.entity == "parameter":
            return Compare(operator, Param(node.key, "text"), Constant(node.value, "text"))
        if node.entity == "tag" and node.key != RUN_NAME:
            return Compare(operator, Tag(node.key), Constant(node.value, "text"))
    return None
