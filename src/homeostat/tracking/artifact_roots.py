"""Where the artifacts of an experiment lie."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.tracking import store
from homeostat.tracking.experiments import insert_default


def root_of(connection: sa.Connection, experiment_id: int) -> str:
    """The folder of an experiment that is not deleted, within the open transaction. Raises: NotFound, InvalidInput."""
    table = store.experiment
    query = sa.select(table.c.lifecycle, table.c.artifact_location).where(table.c.id == experiment_id)
    row = connection.execute(query).one_or_none()
    if row is None and experiment_id == store.DEFAULT_ID:
        insert_default(connection)
        row = connection.execute(query).one()
    if row is None:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    if row.lifecycle != "active":
        raise InvalidInput(
            f"The experiment {experiment_id} must be in the 'active' state. Current state is {row.lifecycle}."
        )
    return row.artifact_location or f"mlflow-artifacts:/{experiment_id}"


def below(root: str, path: str) -> str:
    """A path below a folder that an address names; what follows a question mark stays at the end.

    >>> below("s3://bucket/x/?profile=a", "run/artifacts")
    's3://bucket/x/run/artifacts?profile=a'
    """
    place, mark, query = root.partition("?") if ":" in root else (root, "", "")
    return f"{place}{'' if place.endswith('/') else '/'}{path}{mark}{query}"
