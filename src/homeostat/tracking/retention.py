"""How long an experiment's artifacts, points and traces are kept, and erasing those that have grown old.

A rule of its own is kept among the experiment's tags, where it travels with it; only `set_retention`, which takes an
administrator, writes it: whoever may tag an experiment must not thereby erase it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from homeostat.core.faults import fault
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.retention import Keep, Named, Step, before, check_days, keep_of
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.experiments import KEEP_TAG, find
from homeostat.tracking.traces import delete_traces

_RUNS_AT_ONCE, _TRACES_AT_ONCE, _LOOK = 20, 200, 500
_RUN = store.run


class Retention(Record):
    """For how many days things of an experiment are kept; 0 is for ever, None as the workspace's settings say."""

    artifacts_days: float | None = None
    points_days: float | None = None
    traces_days: float | None = None


@verb(permission="tracking:admin")
def set_retention(
    ws: Workspace,
    experiment: str,
    artifacts_days: float | None = None,
    points_days: float | None = None,
    traces_days: float | None = None,
) -> Retention:
    """Say how long an experiment's artifacts, points and traces are kept; all three are set by each call.

    A number of days counts from a run's end, or from a trace's time; 0 is for ever; None as the settings
    `keep_…_days` say. Runs that a model version names keep everything. What is over is erased by the server from time
    to time, or by `homeostat gc`.

    Raises: NotFound; InvalidInput for less than 0 or more than 36,500 days.
    """
    rule = Retention(artifacts_days=artifacts_days, points_days=points_days, traces_days=traces_days)
    for name in Retention.__struct_fields__:
        days = getattr(rule, name)
        if days is not None:
            check_days(days, name)

    def put(c: sa.Connection) -> None:
        tag = store.experiment_tag
        found = find(c, experiment)
        c.execute(sa.delete(tag).where(tag.c.experiment_id == found, tag.c.key == KEEP_TAG))
        if rule != Retention():
            c.execute(sa.insert(tag).values(experiment_id=found, key=KEEP_TAG, value=to_json(rule)))

    ws.db.write(put)
    return rule


@verb(permission="tracking:read")
def get_retention(ws: Workspace, experiment: str) -> Retention:
    """How long an experiment's artifacts, points and traces are kept, by its own rule or the settings. NotFound."""
    wanted = ws.db.read(lambda c: find(c, experiment))
    return _in_force(ws, keep_of(ws.settings))(wanted)


def has_rules(ws: Workspace) -> bool:
    """Whether any experiment has a rule of its own."""
    tag = store.experiment_tag
    query = sa.select(tag.c.key).where(tag.c.key == KEEP_TAG).limit(1)
    return ws.db.read(lambda c: c.execute(query).first()) is not None


def expire(ws: Workspace, keep: Keep, named: Named, really: bool, step: Step) -> None:
    """Erase artifacts, points and traces that are older than the policy says, unless `named`."""
    rules = _in_force(ws, keep)
    for kind in ("artifacts", "points", "traces"):
        step(kind, 0)
    experiments = ws.db.read(lambda c: list(c.execute(sa.select(store.experiment.c.id)).scalars()))
    for experiment in experiments:
        rule = rules(experiment)
        if rule.artifacts_days:
            for some in _ended(ws, experiment, before(rule.artifacts_days), named, store.artifact):
                step("artifacts", _do(ws, really, some, _count_artifacts, _erase_artifacts))
        if rule.points_days:
            for some in _ended(ws, experiment, before(rule.points_days), named, store.chunk, store.journal):
                step("points", _do(ws, really, some, _count_points, _erase_points))
        if rule.traces_days:
            _expire_traces(ws, experiment, before(rule.traces_days), really, step)


