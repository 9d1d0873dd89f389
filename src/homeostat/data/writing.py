"""Writing tables: every write makes a new version, wholly or not at all.

Order of things: data files to disk, then one database transaction that makes the version exist, then the Delta log.
A crash before the transaction leaves files that nothing refers to; a crash after it leaves a log that the next use
completes. Writers of one table do not wait for each other: one that finds the table changed plans again on the new
state, so that appends and upserts of several processes all land.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import sqlalchemy as sa

from homeostat.core.blobs import digest_of
from homeostat.core.clock import now_ms
from homeostat.core.context import current_run
from homeostat.core.errors import Conflict, InvalidInput
from homeostat.core.events import publish
from homeostat.core.faults import fault
from homeostat.core.lineage_facts import record_write
from homeostat.core.records import Record, canonical_json, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.data import store
from homeostat.data.check_pass import evaluate
from homeostat.data.checks import announce_failures
from homeostat.data.data_files import folder_of, scan, write_file
from homeostat.data.delta_log import publish_log, refuse_foreign
from homeostat.data.expectations import Expectation
from homeostat.data.fitting import fit
from homeostat.data.model import CheckReport, CleanReport, Mode, TableVersion, TableWritten
from homeostat.data.schema import polars_schema, schema_string
from homeostat.data.store import DataFile

# Each round at least one of the competing writers lands, so this many must compete before one gives up.
_ROUNDS = 100


class Asked(Record):
    """What the caller asked for, checked and in storable form."""

    table: str
    mode: Mode
    frame: pl.DataFrame
    key: list[str] | None
    message: str
    source: str
    once: str | None
    description: str | None
    cleaned: CleanReport | None
    at_ms: int


class _Plan(Record):
    """The version that a write would make on top of version `base`."""

    base: int
    schema: str
    key: list[str]
    kept: list[DataFile]
    added: list[DataFile]
    gone: list[str]
    check: CheckReport | None = None

    @property
    def files(self) -> list[DataFile]:
        return [*self.kept, *self.added]


def land(ws: Workspace, asked: Asked) -> TableVersion:
    """Make the version that `asked` describes. Safe against crashes and against other writers of the same table."""
    version = _land(ws, asked)
    fault("table.committed")
    publish_log(ws, asked.table)
    return version


def _land(ws: Workspace, asked: Asked) -> TableVersion:
    written: list[DataFile] = []
    try:
        for _ in range(_ROUNDS):
            plan, expectations = _plan(ws, asked, written)
            refuse_foreign(ws, asked.table, plan.base)
            if expectations:
                plan = _checked(ws, asked, plan, expectations)
            landed = ws.db.write(lambda c, plan=plan: _commit(ws, c, asked, plan))
            if landed is not None:
                if asked.once is not None or len(written) > len(plan.added):
                    _discard(ws, asked.table, written)
                return landed
    except BaseException:
        _discard(ws, asked.table, written)
        raise
    _discard(ws, asked.table, written)
    raise Conflict(f"table '{asked.table}' kept changing while it was written", hint="write again")


def _discard(ws: Workspace, table: str, files: Sequence[DataFile]) -> None:
    """Remove files that no version refers to, also after an error of which it is not known whether it committed."""
    if not files:
        return
    names = [file.file for file in files]
    where = (store.files.c.name == table, store.files.c.file.in_(names))
    known = set(ws.db.read(lambda c: c.execute(sa.select(store.files.c.file).where(*where)).scalars().all()))
    for name in names:
        if name not in known:
            (folder_of(ws, table) / name).unlink(missing_ok=True)


def _plan(ws: Workspace, asked: Asked, written: list[DataFile]) -> tuple[_Plan, list[Expectation]]:
    """The plan on the table's present state. Files it writes are added to `written`; a frame is written once only."""

    def look(connection: sa.Connection) -> tuple[store.Snapshot | None, list[str], str]:
        row = connection.execute(sa.select(store.tables).where(store.tables.c.name == asked.table)).first()
        if row is None:
            return None, [], "[]"
        snap = store.snapshot(connection, asked.table) if row.version else None
        return snap, from_json(row.key, list[str]), row.expectations

    snap, declared, expectations = ws.db.read(look)
    frame = asked.frame
    if asked.mode != "overwrite" and snap is not None:
        frame = fit(frame, polars_schema(snap.schema), asked.table)
    schema = schema_string(frame.schema)
    key = _key(asked, declared if snap is not None else [], list(frame.schema))
    base, kept, gone = (snap.version, snap.files, []) if snap is not None else (0, [], [])
    if asked.mode == "upsert":
        plan = _plan_upsert(ws, asked, snap, frame, key, schema)
        written += plan.added
    else:
        if not written and frame.height:
            written.append(write_file(folder_of(ws, asked.table), frame))
        if asked.mode == "overwrite":
            kept, gone = [], [file.file for file in kept]
        plan = _Plan(base=base, schema=schema, key=key, kept=kept, added=list(written), gone=gone)
    return plan, from_json(expectations, list[Expectation])


