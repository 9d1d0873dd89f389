"""Erasing models and versions that were deleted long ago; their history stays. And the runs that versions name."""

from __future__ import annotations

import re

import sqlalchemy as sa

from homeostat.core.records import Record, from_json
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.names import GONE

_MODEL, _VERSION = store.model, store.version
# Wherever an id may stand in an address; a word that is none names nothing.
_WORD = re.compile(r"[\w.-]+")


class _Named(Record):
    model_id: str = ""


def named(ws: Workspace) -> set[tuple[str, str]]:
    """The runs and logged models that any version names, one that was deleted and may be restored as well."""
    query = sa.select(_VERSION.c.run_id, _VERSION.c.source, _VERSION.c.record)
    found: set[tuple[str, str]] = set()
    for run, source, record in ws.db.read(lambda c: c.execute(query).all()):
        found |= {("run", run)} if run else set()
        # A version may have been made by one run of the files of another.
        words = {from_json(record, _Named).model_id, *_WORD.findall(source)}
        found |= {(kind, word) for word in words for kind in ("run", "logged model")}
    return found


def purge(ws: Workspace, before_ms: int, named: set[tuple[str, str]], really: bool) -> dict[str, int]:
    """Erase what was deleted before, unless it is `named`; how many of each kind."""

    def erase(c: sa.Connection) -> dict[str, int]:
        deleted = c.execute(sa.select(_MODEL.c.name, _MODEL.c.id).where(_MODEL.c.deleted_ms < before_ms)).all()
        needed = {name.rpartition("/")[0] for kind, name in named if kind == "version"}
        # A deleted model keeps its versions under a name that begins with its own.
        models = [(name, id) for name, id in deleted if name.partition(GONE)[0] not in needed]
        gone = [name for name, _ in models]
        query = sa.select(_VERSION.c.model, _VERSION.c.version).where(_VERSION.c.deleted_ms < before_ms)
        versions = [
            (model, version)
            for model, version in c.execute(query).all()
            if ("version", f"{model}/{version}") not in named and model not in gone
        ]
        if really:
            for model, version in versions:
                for table in (store.version_tag, _VERSION):
                    c.execute(sa.delete(table).where(table.c.model == model, table.c.version == version))
            for name, id in models:
                for table in store.NAMED:
                    c.execute(sa.delete(table).where(table.c.model == name))
                for table in (store.rule, store.request):
                    c.execute(sa.delete(table).where(table.c.model_id == id))
                c.execute(sa.delete(_MODEL).where(_MODEL.c.name == name))
        return {"models": len(models), "versions": len(versions)}

    return ws.db.write(erase) if really else ws.db.read(erase)