def _in_force(ws: Workspace, keep: Keep) -> Callable[[int], Retention]:
    tag = store.experiment_tag
    query = sa.select(tag.c.experiment_id, tag.c.value).where(tag.c.key == KEEP_TAG)
    own = {id: from_json(value, Retention) for id, value in ws.db.read(lambda c: c.execute(query).all())}

    def rule(experiment: int) -> Retention:
        found = own.get(experiment, Retention())
        values = {
            name: getattr(keep, name) if getattr(found, name) is None else getattr(found, name)
            for name in Retention.__struct_fields__
        }
        return Retention(**values)

    return rule


def _ended(ws: Workspace, experiment: int, before_ms: int, named: Named, *holding: sa.Table) -> Iterator[list[int]]:
    """Runs that ended before, hold rows of a table, and are not named, a few at a time."""
    last = -1
    while True:
        query = (
            sa.select(_RUN.c.seq, _RUN.c.id)
            .where(
                _RUN.c.experiment_id == experiment, _RUN.c.status != "running", _RUN.c.end_ms < before_ms,
                _RUN.c.seq > last, sa.or_(*(sa.exists().where(table.c.run_seq == _RUN.c.seq) for table in holding)),
            )
            .order_by(_RUN.c.seq)
            .limit(_LOOK)
        )  # fmt: skip
        found = ws.db.read(lambda c, query=query: c.execute(query).all())
        if not found:
            return
        last = found[-1].seq
        seqs = [seq for seq, id in found if ("run", id) not in named]
        for start in range(0, len(seqs), _RUNS_AT_ONCE):
            yield seqs[start : start + _RUNS_AT_ONCE]


def _do(
    ws: Workspace,
    really: bool,
    seqs: list[int],
    count: Callable[[sa.Connection, list[int]], int],
    erase: Callable[[sa.Connection, list[int]], None],
) -> int:
    def both(c: sa.Connection) -> int:
        # Looked at again: one may have been taken up again since.
        still = sa.select(_RUN.c.seq).where(_RUN.c.seq.in_(seqs), _RUN.c.status != "running").with_for_update()
        there = list(c.execute(still).scalars())
        counted = count(c, there)
        erase(c, there)
        fault("expire")
        return counted

    return ws.db.write(both) if really else ws.db.read(lambda c: count(c, seqs))


def _count_artifacts(c: sa.Connection, seqs: list[int]) -> int:
    return _total(c, sa.select(sa.func.count()).where(store.artifact.c.run_seq.in_(seqs)))


def _erase_artifacts(c: sa.Connection, seqs: list[int]) -> None:
    c.execute(sa.delete(store.artifact).where(store.artifact.c.run_seq.in_(seqs)))


def _count_points(c: sa.Connection, seqs: list[int]) -> int:
    folded = _total(c, sa.select(sa.func.sum(store.chunk.c.points)).where(store.chunk.c.run_seq.in_(seqs)))
    return folded + _total(c, sa.select(sa.func.sum(_RUN.c.pending)).where(_RUN.c.seq.in_(seqs)))


def _erase_points(c: sa.Connection, seqs: list[int]) -> None:
    # What lists and searches need of a metric (last, least, greatest value, how many points there were) stays.
    for table in (store.chunk, store.journal):
        c.execute(sa.delete(table).where(table.c.run_seq.in_(seqs)))
    c.execute(sa.update(_RUN).where(_RUN.c.seq.in_(seqs)).values(pending=0))


def _total(c: sa.Connection, query: sa.Select[Any]) -> int:
    return int(c.execute(query).scalar() or 0)


def _expire_traces(ws: Workspace, experiment: int, before_ms: int, really: bool, step: Step) -> None:
    table = store.trace
    if not really:
        query = sa.select(sa.func.count()).where(table.c.experiment_id == experiment, table.c.request_ms < before_ms)
        step("traces", ws.db.read(lambda c: _total(c, query)))
        return
    while some := delete_traces(ws, experiment, before_ms=before_ms - 1, most=_TRACES_AT_ONCE):
        step("traces", some)
