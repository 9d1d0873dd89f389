"""Tables and queries of searches."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.db import metadata
from homeostat.core.records import Record, from_json, to_json
from homeostat.tuning.model import Choice, Direction, Range, Study, Trial, best_of

studies = sa.Table(
    "tuning_study",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("once", sa.String(255), unique=True),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("run_id", sa.String(64)),
    sa.Column("error", sa.Text),
    sa.Column("spent_ms", sa.BigInteger, nullable=False),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("end_ms", sa.BigInteger),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Index("tuning_study_start", "start_ms", "id"),
)
trials = sa.Table(
    "tuning_trial",
    metadata,
    sa.Column("study", sa.String(32), sa.ForeignKey("tuning_study.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)


class Config(Record):
    """What makes a search this search: another of any of these is another search.

    `code` is the digest of the objective's code, `args` that of the fixed arguments.
    """

    objective: str
    project: str
    space: dict[str, Range | Choice]
    direction: Direction
    metric: str
    seed: int
    sampler: str
    parallel: int
    prune: bool
    code: str
    args: str
    first: list[dict[str, Any]] = []


def put_trial(connection: sa.Connection, study: str, trial: Trial) -> None:
    """Write a trial, new or changed."""
    values = {"status": trial.status, "record": to_json(trial)}
    where = (trials.c.study == study, trials.c.number == trial.number)
    if not connection.execute(sa.update(trials).where(*where).values(**values)).rowcount:
        connection.execute(sa.insert(trials).values(study=study, number=trial.number, **values))


def read_trials(connection: sa.Connection, study: str) -> list[Trial]:
    """The trials of a search by number."""
    query = sa.select(trials.c.record).where(trials.c.study == study).order_by(trials.c.number)
    return [from_json(text, Trial) for text in connection.execute(query).scalars()]


def study_record(connection: sa.Connection, row: sa.Row[Any]) -> Study:
    """A search as others see it."""
    config = from_json(row.config, Config)
    tried = read_trials(connection, row.id)
    return Study(
        id=row.id,
        objective=config.objective,
        status=row.status,
        direction=config.direction,
        metric=config.metric,
        space=config.space,
        seed=config.seed,
        wanted=row.wanted,
        trials=tried,
        best=best_of(tried, config.direction),
        run_id=row.run_id,
        seconds=row.spent_ms / 1000,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        once=row.once,
        error=row.error,
    )
