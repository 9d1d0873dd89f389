"""Finding runs: filters, an order, and pages that cost the same however deep (keyset, not offset)."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.experiments import tags_of
from homeostat.tracking.model import Experiment, Lifecycle, RunKind, RunPage, RunStatus
from homeostat.tracking.reading import read_runs
from homeostat.tracking.terms import conditions

_PAGE = 1000
_COLUMNS = {
    "start": store.run.c.start_ms, "end": store.run.c.end_ms, "name": store.run.c.name, "status": store.run.c.status,
    "experiment": store.experiment.c.name,
}  # fmt: skip


@verb(permission="tracking:read")
def search_runs(
    ws: Workspace,
    experiment: str | None = None,
    kind: RunKind | None = None,
    parent_id: str | None = None,
    status: RunStatus | None = None,
    text: str | None = None,
    order_by: str = "-start",
    limit: int = 100,
    after: str | None = None,
    where: str | None = None,
    columns: list[str] | None = None,
    lifecycle: Lifecycle = "active",
) -> RunPage:
    """Runs that fit every given filter.

    `text` looks for a part of the name, the id or a tag's value, in any case. `where` holds terms as a person types
    them, `auc>0.75 status:finished -team:ops word`, all of which must hold. `order_by` is start, end, duration, name,
    status, experiment, `metrics.KEY` (the last value), `min.KEY`, `max.KEY`, `params.KEY` or `tags.KEY`, with `-` in
    front for descending; runs without that value come last, and equal ones newest first. `columns` names what the
    answer is to hold of parameters, metrics and tags, as `metrics.KEY`, `params.KEY`, `tags.KEY`: all of them when
    None. `limit` is at most 1000. Go on with `after=page.next`.
    """
    if not 1 <= limit <= _PAGE:
        raise InvalidInput(f"limit={limit}", hint=f"between 1 and {_PAGE}; go on with after=page.next")
    holds = filters(experiment, kind, parent_id, status, text, where, lifecycle)
    last = None if after is None else _read_token(after, order_by)

    def read(c: sa.Connection) -> RunPage:
        value, joins = _order(c, order_by.removeprefix("-"))
        missing = sa.case((value.is_(None), 1), else_=0)
        descending = order_by.startswith("-")
        query = sa.select(store.run.c.seq, value.label("sort_value")).where(*holds)
        if joins is not None:
            query = query.outerjoin(*joins)
        if last is not None:
            query = query.where(_beyond(last, value, missing, descending))
        query = query.order_by(missing, value.desc() if descending else value.asc(), store.run.c.seq.desc())
        rows = c.execute(query.limit(limit + 1)).all()
        more, rows = len(rows) > limit, rows[:limit]
        runs = read_runs(c, [row.seq for row in rows], columns)
        return RunPage(runs=runs, next=_token(order_by, rows[-1].sort_value, rows[-1].seq) if more else None)

    return ws.db.read(read)


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


def filters(
    experiment: str | None,
    kind: str | None,
    parent_id: str | None,
    status: str | None,
    text: str | None,
    where: str | None,
    lifecycle: Lifecycle = "active",
) -> list[sa.ColumnElement[bool]]:
    """Conditions on `store.run` that hold for the runs that fit every given filter."""
    wanted = {"kind": kind, "parent_id": parent_id, "status": status, "lifecycle": lifecycle}
    holds = [store.run.c[name] == value for name, value in wanted.items() if value is not None]
    if experiment is not None:
        named = sa.select(store.experiment.c.id).where(store.experiment.c.name == experiment)
        holds.append(store.run.c.experiment_id == named.scalar_subquery())
    holds += conditions(where)
    if text:
        if len(text) > 250:
            raise InvalidInput(f"a search text of {len(text)} characters", hint="at most 250")
        low = text.lower()
        holds.append(
            sa.or_(
                sa.func.lower(store.run.c.name).contains(low, autoescape=True),
                sa.func.lower(store.run.c.id).contains(low, autoescape=True),
                store.run.c.seq.in_(
                    sa.select(store.tag.c.run_seq).where(
                        sa.func.lower(store.tag.c.value).contains(low, autoescape=True)
                    )
                ),
            )
        )
    return holds


def _order(
    c: sa.Connection, field: str
) -> tuple[sa.ColumnElement[Any], tuple[sa.Table, sa.ColumnElement[bool]] | None]:
    if field in _COLUMNS:
        if field == "experiment":
            return store.experiment.c.name, (store.experiment, store.experiment.c.id == store.run.c.experiment_id)
        return _COLUMNS[field], None
    if field == "duration":
        return store.run.c.end_ms - store.run.c.start_ms, None
    group, _, key = field.partition(".")
    ranges = {"metrics": "last_value", "min": "min_value", "max": "max_value"}
    sources = {**dict.fromkeys(ranges, store.series), "params": store.param, "tags": store.tag}
    if group not in sources or not key:
        raise InvalidInput(
            f"runs cannot be ordered by '{field[:80]}'",
            hint=f"{', '.join(_COLUMNS)}, duration, metrics.KEY, min.KEY, max.KEY, params.KEY or tags.KEY",
        )
    table = sources[group]
    on = sa.and_(table.c.run_seq == store.run.c.seq, table.c.key == key)
    if group in ranges:
        return table.c[ranges[group]], (table, on)
    numeric = (
        group == "params"
        and c.execute(
            sa.select(table.c.key).where(table.c.key == key, store.param.c.number.is_not(None)).limit(1)
        ).first()
    )
    # A parameter that is a number anywhere is ordered as one; runs where it is not come last.
    return table.c.number if numeric else table.c.value, (table, on)


def _beyond(
    last: tuple[Any, int], value: sa.ColumnElement[Any], missing: sa.ColumnElement[int], descending: bool
) -> sa.ColumnElement[bool]:
    kept, seq = last
    older = store.run.c.seq < seq
    if kept is None:
        return sa.and_(value.is_(None), older)
    past = value < kept if descending else value > kept
    return sa.or_(past, sa.and_(value == kept, older), missing == 1)


def _token(order_by: str, value: Any, seq: int) -> str:
    # Floats travel as their hexadecimal form: infinities and the last bit survive.
    kept = value.hex() if isinstance(value, float) else value
    raw = msgspec.json.encode([order_by, isinstance(value, float), kept, seq])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_token(token: str, order_by: str) -> tuple[Any, int]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        order, is_float, value, seq = msgspec.json.decode(raw, type=tuple[str, bool, str | int | None, int])
        if order != order_by:
            raise ValueError("it continues a search in another order")
        return float.fromhex(str(value)) if is_float else value, seq
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"after={token[:40]!r} is not a page of this search: {error}", hint="begin without it"
        ) from None
