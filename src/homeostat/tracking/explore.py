"""What a page of many runs asks: how they divide, some of them whole, and the range of their metrics."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.families import runs_by_id
from homeostat.tracking.model import Lifecycle, MetricRange, Run, RunFacets, RunKind, RunStatus
from homeostat.tracking.search import filters

_RUNS = 500
_KEYS = 500
# Columns are offered from the newest runs that fit: counting keys over all of them would read every metric.
_SAMPLE = 200
_GROUPS = 50


@verb(permission="tracking:read")
def run_facets(
    ws: Workspace,
    experiment: str | None = None,
    kind: RunKind | None = None,
    parent_id: str | None = None,
    status: RunStatus | None = None,
    text: str | None = None,
    where: str | None = None,
    lifecycle: Lifecycle = "active",
) -> RunFacets:
    """How the runs that `search_runs` finds with the same filters divide.

    Counted over all of them: states, kinds and the 50 largest experiments. The keys of metrics, parameters and tags
    come from the newest 200, with how many of those have each, at most 500 of a sort.
    """
    holds = filters(experiment, kind, parent_id, status, text, where, lifecycle)

    def read(c: sa.Connection) -> RunFacets:
        groups = c.execute(
            sa.select(
                store.run.c.status,
                store.run.c.kind,
                store.experiment.c.name.label("experiment"),
                sa.func.count().label("runs"),
            )
            .join(store.experiment, store.experiment.c.id == store.run.c.experiment_id)
            .where(*holds)
            .group_by(store.run.c.status, store.run.c.kind, store.experiment.c.name)
        ).all()
        newest = sa.select(store.run.c.seq).where(*holds).order_by(store.run.c.start_ms.desc(), store.run.c.id.desc())
        seqs = list(c.execute(newest.limit(_SAMPLE)).scalars())
        return RunFacets(
            runs=sum(row.runs for row in groups),
            statuses=_sum(groups, "status"),
            kinds=_sum(groups, "kind"),
            experiments=dict(list(_sum(groups, "experiment").items())[:_GROUPS]),
            metrics=_keys(c, store.series, seqs),
            params=_keys(c, store.param, seqs),
            tags=_keys(c, store.tag, seqs),
        )

    return ws.db.read(read)


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


def _keys(c: sa.Connection, table: sa.Table, seqs: list[int]) -> dict[str, int]:
    many = sa.func.count().label("many")
    query = sa.select(table.c.key, many).where(table.c.run_seq.in_(seqs)).group_by(table.c.key)
    return {row.key: row.many for row in c.execute(query.order_by(many.desc(), table.c.key).limit(_KEYS))}
