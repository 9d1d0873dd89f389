"""Questions to reviewers of traces: what to say, in which form. Nothing of it is enforced on what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, InvalidInput, NotFound
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.scorers import check_experiment

DEFAULT = "Feedback"
_TABLE = store.label_schema


class LabelSchema(Record):
    """One question. `input` is an object of one key, as the protocol has it: "pass_fail", "categorical", "numeric" or
    "text" with what belongs to it. The default question of an experiment never changes. Times in milliseconds.
    """

    id: str
    experiment_id: str
    name: str
    type: str
    input: dict[str, dict[str, Any]]
    created_ms: int
    updated_ms: int
    instruction: str | None = None
    comment: bool = False
    default: bool = False


def new_label_schema(
    experiment_id: int,
    name: str,
    type: str,
    input: dict[str, dict[str, Any]],
    instruction: str | None = None,
    comment: bool = False,
    default: bool = False,
) -> LabelSchema:
    """A question that is not kept yet."""
    now = now_ms()
    return LabelSchema(
        id=f"ls-{new_hex_id()}", experiment_id=str(experiment_id), name=name, type=type, input=input, created_ms=now,
        updated_ms=now, instruction=instruction, comment=comment, default=default,
    )  # fmt: skip


def create_label_schema(ws: Workspace, schema: LabelSchema) -> LabelSchema:
    """Keep a question. Raises: NotFound, InvalidInput for a deleted experiment, AlreadyExists."""

    def put(c: sa.Connection) -> LabelSchema:
        check_experiment(c, int(schema.experiment_id))
        _must_be_free(c, schema)
        _insert(c, schema)
        return schema

    return ws.db.write(put)


def get_label_schema(ws: Workspace, schema_id: str) -> LabelSchema:
    """A question by id. Raises NotFound."""
    return ws.db.read(lambda c: _found(c, schema_id))


def find_label_schema(ws: Workspace, experiment_id: int, name: str) -> LabelSchema:
    """A question of an experiment by name. Raises: NotFound, InvalidInput."""

    def read(c: sa.Connection) -> LabelSchema:
        check_experiment(c, experiment_id)
        found = _named(c, experiment_id, name)
        if found is None:
            raise NotFound(f"Label schema with name '{name[:250]}' not found for experiment '{experiment_id}'.")
        return found

    return ws.db.read(read)


def list_label_schemas(ws: Workspace, experiment_id: int, limit: int, offset: int = 0) -> list[LabelSchema]:
    """The questions of an experiment, the newest first; it gets its default one with the first look.

    Raises: NotFound, InvalidInput.
    """
    query = sa.select(_TABLE.c.body).where(_TABLE.c.experiment_id == experiment_id)
    page = query.order_by(_TABLE.c.created_ms.desc(), _TABLE.c.id).limit(limit).offset(offset)

    def ensure(c: sa.Connection) -> None:
        check_experiment(c, experiment_id)
        if _named(c, experiment_id, DEFAULT) is None:
            told = "Share any feedback on this trace."
            _insert(c, new_label_schema(experiment_id, DEFAULT, "FEEDBACK", {"text": {}}, told, default=True))

    def read(c: sa.Connection) -> list[LabelSchema] | None:
        check_experiment(c, experiment_id)
        if _named(c, experiment_id, DEFAULT) is None:
            return None
        return [from_json(body, LabelSchema) for body in c.execute(page).scalars()]

    found = ws.db.read(read)
    if found is None:
        ws.db.write(ensure)
        found = ws.db.read(read)
    return found or []


def change_label_schema(ws: Workspace, schema_id: str, change: Callable[[LabelSchema], LabelSchema]) -> LabelSchema:
    """Let `change` alter a question. Raises: NotFound, AlreadyExists, InvalidInput for the default one."""

    def put(c: sa.Connection) -> LabelSchema:
        before = _found(c, schema_id)
        if before.default:
            raise InvalidInput("The experiment's default question cannot be edited.")
        changed = change(before)
        if changed.name != before.name:
            _must_be_free(c, changed)
        where = _TABLE.c.id == schema_id
        c.execute(sa.update(_TABLE).where(where).values(name=changed.name, body=to_json(changed)))
        return changed

    return ws.db.write(put)


def delete_label_schema(ws: Workspace, schema_id: str) -> None:
    """Delete a question; one that is not there is gone already. Raises InvalidInput for the default one."""

    def delete(c: sa.Connection) -> None:
        body = c.execute(sa.select(_TABLE.c.body).where(_TABLE.c.id == schema_id)).scalar_one_or_none()
        if body is not None and from_json(body, LabelSchema).default:
            raise InvalidInput("The experiment's default question cannot be deleted.")
        c.execute(sa.delete(_TABLE).where(_TABLE.c.id == schema_id))

    ws.db.write(delete)


def _insert(c: sa.Connection, schema: LabelSchema) -> None:
    row = {"id": schema.id, "experiment_id": int(schema.experiment_id), "name": schema.name}
    c.execute(sa.insert(_TABLE).values(**row, created_ms=schema.created_ms, body=to_json(schema)))


def _named(c: sa.Connection, experiment_id: int, name: str) -> LabelSchema | None:
    where = (_TABLE.c.experiment_id == experiment_id) & (_TABLE.c.name == name)
    body = c.execute(sa.select(_TABLE.c.body).where(where)).scalar_one_or_none()
    return None if body is None else from_json(body, LabelSchema)


def _must_be_free(c: sa.Connection, schema: LabelSchema) -> None:
    if _named(c, int(schema.experiment_id), schema.name) is not None:
        raise AlreadyExists(
            f"Label schema with name '{schema.name}' already exists for experiment '{schema.experiment_id}'."
        )


def _found(c: sa.Connection, schema_id: str) -> LabelSchema:
    body = c.execute(sa.select(_TABLE.c.body).where(_TABLE.c.id == schema_id)).scalar_one_or_none()
    if body is None:
        raise NotFound(f"Label schema with id '{schema_id[:64]}' not found.")
    return from_json(body, LabelSchema)
