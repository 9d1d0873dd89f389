"""The verbs that bring data in: files, bytes that came over the wire, and database queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from homeostat.core.errors import InvalidInput, NotFound, Unavailable
from homeostat.core.extras import require
from homeostat.core.paths import check_name
from homeostat.core.settings import UNPACKED_TIMES
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data import store
from homeostat.data.cleaning_rules import CleanRule
from homeostat.data.connectors.packed import MAX_UNPACKED
from homeostat.data.model import Mode, TableVersion
from homeostat.data.tables import write_table

if TYPE_CHECKING:
    import polars as pl

Format = Literal["csv", "csv.zip", "csv.gz", "parquet", "json"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".csv.zip": "csv.zip",
    ".zip": "csv.zip",
    ".csv.gz": "csv.gz",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


@verb(permission="data:admin")
def import_file(
    ws: Workspace,
    name: str,
    path: str,
    format: Format | None = None,
    mode: Mode = "overwrite",
    key: list[str] | None = None,
    null_values: list[str] | None = None,
    types: dict[str, str] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    clean: list[CleanRule] | None = None,
    message: str = "",
    once: str | None = None,
    description: str | None = None,
    at_ms: int | None = None,
) -> TableVersion:
    """Import a file into a table as a new version; the whole file or nothing.

    `path` is a file on the machine of the workspace, hence the permission: to send one over the wire use
    `import_bytes`. The format follows from the file's name unless given. For CSV: `null_values` ("" and "NA" by
    default) are read as null, `types` gives columns a type (int64, string, datetime[UTC] …) instead of the inferred
    one, `separator` is a comma (a tab for .tsv). The other arguments are those of `write_table`; `mode` is "overwrite".

    Raises: NotFound for a missing file; InvalidInput, naming the line, for one that is cut off or malformed.
    """
    check_name(name, "table name")
    if once is not None and (earlier := ws.db.read(lambda c: store.find_once(c, name, once))) is not None:
        return earlier
    file = Path(path)
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no file {path}", hint="check the path", path=path) from None
    except IsADirectoryError:
        raise InvalidInput(f"{path or '.'} is a folder", hint="name one file of it", path=path) from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}", path=path) from error
    separator = separator or ("\t" if file.suffix == ".tsv" else ",")
    rows = _frame(
        data, format or _format_of(file.name), file.name, null_values, types, separator, encoding, MAX_UNPACKED
    )
    return write_table(
        ws, name, rows, mode=mode, key=key, message=message, source=file.name, once=once, description=description,
        clean=clean, at_ms=at_ms,
    )  # fmt: skip


@verb(permission="data:write")
def import_bytes(
    ws: Workspace,
    name: str,
    data: bytes,
    format: Format = "csv",
    filename: str = "",
    mode: Mode = "overwrite",
    key: list[str] | None = None,
    null_values: list[str] | None = None,
    types: dict[str, str] | None = None,
    separator: str = ",",
    encoding: str = "utf-8",
    clean: list[CleanRule] | None = None,
    message: str = "",
    once: str | None = None,
    description: str | None = None,
    at_ms: int | None = None,
) -> TableVersion:
    """Import the content of a file into a table as a new version, as `import_file` does.

    `filename` stands in errors and as the version's source.
    """
    require("polars", extra="data")
    shown = filename or f"the {format} data"
    # This comes from whoever may write; a file of this machine is chosen by an administrator.
    limit = UNPACKED_TIMES * ws.settings.max_body_mb << 20
    rows = _frame(data, format, shown, null_values, types, separator, encoding, limit)
    return write_table(
        ws, name, rows, mode=mode, key=key, message=message, source=filename, once=once, description=description,
        clean=clean, at_ms=at_ms,
    )  # fmt: skip


@verb(permission="data:admin")
def import_query(
    ws: Workspace,
    name: str,
    database: str,
    query: str,
    mode: Mode = "overwrite",
    key: list[str] | None = None,
    clean: list[CleanRule] | None = None,
    message: str = "",
    once: str | None = None,
    description: str | None = None,
    at_ms: int | None = None,
) -> TableVersion:
    """Import the rows of an SQL query into a table as a new version.

    `database` is an SQLite file, opened read-only, or an SQLAlchemy URL; nothing of it but the kind of database is
    kept. The other arguments are those of `write_table`.
    """
    require("polars", extra="data")
    from homeostat.data.connectors.sql import read_sql

    rows = read_sql(database, query)
    kind = database.partition("://")[0] if "://" in database else Path(database).name
    return write_table(
        ws, name, rows, mode=mode, key=key, message=message, source=f"{kind}: {query[:500]}", once=once,
        description=description, clean=clean, at_ms=at_ms,
    )  # fmt: skip


def _format_of(filename: str) -> Format:
    low = filename.lower()
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if low.endswith(ending):
            return _ENDINGS[ending]
    raise InvalidInput(f"the name {filename!r} does not tell the file's format", hint="format='csv'?")


def _frame(
    data: bytes,
    format: Format,
    shown: str,
    null_values: list[str] | None,
    types: dict[str, str] | None,
    separator: str,
    encoding: str,
    limit: int,
) -> pl.DataFrame:
    from homeostat.data.connectors.csv import read_csv
    from homeostat.data.connectors.json import read_json
    from homeostat.data.connectors.packed import gunzip, unzip
    from homeostat.data.connectors.parquet import read_parquet

    if format == "parquet":
        return read_parquet(data, shown, limit)
    if format == "json":
        return read_json(data, shown)
    if format == "csv.zip":
        inner, data = unzip(data, shown, limit)
        shown = f"{inner} in {shown}"
    elif format == "csv.gz":
        data = gunzip(data, shown, limit)
    return read_csv(data, shown, separator=separator, null_values=null_values, types=types, encoding=encoding)
