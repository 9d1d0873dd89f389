"""Files that hold tables: their first rows as text, whatever their size."""

from __future__ import annotations

from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.arrow_size import file_batches
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.extras import require
from homeostat.core.frames import checked
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.model import ArtifactTable

_MOST_ROWS, _MOST_COLUMNS, _CELL = 1000, 200, 500
_MOST_BYTES = 1 << 30  # in one part of a file


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
    arrow = require("pyarrow", extra="data")
    try:
        # Named by its content, the file has no ending.
        head = reader(ws.blobs.local_path(digest), limit)
        shown = checked(lambda _: head.table)
    except (arrow.ArrowException, ValueError, LookupError, OSError, MemoryError) as error:
        raise InvalidInput(f"'{path[:200]}' cannot be read: {str(error)[:200]}", hint="download it") from None
    return ArtifactTable(
        columns=shown.columns,
        types=[str(kind) for kind in shown.dtypes],
        rows=[[_text(value) for value in row] for row in shown.rows()],
        total=head.rows,
        all_columns=head.columns,
    )


class _Head(NamedTuple):
    """The first rows and columns, and how many there are of each."""

    table: Any
    rows: int
    columns: int


# By Arrow's own library and not by Polars, which some damaged lengths make end the whole process.
def _parquet(path: Path, limit: int) -> _Head:
    arrow, parquet = require("pyarrow", extra="data"), require("pyarrow.parquet", extra="data")
    with parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        names = schema.names[:_MOST_COLUMNS]
        first = list(islice(file.iter_batches(batch_size=limit, columns=names), 1))
        narrow = arrow.schema([schema.field(place) for place in range(len(names))])
        return _Head(arrow.Table.from_batches(first, narrow), file.metadata.num_rows, len(schema.names))


def _arrow(path: Path, limit: int) -> _Head:
    arrow, ipc = require("pyarrow", extra="data"), require("pyarrow.ipc", extra="data")
    with path.open("rb") as file:
        data = mmap(file.fileno(), 0, access=ACCESS_READ)
    found = file_batches(data)
    if max((batch.size for batch in found), default=0) > _MOST_BYTES:
        raise ValueError(f"a part of it unpacks to more than {_MOST_BYTES >> 20} MiB")
    reader = ipc.open_file(arrow.py_buffer(data))
    some: list[Any] = []
    while sum(batch.num_rows for batch in some) < limit and len(some) < reader.num_record_batches:
        some.append(reader.get_batch(len(some)))
    table = arrow.Table.from_batches(some, reader.schema).slice(0, limit)
    names = list(range(min(table.num_columns, _MOST_COLUMNS)))
    return _Head(table.select(names), sum(batch.rows for batch in found), table.num_columns)


_READERS = {".parquet": _parquet, ".arrow": _arrow, ".feather": _arrow}


def _digest(c: sa.Connection, run_id: str, path: str) -> str | None:
    table = store.artifact
    query = sa.select(table.c.digest).where(table.c.run_seq == store.seq_of(c, run_id), table.c.path == path)
    return c.execute(query).scalar_one_or_none()


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= _CELL else text[:_CELL] + "…"
