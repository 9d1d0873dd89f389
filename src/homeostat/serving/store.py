"""The tables of serving: deployments and their history, what each data plane has made of them, folded predictions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.db import metadata
from homeostat.core.errors import Conflict, NotFound
from homeostat.core.records import from_json
from homeostat.serving.model import Deployment, DeploymentChange, Route

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")

deployment = sa.Table(
    "serving_deployment",
    metadata,
    sa.Column("model", sa.String(255), primary_key=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)
change = sa.Table(
    "serving_change",
    metadata,
    sa.Column("model", sa.String(255), primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("routes", sa.Text, nullable=False),
    sa.Column("reason", sa.String(16), nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    # The generation that a rollback returns to; null when there is none.
    sa.Column("back_to", sa.BigInteger),
)
plane = sa.Table(
    "serving_plane",
    metadata,
    sa.Column("plane", sa.String(255), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("beat_ms", sa.BigInteger, nullable=False),
)
# In the place of a model: what a data plane tells of itself. No model is called so.
ITSELF = ""
state = sa.Table(
    "serving_state",
    metadata,
    sa.Column("plane", sa.String(255), primary_key=True),
    sa.Column("model", sa.String(255), primary_key=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
segment = sa.Table(
    "serving_segment",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("from_ms", sa.BigInteger, nullable=False),
    sa.Column("to_ms", sa.BigInteger, nullable=False),
    sa.Index("serving_segment_model", "model", "to_ms"),
)


def _rewards(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("request_id", sa.String(255), primary_key=True),
        sa.Column("reward", sa.Float, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Index(f"{name}_time", "model", "at_ms"),
    )


feedback = _rewards("serving_feedback")
# What answers were worth by the truth about them, while versions share the requests.
truth = _rewards("serving_truth")
# Spool files whose rows are in segments but which are not deleted yet.
folded = sa.Table("serving_folded", metadata, sa.Column("file", sa.String(255), primary_key=True))


def read_deployment(connection: sa.Connection, model: str) -> Deployment | None:
    """The deployment of `model`, if there is one."""
    record = connection.execute(sa.select(deployment.c.record).where(deployment.c.model == model)).scalar()
    return None if record is None else from_json(record, Deployment)


def read_expected(connection: sa.Connection, model: str, expected: int | None) -> Deployment:
    """The deployment of `model`, at the generation that whoever changes it has seen (None: whichever it is at).

    Raises: NotFound when it is not deployed; Conflict when somebody else has changed it.
    """
    current = read_deployment(connection, model)
    if current is None:
        raise not_deployed(model)
    if expected is not None and current.generation != expected:
        raise Conflict(
            f"the deployment of '{model}' is at generation {current.generation}, not {expected}",
            hint="look at it again with get_deployment, then decide",
            generation=current.generation,
        )
    return current


def graphs(connection: sa.Connection) -> list[Deployment]:
    """The deployments that ask other models."""
    plain = deployment.c.record.like('%"members":[]%')
    query = sa.select(deployment.c.record).where(deployment.c.record.like('%"members":[%'), sa.not_(plain))
    return [from_json(record, Deployment) for record in connection.execute(query).scalars()]


def last_generation(connection: sa.Connection, model: str) -> int:
    """The newest generation ever given to `model`; 0 for none. Undeploying does not reset it."""
    return connection.execute(sa.select(sa.func.max(change.c.generation)).where(change.c.model == model)).scalar() or 0


def read_change(connection: sa.Connection, model: str, generation: int) -> tuple[DeploymentChange, int | None]:
    """One generation and the one that a rollback from it returns to."""
    row = connection.execute(sa.select(change).where(change.c.model == model, change.c.generation == generation)).one()
    return to_change(row), row.back_to


def to_change(row: Any) -> DeploymentChange:
    """A row of `change` as a record."""
    return DeploymentChange(
        model=row.model,
        generation=row.generation,
        routes=from_json(row.routes, list[Route]),
        reason=row.reason,
        actor=row.actor,
        at_ms=row.at_ms,
        back_to=row.back_to,
    )


def not_deployed(model: str) -> NotFound:
    """The error for a model without a deployment."""
    return NotFound(
        f"model '{model[:128]}' is not deployed",
        hint=f"deploy it with `homeostat serving deploy {model[:128]}`",
        model=model[:128],
    )
