"""The Parquet files of tables: written whole and synced before anything refers to them, found, and checked."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl

from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import Corrupt, HomeostatError, StorageFull, Unavailable
from homeostat.core.faults import fault
from homeostat.core.ids import new_id
from homeostat.core.paths import check_name, inside
from homeostat.core.workspace import Workspace
from homeostat.data.schema import polars_schema
from homeostat.data.store import DataFile, Snapshot

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def folder_of(ws: Workspace, table: str) -> Path:
    """The folder of a table: a Delta table that other programs may read."""
    return inside(ws.home / "tables", check_name(table, "table name"))


def write_file(folder: Path, frame: pl.DataFrame) -> DataFile:
    """`frame` as a new file in `folder`, on disk when this returns; nothing is left behind when it fails.

    Raises: StorageFull when the disk is, Unavailable when the folder cannot be written.
    """
    path = folder / f"{new_id()}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path, compression="zstd", statistics=True)
        fault("table.file-written")
        sync(path)
        sync(folder)
    except BaseException as error:
        path.unlink(missing_ok=True)
        ours = storage_error(error, folder)
        if ours is None:
            raise
        raise ours from error
    return DataFile(file=path.name, rows=frame.height, bytes=path.stat().st_size, digest=digest_of_file(path))


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def storage_error(error: BaseException, folder: Path) -> HomeostatError | None:
    """What a failed write means, as one of our errors; None when it is not about storage."""
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL or "No space left" in text or "File too large" in text or "quota exceeded" in text.lower():
        return StorageFull(
            f"no space left to write in {folder}", hint="free some disk space and do it again; nothing was changed"
        )
    if isinstance(error, OSError):
        return Unavailable(f"{folder} cannot be written: {text}", hint="check the folder's permissions")
    return None


def scan(ws: Workspace, snap: Snapshot) -> pl.LazyFrame:
    """The rows of a snapshot, lazily, in the order in which they were written."""
    schema = polars_schema(snap.schema)
    paths = [folder_of(ws, snap.table) / file.file for file in snap.files]
    if not paths:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(paths, schema=schema, glob=False, hive_partitioning=False)


def collect(ws: Workspace, snap: Snapshot, lazy: pl.LazyFrame) -> pl.DataFrame:
    """`lazy`, which reads the files of `snap`, as a frame. Raises: Corrupt when a file is missing or damaged."""
    try:
        return lazy.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        verify(ws, snap)
        raise Corrupt(
            f"version {snap.version} of table '{snap.table}' cannot be read: {error}", hint="`homeostat doctor`"
        ) from error


def verify(ws: Workspace, snap: Snapshot) -> None:
    """Read every file of a snapshot and compare it with its digest. Raises: Corrupt, naming the first that differs."""
    for file in snap.files:
        path = folder_of(ws, snap.table) / file.file
        if not path.is_file():
            raise _corrupt(snap, path, "is missing")
        if path.stat().st_size != file.bytes:
            raise _corrupt(snap, path, f"has {path.stat().st_size} bytes instead of {file.bytes}")
        if digest_of_file(path) != file.digest:
            raise _corrupt(snap, path, "is damaged")


def _corrupt(snap: Snapshot, path: Path, what: str) -> Corrupt:
    return Corrupt(
        f"version {snap.version} of table '{snap.table}' cannot be read: {path} {what}",
        hint="put the file back from a backup, or write the table again with mode='overwrite'",
        table=snap.table,
        version=snap.version,
        path=str(path),
    )
