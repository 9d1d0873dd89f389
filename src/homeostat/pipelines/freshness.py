"""Whether a kept output still stands, given what its step read out of the workspace besides its arguments.

A step that takes the workspace may read the newest version of a table; which one that was is known from lineage. The
output stands as long as that is still the newest. A version asked for by number never goes stale.
"""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import NotFound
from homeostat.core.lineage_facts import facts_of
from homeostat.core.workspace import Workspace
from homeostat.data import get_table, list_trees
from homeostat.pipelines.model import Change
from homeostat.pipelines.store import Read


def reads_of(ws: Workspace, connection: sa.Connection, run_id: str, started_ms: int) -> list[Read]:
    """What the step with the tracking run `run_id`, started at `started_ms`, read."""
    newest_read: dict[tuple[str, str], str] = {}
    for kind, asset, version in facts_of(connection, run_id, "read"):
        before = newest_read.get((kind, asset), "")
        newest_read[kind, asset] = max(before, version, key=_order)
    return [
        Read(kind=kind, asset=asset, version=version, latest=_asked_for_newest(ws, kind, asset, version, started_ms))
        for (kind, asset), version in newest_read.items()
    ]


def moved_on(ws: Workspace, reads: list[Read]) -> list[Change]:
    """Assets whose newest version is no longer the one that was read."""
    found: list[Change] = []
    for read in reads:
        newest = _newest(ws, read.kind, read.asset)
        if read.latest and newest is not None and newest[0] != read.version:
            found.append(Change(part="data", name=f"{read.kind} {read.asset}", before=read.version, after=newest[0]))
    return found


def _asked_for_newest(ws: Workspace, kind: str, asset: str, version: str, started_ms: int) -> bool:
    newest = _newest(ws, kind, asset)
    # A newer version that was there before the step began, yet not read: an older one was asked for by number.
    return newest is None or newest[0] == version or newest[1] >= started_ms


def _newest(ws: Workspace, kind: str, asset: str) -> tuple[str, int] | None:
    """Newest version of a table or tree and when it was written; None for assets that are only read by version."""
    if kind == "table":
        try:
            table = get_table(ws, asset)
        except NotFound:
            return "gone", 0
        return str(table.version), table.updated_ms
    if kind == "tree":
        tree = next((tree for tree in list_trees(ws) if tree.name == asset), None)
        return (str(tree.version), tree.updated_ms) if tree else ("gone", 0)
    return None


def _order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (0, version)
