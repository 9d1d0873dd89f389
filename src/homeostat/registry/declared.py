"""Which versions keep a file of some name."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from homeostat.core.records import from_json
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.model import ModelVersion
from homeostat.registry.names import GONE

_VERSION = store.version


def versions_with(ws: Workspace, file: str) -> list[ModelVersion]:
    """The versions that keep a file of that name, deleted ones that may be restored as well, without aliases and tags.

    Looks at every version there is: not for requests that many send.
    """
    query = (
        sa.select(_VERSION.c.model, _VERSION.c.record)
        .where(_VERSION.c.record.contains(f'"{file}"', autoescape=True))
        .order_by(_VERSION.c.model, _VERSION.c.version)
    )
    rows = ws.db.read(lambda c: c.execute(query).all())
    found = [msgspec.structs.replace(from_json(row.record, ModelVersion), model=row.model) for row in rows]
    return [msgspec.structs.replace(one, model=one.model.partition(GONE)[0]) for one in found if file in one.files]
