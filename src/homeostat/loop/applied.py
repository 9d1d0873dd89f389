"""Verbs: put a configuration into force, or see what that would change."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor
from homeostat.core.errors import NotFound
from homeostat.core.records import Record
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.loop import store
from homeostat.loop.config import Config, read_config
from homeostat.loop.model import Change, PlanResult


class Applied(Record):
    """A configuration in force: its text, where its project lies, and which version of it this is."""

    config: Config
    text: str
    project: str
    version: int


@verb(permission="loop:read")
def plan(ws: Workspace, config: str, project: str = ".") -> PlanResult:
    """What applying `config` (the text of a homeostat.yaml) would change. Changes nothing.

    Raises: InvalidInput naming the place that cannot be meant and the nearest right word.
    """
    wanted = read_config(config)
    current = ws.db.read(lambda c: _current(c, wanted.model))
    return _result(wanted, config, project, current, applied=False)


@verb(permission="loop:admin")  # it names the folder whose code will be run
def apply(ws: Workspace, config: str, project: str = ".") -> PlanResult:
    """Put `config` (the text of a homeostat.yaml) into force; `project` is the folder its pipeline lies in.

    Applying what is in force changes nothing. Decisions taken before keep the rule they were taken by.
    """
    wanted = read_config(config)

    def write(c: sa.Connection) -> PlanResult:
        current = _current(c, wanted.model)
        result = _result(wanted, config, project, current, applied=True)
        if current is None or current.text != config or current.project != project:
            c.execute(
                sa.insert(store.config).values(
                    model=wanted.model, version=result.version, text=config, project=project, applied_ms=now_ms(),
                    actor=current_actor(),
                )
            )  # fmt: skip
        return result

    return ws.db.write(write)


def applied(ws: Workspace, model: str) -> Applied:
    """The configuration in force for `model`. Raises NotFound for a model that is not declared."""
    found = ws.db.look(lambda c: _current(c, model))
    if found is None:
        raise NotFound(
            f"model '{model[:128]}' is not declared",
            hint="write its homeostat.yaml, then: homeostat apply",
            model=model[:128],
        )
    return found


def declared(ws: Workspace) -> list[str]:
    """The names of all declared models."""
    query = sa.select(store.config.c.model).distinct().order_by(store.config.c.model)
    return ws.db.look(lambda c: list(c.execute(query).scalars()))


def _current(c: sa.Connection, model: str) -> Applied | None:
    t = store.config
    row = c.execute(sa.select(t).where(t.c.model == model).order_by(t.c.version.desc()).limit(1)).first()
    if row is None:
        return None
    return Applied(config=read_config(row.text), text=row.text, project=row.project, version=row.version)


def _result(wanted: Config, text: str, project: str, current: Applied | None, *, applied: bool) -> PlanResult:
    import yaml

    before = _flat(yaml.safe_load(current.text)) if current else {}
    after = _flat(yaml.safe_load(text))
    if current is not None and current.project != project:
        before["project"], after["project"] = current.project, project
    changes = [
        Change(what=key, was=before.get(key, ""), becomes=after.get(key, ""))
        for key in [*after, *(k for k in before if k not in after)]
        if before.get(key) != after.get(key)
    ]
    number = current.version if current else 0
    different = current is None or current.text != text or current.project != project
    return PlanResult(
        model=wanted.model, applied=applied, changes=changes, variables=wanted.hold,
        version=number + 1 if different else number,
    )  # fmt: skip


def _flat(raw: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys; each line of `hold` a key of its own."""
    if isinstance(raw, dict):
        found: dict[str, str] = {}
        for key, value in raw.items():
            found.update(_flat(value, f"{prefix}.{key}" if prefix else str(key)))
        return found
    if isinstance(raw, list) and prefix == "hold":
        return {f"hold: {item}": "held" for item in raw}
    return {prefix: ", ".join(str(i) for i in raw) if isinstance(raw, list) else str(raw)}
