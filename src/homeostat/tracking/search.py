"""Finding runs: what must hold of them, an order, and pages that cost the same however deep."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store, texts
from homeostat.tracking.experiments import tags_of
from homeostat.tracking.model import Experiment, Lifecycle, RunKind, RunPage, RunStatus
from homeostat.tracking.query.base import Base
from homeostat.tracking.query.finding import Asked, find
from homeostat.tracking.query.parsing import parse, parse_order
from homeostat.tracking.query.remembered import Columns
from homeostat.tracking.reading import read_runs

_PAGE = 1000


@verb(permission="tracking:read")
def search_runs(
    ws: Workspace,
    experiment: str | None = None,
    kind: RunKind | None = None,
    parent_id: str | None = None,
    status: RunStatus | None = None,
    query: str | None = None,
    order_by: str = "-run.start",
    limit: int = 100,
    after: str | None = None,
    columns: list[str] | None = None,
    lifecycle: Lifecycle = "active",
) -> RunPage:
    """Runs that fit every given filter.

    `query` says what must hold, as Python would: `run.params.lr < 0.1 and run.metrics.auc.max > 0.7`; words alone, or
    "words in quotes", are looked for in names, ids, experiments, sources, parameters and tags. `order_by` is any value
    of that language, or several with commas between, `-` in front for the greatest first; runs that lack the value
    come last, and equal ones newest first. `columns` names what the answer is to hold of parameters, metrics and tags,
    as `metrics.KEY`, `params.KEY`, `tags.KEY`: all of them when None. `limit` is at most 1000. Go on with
    `after=page.next`.

    Raises: InvalidInput for a query that cannot be read, with the column.
    """
    if not 1 <= limit <= _PAGE:
        raise InvalidInput(f"limit={limit}", hint=f"between 1 and {_PAGE}; go on with after=page.next")
    tree, order = parse(query), parse_order(order_by)

    def read(c: sa.Connection) -> RunPage:
        base = Base(lifecycle, experiment, kind, parent_id, status)
        seqs, following = find(c, Asked(base, tree, order_by, order, limit, after), Columns.of(ws, c))
        return RunPage(runs=read_runs(c, seqs, columns), next=following)

    return texts.read(ws, tree, read)


@verb(permission="tracking:read")
def list_experiments(ws: Workspace) -> list[Experiment]:
    """Every experiment that has a run, the one used last first."""
    last = sa.func.max(store.run.c.start_ms).label("last")
    table = store.experiment
    query = (
        sa.select(table, sa.func.count().label("runs"), last)
        .join(store.run, store.run.c.experiment_id == table.c.id)
        .where(store.run.c.lifecycle == "active")
        .group_by(table.c.id)
        .order_by(last.desc(), table.c.name)
    )

    def read(c: sa.Connection) -> list[Experiment]:
        rows = c.execute(query).all()
        tags = tags_of(c, [row.id for row in rows])
        return [
            Experiment(
                id=str(row.id), name=row.name, lifecycle=row.lifecycle, artifact_location=row.artifact_location,
                created_ms=row.created_ms, updated_ms=row.updated_ms, runs=row.runs, last_start_ms=row.last,
                tags=tags.get(row.id, {}),
            )
            for row in rows
        ]  # fmt: skip

    return ws.db.read(read)
