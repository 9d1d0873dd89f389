"""Features from the tables of a workspace, for a spine that the caller brings."""

from __future__ import annotations

from homeostat.core.errors import InvalidInput
from homeostat.core.frames import Frame, to_polars
from homeostat.core.lineage_facts import record_read
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data import read_table
from homeostat.features import store
from homeostat.features.model import FeatureSet


@verb(permission="features:read")
def build(
    ws: Workspace, features: str, spine: Frame, version: int | None = None, tables: dict[str, int] | None = None
) -> Frame:
    """The spine, with the features of a registered set beside it: as many rows, in the same order.

    Every source is the table of that name in this workspace: its newest version, or the one that `tables` names.
    Columns of the spine come first; those that are features come with the others, in the order of the set. Inside a
    run, the set and the table versions read become part of the run's lineage.

    Raises: NotFound for an unknown set, table or version; InvalidInput for a column that is not there or is no number.
    """
    found = ws.db.read(lambda c: store.one(c, "set", features, version))
    declared: FeatureSet | None = found.set
    assert declared is not None, "a registered set holds its declaration"
    pinned = tables or {}
    for name in pinned:
        if name not in declared.sources:
            raise InvalidInput(
                f"'{features}' does not read a table '{name}'", hint=f"it reads {', '.join(declared.sources)}"
            )
    from homeostat.features.compute import compute

    asked = to_polars(spine)
    sources = {name: to_polars(read_table(ws, name, version=pinned.get(name))) for name in declared.sources}
    computed = compute(declared, asked, sources)
    record_read(ws, "features", found.name, found.version)
    return asked.drop(computed.columns, strict=False).hstack(computed)
