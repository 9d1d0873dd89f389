"""What judges the answers of applications, by name and version, as its client wrote it. Nothing of it runs here."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.ids import new_id
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.tracking import store

_SCORER, _VERSION = store.scorer, store.scorer_version
_AT_ONCE = 500


class ScorerVersion(Record):
    """One version. `body` is what the client wrote."""

    experiment_id: str
    scorer_id: str
    name: str
    version: int
    body: str
    created_ms: int


def register_scorer(ws: Workspace, experiment_id: int, name: str, body: str) -> ScorerVersion:
    """The next version of a scorer of an experiment. Raises: NotFound, InvalidInput for a deleted experiment."""

    def put(c: sa.Connection) -> ScorerVersion:
        check_experiment(c, experiment_id)
        is_it = (_SCORER.c.experiment_id == experiment_id) & (_SCORER.c.name == name)
        scorer_id = c.execute(sa.select(_SCORER.c.id).where(is_it)).scalar_one_or_none()
        if scorer_id is None:
            scorer_id = new_id()
            c.execute(sa.insert(_SCORER).values(id=scorer_id, experiment_id=experiment_id, name=name))
        last = c.execute(sa.select(sa.func.max(_VERSION.c.version)).where(_VERSION.c.scorer_id == scorer_id)).scalar()
        made = ScorerVersion(
            experiment_id=str(experiment_id), scorer_id=scorer_id, name=name, version=(last or 0) + 1, body=body,
            created_ms=now_ms(),
        )  # fmt: skip
        row = {"scorer_id": scorer_id, "version": made.version, "body": body, "created_ms": made.created_ms}
        c.execute(sa.insert(_VERSION).values(row))
        return made

    return ws.db.write(put)


def scorer_versions(ws: Workspace, experiment_id: int, name: str) -> list[ScorerVersion]:
    """Every version of a scorer, oldest first. Raises: NotFound, InvalidInput."""

    def read(c: sa.Connection) -> list[ScorerVersion]:
        check_experiment(c, experiment_id)
        found = _versions(c, (_SCORER.c.experiment_id == experiment_id) & (_SCORER.c.name == name))
        if not found:
            raise NotFound(f"Scorer with name '{name[:200]}' not found for experiment {experiment_id}.")
        return found

    return ws.db.read(read)


def newest_scorers(ws: Workspace, experiment_ids: Sequence[int] | None, whole: bool = False) -> list[ScorerVersion]:
    """The newest version of each scorer of some experiments, by experiment and name; None asks for all that are active.

    With `whole`, an experiment that cannot be asked is an error: raises NotFound, InvalidInput.
    """
    table = store.experiment

    def read(c: sa.Connection) -> list[ScorerVersion]:
        if whole:
            for one in experiment_ids or ():
                check_experiment(c, one)
        active = sa.select(table.c.id).where(table.c.lifecycle == "active")
        if experiment_ids is not None:
            active = active.where(table.c.id.in_(list(experiment_ids)))
        found = _versions(c, _SCORER.c.experiment_id.in_(active))
        newest = {(one.experiment_id, one.name): one for one in found}
        return [newest[key] for key in sorted(newest, key=lambda key: (int(key[0]), key[1]))]

    return ws.db.read(read)


def delete_scorer(ws: Workspace, experiment_id: int, name: str, version: int | None = None) -> None:
    """Delete one version of a scorer, or all of it. Raises: NotFound, InvalidInput."""

    def delete(c: sa.Connection) -> None:
        check_experiment(c, experiment_id)
        is_it = (_SCORER.c.experiment_id == experiment_id) & (_SCORER.c.name == name)
        scorer_id = c.execute(sa.select(_SCORER.c.id).where(is_it)).scalar_one_or_none()
        which = _VERSION.c.scorer_id == scorer_id
        gone = c.execute(
            sa.delete(_VERSION).where(which if version is None else which & (_VERSION.c.version == version))
        )
        if not gone.rowcount:
            told = "" if version is None else f" and version {version}"
            raise NotFound(f"Scorer with name '{name[:200]}'{told} not found for experiment {experiment_id}.")
        if version is None:
            c.execute(sa.delete(_SCORER).where(_SCORER.c.id == scorer_id))

    ws.db.write(delete)


def check_experiment(c: sa.Connection, experiment_id: int) -> None:
    """Raises: NotFound, or InvalidInput for a deleted experiment."""
    table = store.experiment
    lifecycle = c.execute(sa.select(table.c.lifecycle).where(table.c.id == experiment_id)).scalar_one_or_none()
    if lifecycle is None and experiment_id != store.DEFAULT_ID:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    if lifecycle == "deleted":
        raise InvalidInput(
            f"The experiment {experiment_id} must be in the 'active' state. Current state is {lifecycle}."
        )


def _versions(c: sa.Connection, where: sa.ColumnElement[bool]) -> list[ScorerVersion]:
    query = (
        sa.select(_SCORER.c.experiment_id, _SCORER.c.name, _VERSION)
        .join(_VERSION, _VERSION.c.scorer_id == _SCORER.c.id)
        .where(where)
        .order_by(_SCORER.c.id, _VERSION.c.version)
    )
    return [
        ScorerVersion(
            experiment_id=str(row.experiment_id), scorer_id=row.scorer_id, name=row.name, version=row.version,
            body=row.body, created_ms=row.created_ms,
        )
        for row in c.execute(query)
    ]  # fmt: skip
