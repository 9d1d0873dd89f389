"""The verbs on a table's rows: write, read, verify."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.core.frames import Frame, to_polars
from homeostat.core.lineage_facts import record_read
from homeostat.core.paths import check_name
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data import store
from homeostat.data.cleaning_rules import CleanRule
from homeostat.data.model import Mode, TableVersion

if TYPE_CHECKING:
    import polars as pl


@verb(permission="data:write")
def write_table(
    ws: Workspace,
    name: str,
    frame: Frame,
    mode: Mode = "append",
    key: list[str] | None = None,
    message: str = "",
    source: str = "",
    once: str | None = None,
    description: str | None = None,
    clean: list[CleanRule] | None = None,
    at_ms: int | None = None,
) -> TableVersion:
    """Write rows to a table as a new version; the table is made if there is none.

    `mode`: "append" adds the rows; "overwrite" replaces rows and columns; "upsert" replaces the rows whose `key`
    columns are equal and adds the others (of equal keys within the frame the last row wins; untouched rows may change
    their order). `key` declares the columns that identify a row; later writes need not repeat it.
    `once`: a name for this write; doing it again under the same name changes nothing and gives the earlier version.
    `clean`: rules applied to the frame first; the report is kept with the version. Expectations of the table
    (`set_expectations`) are checked and their report is kept with the version too; `at_ms` is "now" for freshness.

    Raises: InvalidInput for columns or types that do not fit, or null keys; StorageFull; Conflict when another program
    wrote into the table's Delta folder.
    """
    check_name(name, "table name")
    if once is not None and (earlier := ws.db.read(lambda c: store.find_once(c, name, once))) is not None:
        return earlier
    rows, cleaned = to_polars(frame), None
    from homeostat.data.cleaning import clean as apply_rules
    from homeostat.data.fitting import keepable
    from homeostat.data.writing import Asked, land

    if clean:
        rows, cleaned = apply_rules(rows, clean, table=name)
    asked = Asked(
        table=name,
        mode=mode,
        frame=keepable(rows),
        key=key,
        message=message,
        source=source,
        once=once,
        description=description,
        cleaned=cleaned,
        at_ms=now_ms() if at_ms is None else at_ms,
    )
    return land(ws, asked)


@verb(permission="data:read")
def read_table(ws: Workspace, name: str, version: int | None = None, columns: list[str] | None = None) -> Frame:
    """The rows of a table as a Polars frame.

    The newest version, or an older one by number. Inside a run, the version read becomes part of the run's
    lineage. `columns` None gives all.

    Raises: NotFound for an unknown table or version, InvalidInput for an unknown column, Corrupt for damaged files.
    """
    snap, lazy = _open(ws, name, version, columns)
    from homeostat.data.data_files import collect

    return collect(ws, snap, lazy)


def scan_table(ws: Workspace, name: str, version: int | None = None, columns: list[str] | None = None) -> pl.LazyFrame:
    """The rows of a table as a Polars lazy frame, for queries that need not read all of it. Else as `read_table`."""
    return _open(ws, name, version, columns)[1]


@verb(permission="data:read")
def verify_table(ws: Workspace, name: str, version: int | None = None) -> int:
    """Compare every file of a version with its digest; the number of files.

    Raises: Corrupt, naming the first file that is missing or differs.
    """
    require("polars", extra="data")
    from homeostat.data.data_files import verify

    snap = ws.db.read(lambda connection: store.snapshot(connection, name, version))
    verify(ws, snap)
    return len(snap.files)


def _open(
    ws: Workspace, name: str, version: int | None, columns: list[str] | None
) -> tuple[store.Snapshot, pl.LazyFrame]:
    require("polars", extra="data")
    from homeostat.data.data_files import scan
    from homeostat.data.delta_log import publish_log

    snap = ws.db.read(lambda connection: store.snapshot(connection, name, version))
    publish_log(ws, name)  # one look at the folder, unless a crash cut a publication off
    lazy = scan(ws, snap)
    if columns is not None:
        known = lazy.collect_schema().names()
        for column in columns:
            if column not in known:
                near = difflib.get_close_matches(column, known, 1)
                raise InvalidInput(
                    f"table '{name}' has no column '{column[:80]}'",
                    hint=f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known)}",
                    table=name,
                    column=column[:80],
                )
        lazy = lazy.select(columns)
    record_read(ws, "table", name, snap.version)
    return snap, lazy
