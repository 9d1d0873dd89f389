"""What a page of many runs asks: how they divide, some of them whole, and the range of their metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from itertools import compress
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.statements import among, rows, rows_of
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store, texts
from homeostat.tracking.families import runs_by_id
from homeostat.tracking.model import Lifecycle, MetricRange, Run, RunFacets, RunKind, RunStatus
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.figures import figures
from homeostat.tracking.query.finding import Asked, soonest
from homeostat.tracking.query.fitting import fitting, listed, read_numbers
from homeostat.tracking.query.masks import Mask
from homeostat.tracking.query.parsing import parse, parse_order
from homeostat.tracking.query.ranking import first_of
from homeostat.tracking.query.remembered import Columns
from homeostat.tracking.query.tree import Condition, Every, Property

_RUNS = 500
_KEYS = 500
# Columns are offered from the newest runs that fit: counting keys over all of them would read every metric.
_SAMPLE = 200
_GROUPS = 50
# More runs than these are counted as all of them lie, rather than looked up.
_MANY = 3000
_DIVIDED = "experiment_id, kind, status"
_SHARED = (Property("experiment_id", "number"), Property("kind", "text"), Property("status", "text"))
_NEWEST = "-run.start"


@verb(permission="tracking:read")
def run_facets(
    ws: Workspace,
    experiment: str | None = None,
    kind: RunKind | None = None,
    parent_id: str | None = None,
    status: RunStatus | None = None,
    query: str | None = None,
    lifecycle: Lifecycle = "active",
) -> RunFacets:
    """How the runs that `search_runs` finds with the same filters divide.

    Counted over all of them: states, kinds and the 50 largest experiments. The keys of metrics, parameters and tags
    come from the newest 200, with how many of those have each, at most 500 of a sort.
    """
    tree = parse(query)

    def read(c: sa.Connection) -> RunFacets:
        base = Base(lifecycle, experiment, kind, parent_id, status)
        groups, seqs = _divided(c, base, tree, Columns.of(ws, c))
        metrics, params, tags = _keys(c, seqs)
        return RunFacets(
            runs=sum(row.runs for row in groups),
            statuses=_sum(groups, "status"),
            kinds=_sum(groups, "kind"),
            experiments=dict(list(_sum(groups, "experiment").items())[:_GROUPS]),
            metrics=metrics,
            params=params,
            tags=tags,
        )

    return texts.read(ws, tree, read)


class _Group(NamedTuple):
    experiment: str
    kind: str
    status: str
    runs: int


def _divided(c: sa.Connection, base: Base, tree: Condition, columns: Columns | None) -> tuple[list[_Group], list[int]]:
    """How the runs divide that fit, and the numbers of the newest of them."""
    names = dict(rows(c, "select id, name from tracking_experiment"))
    joined = figures(c, base, tree)
    fit = fitting(c, base, tree, joined, columns) if tree != Every(()) else None
    if isinstance(fit, Mask) and columns is not None and len(fit) > _MANY and _counts_here(c, columns):
        # To go through all runs takes longer there than to count them here.
        divided = _divided_here(columns, fit)
        order = parse_order(_NEWEST)[0]
        first = [seq for seq, _ in first_of(columns, order, fit, None, _SAMPLE)]
        return [_Group(names[id], kind, status, runs) for id, kind, status, runs in divided], first
    divided = _all_divided(c, base) if fit is None else _divided_within(c, base, fit)
    newest = None
    if fit is None or len(fit) > _MANY:
        newest = soonest(c, Asked(base, tree, _NEWEST, parse_order(_NEWEST), _SAMPLE, None), joined)
    if newest is None:
        of_these, bound = among(c, sorted(fit or ()))
        found = rows(
            c,
            f"select seq from tracking_run where seq {of_these} order by start_ms desc, seq desc limit {_SAMPLE}",  # noqa: S608 - a number; values are bound
            bound,
        )
        newest = [seq for (seq,) in found]
    return [_Group(names[id], kind, status, runs) for id, kind, status, runs in divided if runs], newest


def _counts_here(c: sa.Connection, columns: Columns) -> bool:
    if c.dialect.name != "postgresql":
        return False
    known = [columns.remembers(value) for value in (*_SHARED, parse_order(_NEWEST)[0].value)]  # each noted as asked
    return all(known)


def _divided_here(columns: Columns, fit: Mask) -> list[tuple[Any, ...]]:
    """As `_divided_within`, of what is remembered."""
    ids, kinds, statuses = columns.numbers(_SHARED[0]), columns.texts(_SHARED[1]), columns.texts(_SHARED[2])
    shared: tuple[Any, ...] = (ids, kinds.codes, statuses.codes)
    counted = Counter(zip(*(compress(column, fit.marks) for column in shared), strict=True))
    return [(int(id), kinds.texts[kind], statuses.texts[state], n) for (id, kind, state), n in counted.items()]


def _all_divided(c: sa.Connection, base: Base) -> list[Any]:
    """Experiment, kind, state and number of all runs, grouped as the index lies that holds them."""
    of_all, bound = base.on_runs(c.dialect.name == "postgresql", counted=True)
    return rows(c, f"select {_DIVIDED}, count(*) from tracking_run r where {of_all} group by {_DIVIDED}", bound)  # noqa: S608 - names of this slice; values are bound


def _divided_within(c: sa.Connection, base: Base, fit: Set[int]) -> list[Any]:
    """As `_all_divided`, of the runs of `fit`."""
    postgres = c.dialect.name == "postgresql"
    if len(fit) <= _MANY:
        of_these, bound = among(c, sorted(fit))
        return rows(c, f"select {_DIVIDED}, count(*) from tracking_run where seq {of_these} group by {_DIVIDED}", bound)  # noqa: S608 - names of this slice; values are bound
    of_all, bound = base.on_runs(postgres, counted=True)
    sql = f"select {_DIVIDED}, {listed('r.seq', postgres)} from tracking_run r where {of_all} group by {_DIVIDED}"  # noqa: S608 - names of this slice; values are bound
    count = fit.among if isinstance(fit, Mask) else lambda seqs: sum(map(fit.__contains__, seqs))
    return [(*shared, count(read_numbers(seqs))) for *shared, seqs in rows(c, sql, bound)]


@verb(permission="tracking:read")
def get_runs(ws: Workspace, ids: list[str]) -> list[Run]:
    """Several runs by id, in the order asked, each once; what does not exist is left out. At most 500."""
    wanted = _checked(ids)
    found = runs_by_id(ws, wanted)
    return [found[id] for id in wanted if id in found]


@verb(permission="tracking:read")
def metric_ranges(ws: Workspace, ids: list[str], keys: list[str]) -> dict[str, dict[str, MetricRange]]:
    """Smallest, largest and last value of metrics, by run id and key, without reading a point. At most 500 runs."""
    wanted = _checked(ids)
    if len(keys) > _KEYS:
        raise InvalidInput(f"{len(keys)} metrics", hint=f"at most {_KEYS} at a time")

    def read(c: sa.Connection) -> dict[str, dict[str, MetricRange]]:
        found: dict[str, dict[str, MetricRange]] = {id: {} for id in wanted}
        table = store.series
        named = c.execute(sa.select(store.run.c.seq, store.run.c.id).where(store.run.c.id.in_(wanted)))
        by_seq = {row.seq: row.id for row in named}
        query = sa.select(table).where(table.c.run_seq.in_(list(by_seq)), table.c.key.in_(keys))
        for row in c.execute(query.order_by(table.c.run_seq, table.c.key)):
            found[by_seq[row.run_seq]][row.key] = MetricRange(
                min=row.min_value, max=row.max_value, last=row.last_value, points=row.points, last_step=row.last_step
            )
        return found

    return ws.db.read(read)


def _checked(ids: list[str]) -> list[str]:
    if len(ids) > _RUNS:
        raise InvalidInput(f"{len(ids)} runs", hint=f"at most {_RUNS} at a time")
    return list(dict.fromkeys(ids))


def _sum(rows: Any, name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[getattr(row, name)] = counts.get(getattr(row, name), 0) + row.runs
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _keys(c: sa.Connection, seqs: list[int]) -> list[dict[str, int]]:
    """How many of the runs have each key: of metrics, of parameters, of tags."""
    these, bound = among(c, seqs)
    sql = (
        "select key, count(*) as many from {} where run_seq {} group by key"  # noqa: S608 - names of this slice; values are bound
        f" order by many desc, key limit {_KEYS}"
    )
    tables = (store.series.name, store.param.name, store.tag.name)
    return [dict(found) for found in rows_of(c, [(sql.format(table, these), bound) for table in tables])]
