"""The first runs by a metric, where what is remembered of runs tells all that a search asks.

PostgreSQL looks up each run that an index gives in that order, and plans for as long again. Here the runs are gone
through in their order until the page is full, a few hundred at a time; only what tells equal ones apart is asked for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from homeostat.core.foreign_search import Comparison, Group
from homeostat.core.statements import among, rows
from homeostat.tracking.mlflow.narrowing import compare_of
from homeostat.tracking.query.remembered import EXPERIMENT_ID, LIFECYCLE, Columns
from homeostat.tracking.query.tree import Compare, Metric

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.tracking.mlflow.asked import Search

# So many runs are gone through at first, and at most: where few of them fit, an index finds those sooner.
_FIRST, _MOST = 250, 10_000


def ordered_by_metric(search: Search) -> bool:
    """Whether the order is that of one metric, and nothing is asked but what may be remembered."""
    of_metric = len(search.order) == 1 and search.order[0][0] == "metric"
    return of_metric and search.limit <= _MOST and _asked(search.tree) is not None


def first_by_metric(c: sa.Connection, search: Search, last: list[Any], columns: Columns) -> list[Any] | None:
    """The rows that `search_sql` selects of the runs that have the metric, behind `last`: as many as the page needs and
    one more, or all there are. None where that is not known here, or would take long.

    A row is the run and, of each sort key, level and value; but for the last of a page, from which the next one goes
    on, it has the run and the metric only.
    """
    nodes = _asked(search.tree)
    metric, ascending = Metric(search.order[0][1]), search.order[0][2]
    values = (metric, EXPERIMENT_ID, LIFECYCLE)
    # Each is noted as asked.
    known = [*map(columns.remembers, values), *map(columns.knows, nodes or ())]
    if nodes is None or not all(known):
        return None
    numbers = columns.numbers(metric)
    runs = _behind(columns.order(metric), numbers, ascending, last[1] if last else None)
    found: list[int] = []
    gone = 0
    for some in _parts(runs, _FIRST):
        gone += len(some)
        found += _fitting(columns, search, nodes, some)
        # Those that share the value of the page's last run are all needed.
        if len(found) > search.limit + 1 and numbers[found[-1]] != numbers[found[search.limit]]:
            break
        if gone >= _MOST and gone < len(runs):
            return None
    return _rows(c, search, last, numbers, found)


def _asked(tree: Any | None) -> list[Compare] | None:
    """What must hold, all of it; None where not all can be told here."""
    members = tree.members if isinstance(tree, Group) and tree.kind == "and" else () if tree is None else (tree,)
    nodes = [compare_of(member) if isinstance(member, Comparison) else None for member in members]
    return None if None in nodes else [node for node in nodes if node is not None]


def _behind(order: Sequence[int], numbers: Sequence[float], ascending: bool, last: float | None) -> Sequence[int]:
    """The runs in the order of the search, from those on whose value is `last`."""
    if last is None:
        return order if ascending else order[::-1]
    if ascending:
        return order[bisect_left(order, last, key=numbers.__getitem__) :]
    return order[: bisect_right(order, last, key=numbers.__getitem__)][::-1]


def _parts(runs: Sequence[int], first: int) -> Iterator[Sequence[int]]:
    begin, size = 0, first
    while begin < len(runs):
        yield runs[begin : begin + size]
        begin, size = begin + size, 2 * size


def _fitting(columns: Columns, search: Search, nodes: list[Compare], runs: Sequence[int]) -> Sequence[int]:
    """Those of `runs` that the search finds."""
    for node in nodes:
        runs = list(compress(runs, columns.tells(node, runs)))
    texts = columns.texts(LIFECYCLE)
    stages = {texts.known.get(stage, -2) for stage in search.stages}
    runs = list(compress(runs, map(stages.__contains__, map(texts.codes.__getitem__, runs))))
    experiments = set(search.experiments)
    return list(compress(runs, map(experiments.__contains__, map(columns.numbers(EXPERIMENT_ID).__getitem__, runs))))


def _rows(c: sa.Connection, search: Search, last: list[Any], numbers: Sequence[float], found: list[int]) -> list[Any]:
    """The rows of `found`, in the order of the search: of equal values the newest run first, then by id."""
    sign, limit = 1 if search.order[0][2] else -1, search.limit
    values = [sign * numbers[run] for run in found]
    begun = sign * last[1] if last else None
    tied = [
        run
        for run, before, value, after in zip(found, [begun, *values], values, [*values[1:], None], strict=False)
        if value in (before, after, begun)
    ]
    told = _told(c, tied)
    ranked = sorted((value, *_place(told.get(run)), run) for value, run in zip(values, found, strict=True))
    if last:
        behind = (begun, -last[3], last[5])
        ranked = [place for place in ranked if place[:-1] > behind]
    page = [place[-1] for place in ranked[: limit + 1]]
    if len(page) > limit and page[limit - 1] not in told:
        told |= _told(c, page[limit - 1 : limit])
    rest = {run: (0, start, 0, id) for run, (start, id) in told.items()}
    return [(run, 0, numbers[run], *rest.get(run, ())) for run in page]


def _told(c: sa.Connection, runs: list[int]) -> dict[int, tuple[int, str]]:
    """Start and id of some runs."""
    if not runs:
        return {}
    these, bound = among(c, runs)
    found = rows(c, f"select r.seq, r.start_ms, r.id from tracking_run r where r.seq {these}", bound)  # noqa: S608 - written here; values are bound
    return {seq: (start, id) for seq, start, id in found}


def _place(told: tuple[int, str] | None) -> tuple[int, str] | tuple[()]:
    return () if told is None else (-told[0], told[1])
