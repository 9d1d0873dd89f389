"""Files that hold tables: their first rows as text, whatever their size."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.extras import require
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.model import ArtifactTable

_MOST_ROWS, _MOST_COLUMNS, _CELL = 1000, 200, 500
_READERS = {".parquet": "scan_parquet", ".arrow": "scan_ipc", ".feather": "scan_ipc"}


@verb(permission="tracking:read")
def preview_table(ws: Workspace, id: str, path: str, limit: int = 200) -> ArtifactTable:
    """The first rows of a Parquet or Arrow file of a run, each cell as text; only those rows are read.

    At most 1000 rows and 200 columns; a longer text ends in "…" after 500 characters. Raises: NotFound; InvalidInput
    for a file of another kind, or one that is damaged; MissingExtra without the extra `data`.
    """
    reader = next((name for suffix, name in _READERS.items() if path.lower().endswith(suffix)), None)
    if reader is None:
        raise InvalidInput(f"'{path[:200]}' is no table that is read here", hint="Parquet or Arrow; download it")
    if not 1 <= limit <= _MOST_ROWS:
        raise InvalidInput(f"limit={limit}", hint=f"between 1 and {_MOST_ROWS}")
    digest = ws.db.read(lambda c: _digest(c, id, path))
    if digest is None:
        raise NotFound(f"run {id[:80]} has no file '{path[:200]}'", hint="list them with list_artifacts")
    pl = require("polars", extra="data")
    try:
        # Named by its content, the file has no ending; Polars is told what it is by the function.
        lazy = getattr(pl, reader)(ws.blobs.local_path(digest))
        schema = lazy.collect_schema()
        names = schema.names()[:_MOST_COLUMNS]
        rows = lazy.select(names).head(limit).collect().rows()
        total = lazy.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InvalidInput(f"'{path[:200]}' cannot be read: {str(error)[:200]}", hint="download it") from None
    return ArtifactTable(
        columns=names,
        types=[str(schema[name]) for name in names],
        rows=[[_text(value) for value in row] for row in rows],
        total=total,
        all_columns=len(schema),
    )


def _digest(c: sa.Connection, run_id: str, path: str) -> str | None:
    table = store.artifact
    query = sa.select(table.c.digest).where(table.c.run_seq == store.seq_of(c, run_id), table.c.path == path)
    return c.execute(query).scalar_one_or_none()


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _CELL else text[:_CELL] + "…"
