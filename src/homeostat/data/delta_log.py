"""The Delta Lake face of a table: its folder's `_delta_log`, derived from the database.

Our version N is Delta's version N (Delta's 0 is the table before its first rows). A version is first committed to the
database and then published here, so a foreign reader sees it a moment late but never half; a publication that a crash
cut off is made up for by the next use of the table. The text of a log entry follows from the database alone: writing it
twice is harmless. Foreign programs may read; a commit of theirs is not one of ours, and stops the next write.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import Conflict
from homeostat.core.faults import fault
from homeostat.core.ids import new_id
from homeostat.core.records import to_json
from homeostat.core.workspace import Workspace
from homeostat.data import store
from homeostat.data.data_files import folder_of, storage_error, sync
from homeostat.data.delta_schema import needs_timestamp_ntz

# Old versions stay readable: neither log nor files are for a foreign clean-up to remove.
_CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


def publish_log(ws: Workspace, table: str) -> None:
    """Write the log entries that the database has and the folder has not. Raises: StorageFull, Unavailable."""
    newest = ws.db.read(lambda connection: store.head(connection, table))
    log = folder_of(ws, table) / "_delta_log"
    if not newest or _entry(log, newest).exists():
        return
    first = newest
    while first > 0 and not _entry(log, first - 1).exists():
        first -= 1
    try:
        log.mkdir(parents=True, exist_ok=True)
        for version in range(first, newest + 1):
            _publish(log, version, ws.db.read(lambda connection, v=version: _actions(connection, table, v)))
        sync(log)
    except OSError as error:
        raise storage_error(error, log) or error from error


def refuse_foreign(ws: Workspace, table: str, newest: int) -> None:
    """Stop a write when another program has committed to the folder behind our back.

    Raises: Conflict, naming the entry and the ways out.
    """
    entry = _entry(folder_of(ws, table) / "_delta_log", newest + 1)
    # A writer of ours commits to the database first, so an entry beyond the database's newest version is not ours.
    if entry.exists() and ws.db.read(lambda connection: store.head(connection, table)) == newest:
        raise Conflict(
            f"another program wrote version {newest + 1} into the Delta folder of table '{table}'",
            hint=f"read its rows with polars and write them here, then remove {entry}",
            table=table,
            path=str(entry),
        )


def _entry(log: Path, version: int) -> Path:
    return log / f"{version:020d}.json"


def _publish(log: Path, version: int, actions: list[dict[str, Any]]) -> None:
    temporary = log / f".{new_id()}.tmp"
    try:
        with temporary.open("w", encoding="utf-8") as out:
            out.writelines(to_json(action) + "\n" for action in actions)
            out.flush()
            os.fsync(out.fileno())
        fault("table.log-written")
        os.link(temporary, _entry(log, version))  # appears whole, and only if it is not there yet
    except FileExistsError:
        pass  # another process made up for it at the same moment, with the same text
    finally:
        temporary.unlink(missing_ok=True)


def _actions(connection: sa.Connection, table: str, version: int) -> list[dict[str, Any]]:
    owner = connection.execute(sa.select(store.tables).where(store.tables.c.name == table)).one()
    around = (max(version - 1, 1), max(version, 1))
    rows = connection.execute(
        sa.select(store.versions).where(store.versions.c.name == table, store.versions.c.version.in_(around))
    ).all()
    by_version = {row.version: row for row in rows}
    now, before = by_version[around[1]], by_version[around[0]]
    if version == 0:
        return [
            _commit_info("CREATE TABLE", owner.created_ms),
            *_metadata(owner, now.schema, 0, ntz=needs_timestamp_ntz(now.schema)),
        ]
    actions = [_commit_info("MERGE" if now.operation == "upsert" else "WRITE", now.created_ms)]
    if before.schema != now.schema:
        gained = needs_timestamp_ntz(now.schema) and not needs_timestamp_ntz(before.schema)
        actions += _metadata(owner, now.schema, version, ntz=gained)
    files = store.files
    added = connection.execute(
        sa.select(files).where(files.c.name == table, files.c.added == version).order_by(files.c.file)
    )
    removed = connection.execute(
        sa.select(files).where(files.c.name == table, files.c.removed == version).order_by(files.c.file)
    )
    actions += [_remove(row, now.created_ms) for row in removed]
    actions += [_add(row, now.created_ms) for row in added]
    return actions


def _commit_info(operation: str, at_ms: int) -> dict[str, Any]:
    return {"commitInfo": {"timestamp": at_ms, "operation": operation, "engineInfo": "homeostat"}}


def _metadata(owner: sa.Row[Any], schema: str, version: int, ntz: bool) -> list[dict[str, Any]]:
    described = {
        "id": owner.delta_id,
        "name": owner.name,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema,
        "partitionColumns": [],
        "configuration": _CONFIGURATION,
        "createdTime": owner.created_ms,
    }
    features = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["timestampNtz"],
        # The first two were implied by writer version 2, and must be named once features are.
        "writerFeatures": ["appendOnly", "invariants", "timestampNtz"],
    }
    plain = {"minReaderVersion": 1, "minWriterVersion": 2}
    protocol: list[dict[str, Any]] = [{"protocol": features if ntz else plain}] if ntz or version == 0 else []
    return [*protocol, {"metaData": described}]


def _add(row: sa.Row[Any], at_ms: int) -> dict[str, Any]:
    return {
        "add": {
            "path": row.file,
            "partitionValues": {},
            "size": row.bytes,
            "modificationTime": at_ms,
            "dataChange": True,
            "stats": to_json({"numRecords": row.rows}),
        }
    }


def _remove(row: sa.Row[Any], at_ms: int) -> dict[str, Any]:
    return {
        "remove": {
            "path": row.file,
            "deletionTimestamp": at_ms,
            "dataChange": True,
            "extendedFileMetadata": True,
            "partitionValues": {},
            "size": row.bytes,
        }
    }