def _key(asked: Asked, declared: list[str], columns: list[str]) -> list[str]:
    key = declared if asked.key is None else asked.key
    if asked.key is not None and declared and asked.mode != "overwrite" and asked.key != declared:
        raise InvalidInput(
            f"table '{asked.table}' has the key {declared}, not {asked.key}",
            hint="leave `key` out, or change it with mode='overwrite'",
        )
    missing = [name for name in key if name not in columns]
    if missing and asked.mode == "overwrite" and asked.key is None:
        return []  # the columns that made the old key are gone
    if missing:
        raise InvalidInput(f"the key column '{missing[0]}' is not among the columns {columns}")
    if asked.mode == "upsert" and not key:
        raise InvalidInput("an upsert needs the columns that identify a row", hint="key=['id']")
    return key


def _plan_upsert(
    ws: Workspace, asked: Asked, snap: store.Snapshot | None, frame: pl.DataFrame, key: list[str], schema: str
) -> _Plan:
    if nulls := [name for name in key if frame.get_column(name).null_count()]:
        raise InvalidInput(f"the key column '{nulls[0]}' holds nulls", hint="drop those rows, or choose another key")
    frame = frame.unique(key, keep="last", maintain_order=True)
    folder, keys = folder_of(ws, asked.table), frame.select(key)
    rest: list[pl.DataFrame] = []
    gone: list[str] = []
    for file in snap.files if snap else []:
        one = pl.scan_parquet(folder / file.file, glob=False)
        # Only files that hold one of the keys are read whole and replaced; the others stay as they are.
        if one.select(key).join(keys.lazy(), on=key, how="semi").limit(1).collect().height:
            rest.append(one.join(keys.lazy(), on=key, how="anti", maintain_order="left").collect())
            gone.append(file.file)
    merged = pl.concat([*rest, frame])
    added = [write_file(folder, merged)] if merged.height else []
    kept = [file for file in snap.files if file.file not in gone] if snap else []
    return _Plan(base=snap.version if snap else 0, schema=schema, key=key, kept=kept, added=added, gone=gone)


def _checked(ws: Workspace, asked: Asked, plan: _Plan, expectations: list[Expectation]) -> _Plan:
    snap = store.Snapshot(table=asked.table, version=plan.base + 1, schema=plan.schema, key=plan.key, files=plan.files)
    report = evaluate(ws, asked.table, snap.version, scan(ws, snap), expectations, asked.at_ms)
    return _Plan(
        base=plan.base, schema=plan.schema, key=plan.key, kept=plan.kept, added=plan.added, gone=plan.gone, check=report
    )


def _commit(ws: Workspace, connection: sa.Connection, asked: Asked, plan: _Plan) -> TableVersion | None:
    """Make the version exist; None when the table has changed since `plan` was made."""
    name, created = asked.table, now_ms()
    store.declare(connection, name, created)
    newest = store.head(connection, name, lock=True)
    if (earlier := store.find_once(connection, name, asked.once)) is not None:
        return earlier
    if newest != plan.base:
        return None
    number = plan.base + 1
    digest = digest_of(canonical_json([plan.schema, [file.digest for file in plan.files]]).encode())
    store.retire(connection, name, plan.gone, number)
    for file in plan.added:
        connection.execute(
            sa.insert(store.files).values(
                name=name, file=file.file, added=number, rows=file.rows, bytes=file.bytes, digest=file.digest
            )
        )
    connection.execute(
        sa.insert(store.versions).values(
            name=name, version=number, operation=asked.mode, rows=sum(file.rows for file in plan.files),
            bytes=sum(file.bytes for file in plan.files), digest=digest, schema=plan.schema, key=to_json(plan.key),
            message=asked.message, source=asked.source, run_id=current_run(), once=asked.once, created_ms=created,
            check_report=to_json(plan.check) if plan.check else None,
            clean_report=to_json(asked.cleaned) if asked.cleaned else None,
        )
    )  # fmt: skip
    changed = {"version": number, "key": to_json(plan.key), "updated_ms": created}
    if asked.description is not None:
        changed["description"] = asked.description
    connection.execute(sa.update(store.tables).where(store.tables.c.name == name).values(**changed))
    landed = store.find_version(connection, name, number)
    publish(ws, connection, TableWritten(table=name, version=number, rows=landed.rows, operation=asked.mode))
    announce_failures(ws, connection, plan.check)
    record_write(ws, "table", name, number, connection)
    return landed
