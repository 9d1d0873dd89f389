"""Erasing runs, experiments and logged models that were deleted long ago, a few in each transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from homeostat.core.faults import fault
from homeostat.core.workspace import Workspace
from homeostat.tracking import store, trace_store

_AT_ONCE = 20
OF_RUN = (
    store.param, store.tag, store.series, store.model_metric, store.run_dataset, store.run_model, store.inbox,
    store.journal, store.chunk, store.artifact, store.text, store.stale,
)  # fmt: skip
OF_EXPERIMENT = (store.trace, store.dataset, store.experiment_tag, store.eval_dataset_experiment, store.scorer,
                 store.issue, store.label_schema, trace_store.word, trace_store.fact,
                 trace_store.review_queue)  # fmt: skip
_RUN, _EXPERIMENT, _MODEL = store.run, store.experiment, store.logged_model


def purge(ws: Workspace, before_ms: int, named: set[tuple[str, str]], really: bool) -> dict[str, int]:
    """Erase what was deleted before, unless it is `named`; how many of each kind."""
    runs = [_RUN.c.lifecycle == "deleted", sa.func.coalesce(_RUN.c.deleted_ms, 0) < before_ms]
    due = ws.db.read(lambda c: c.execute(sa.select(_RUN.c.seq, _RUN.c.id).where(*runs)).all())
    seqs = [seq for seq, id in due if ("run", id) not in named]
    going = set(seqs)
    experiments = [_EXPERIMENT.c.lifecycle == "deleted", _EXPERIMENT.c.updated_ms < before_ms]

    def empty(c: sa.Connection) -> list[int]:
        query = sa.select(_EXPERIMENT.c.id).where(*experiments, _EXPERIMENT.c.id != store.DEFAULT_ID)
        there = c.execute(query).scalars().all()
        held = {e: s for s, e in c.execute(sa.select(_RUN.c.seq, _RUN.c.experiment_id)) if s not in going}
        return [id for id in there if id not in held]

    gone = ws.db.read(empty)
    of_gone = sa.and_(_MODEL.c.experiment_id.in_(gone), _MODEL.c.experiment_id != store.DEFAULT_ID)
    models = sa.or_(sa.and_(_MODEL.c.lifecycle == "deleted", _MODEL.c.updated_ms < before_ms), of_gone)
    found = ws.db.read(lambda c: list(c.execute(sa.select(_MODEL.c.id).where(models)).scalars()))
    ids = [id for id in found if ("logged model", id) not in named]
    if really:
        _each(ws, seqs, lambda c, some: _erase_runs(c, some, runs))
        _each(ws, ids, _erase_models)
        _each(ws, gone, lambda c, some: _erase_experiments(c, some, experiments))
    return {"runs": len(seqs), "logged models": len(ids), "experiments": len(gone)}


def _each(ws: Workspace, things: Sequence[Any], erase: Callable[[sa.Connection, list[Any]], None]) -> None:
    for start in range(0, len(things), _AT_ONCE):
        some = list(things[start : start + _AT_ONCE])
        ws.db.write(lambda c, some=some: erase(c, some))


def _erase_runs(c: sa.Connection, seqs: list[int], still: list[sa.ColumnElement[bool]]) -> None:
    # Looked at again: one may have been restored since.
    seqs = list(c.execute(sa.select(_RUN.c.seq).where(_RUN.c.seq.in_(seqs), *still).with_for_update()).scalars())
    ids = sa.select(_RUN.c.id).where(_RUN.c.seq.in_(seqs)).scalar_subquery()
    c.execute(sa.delete(store.trace_run).where(store.trace_run.c.run_id.in_(ids)))
    for table in OF_RUN:
        c.execute(sa.delete(table).where(table.c.run_seq.in_(seqs)))
        fault("purge")
    c.execute(sa.delete(_RUN).where(_RUN.c.seq.in_(seqs)))


def _erase_models(c: sa.Connection, ids: list[str]) -> None:
    for id, experiment in c.execute(sa.select(_MODEL.c.id, _MODEL.c.experiment_id).where(_MODEL.c.id.in_(ids))).all():
        c.execute(sa.delete(store.file).where(store.file.c.root == f"{experiment}/models/{id}/artifacts"))
    for table in (store.logged_model_param, store.logged_model_tag, store.model_metric):
        c.execute(sa.delete(table).where(table.c.model_id.in_(ids)))
    c.execute(sa.delete(_MODEL).where(_MODEL.c.id.in_(ids)))


def _erase_experiments(c: sa.Connection, ids: list[int], still: list[sa.ColumnElement[bool]]) -> None:
    ids = list(
        c.execute(sa.select(_EXPERIMENT.c.id).where(_EXPERIMENT.c.id.in_(ids), *still).with_for_update()).scalars()
    )
    traces = sa.select(store.trace.c.id).where(store.trace.c.experiment_id.in_(ids)).scalar_subquery()
    for table in (store.span, store.assessment, store.trace_run):
        c.execute(sa.delete(table).where(table.c.trace_id.in_(traces)))
    scorers = sa.select(store.scorer.c.id).where(store.scorer.c.experiment_id.in_(ids)).scalar_subquery()
    c.execute(sa.delete(store.scorer_version).where(store.scorer_version.c.scorer_id.in_(scorers)))
    queues = sa.select(trace_store.review_queue.c.id).where(trace_store.review_queue.c.experiment_id.in_(ids))
    c.execute(
        sa.delete(trace_store.review_item).where(trace_store.review_item.c.queue_id.in_(queues.scalar_subquery()))
    )
    for table in OF_EXPERIMENT:
        c.execute(sa.delete(table).where(table.c.experiment_id.in_(ids)))
    for id in ids:
        c.execute(sa.delete(store.file).where(store.file.c.root.startswith(f"{id}/")))
    c.execute(sa.delete(_EXPERIMENT).where(_EXPERIMENT.c.id.in_(ids)))
