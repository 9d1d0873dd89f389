"""`homeostat doctor`: is what was written still there, and is anything about to go wrong?

Each examiner gives findings; `core/slices.py` lists them, and a slice brings its own for what only it knows. Nothing
is changed, and a server may run meanwhile.
"""

from __future__ import annotations

import importlib
import os
import random
import shutil
from typing import Any, Literal

import sqlalchemy as sa

from homeostat.core import engines
from homeostat.core.clock import iso
from homeostat.core.db import Database, database_now_ms
from homeostat.core.errors import HomeostatError, NotFound
from homeostat.core.records import Record
from homeostat.core.schema import PUT_BACK, VERSION, all_tables, lost, stored_version
from homeostat.core.server_lock import FILE, running
from homeostat.core.slices import EXAMINERS
from homeostat.core.workspace import Workspace

State = Literal["ok", "warn", "bad"]

# Without `full`, this many blobs are read again; chosen anew each time.
_SAMPLE = 200
_WARN_BYTES, _BAD_BYTES = 2 << 30, 200 << 20
_WARN_WAITING = 1000


class Finding(Record):
    """What one check found: "ok", "warn" (look at it some time) or "bad" (something is lost or about to be)."""

    check: str
    state: State
    message: str
    hint: str = ""


def examine(ws: Workspace, full: bool = False) -> list[Finding]:
    """Every finding, in the order of `EXAMINERS`. `full` reads every byte again instead of a sample.

    A database that cannot be read ends the examination: the rest depends on it.
    """
    findings = [_schema(ws)]
    if findings[0].state == "bad":
        return findings
    for target in EXAMINERS:
        module, _, name = target.partition(":")
        try:
            findings += getattr(importlib.import_module(module), name)(ws, full)
        except HomeostatError as error:
            findings.append(Finding(check=name, state="bad", message=error.message, hint=error.hint))
    return findings


def _schema(ws: Workspace) -> Finding:
    url = ws.url if "://" in ws.url else f"sqlite:///{ws.home / 'homeostat.db'}"
    if "://" not in ws.url and (told := lost(ws.home)):
        return Finding(check="schema", state="bad", message=told, hint=PUT_BACK)
    if "://" not in ws.url and not (ws.home / "homeostat.db").is_file():
        raise NotFound(f"there is no workspace in {ws.home}", hint="name one with --home", home=str(ws.home))
    # Opened bare: opening it as a workspace would already upgrade it.
    db: Database = engines.load(engines.DATABASES, url)(url)
    try:
        found = stored_version(db)
    except HomeostatError as error:
        return Finding(check="schema", state="bad", message=error.message, hint=error.hint)
    finally:
        db.close()
    if found == VERSION:
        return Finding(check="schema", state="ok", message=f"version {found}, as this Homeostat writes it")
    if found is None:
        return Finding(check="schema", state="bad", message="the database holds no workspace", hint="restore a backup")
    if found > VERSION:
        message = f"version {found} was written by a newer Homeostat; this one knows {VERSION}"
        return Finding(check="schema", state="bad", message=message, hint="pip install -U homeostat")
    message = f"version {found} is older than {VERSION}"
    return Finding(check="schema", state="bad", message=message, hint="take a backup, then `homeostat up` upgrades it")


def examine_database(ws: Workspace, full: bool) -> list[Finding]:
    """Is the database whole, and are its tables those that this version writes?"""

    def ask(connection: sa.Connection) -> tuple[list[str], list[str]]:
        broken: list[str] = []
        if connection.dialect.name == "sqlite":
            pragma = "integrity_check" if full else "quick_check"
            told = connection.execute(sa.text(f"pragma {pragma}(10)")).scalars().all()
            broken = [str(line) for line in told if line != "ok"]
            broken += [f"a row of {row[0]} refers to one of {row[2]} that is not there"
                       for row in connection.execute(sa.text("pragma foreign_key_check")).all()[:10]]  # fmt: skip
        there = sa.inspect(connection)
        columns = {name: {str(c["name"]) for c in there.get_columns(name)} for name in there.get_table_names()}
        lacking = [
            f"{table.name}.{column.name}"
            for table in all_tables().sorted_tables
            for column in table.columns
            if column.name not in columns.get(table.name, set())
        ]
        return broken, lacking

    broken, lacking = ws.db.read(ask)
    findings = [Finding(check="database", state="bad", message=line, hint="restore a backup") for line in broken]
    if lacking:
        message = f"columns are missing: {', '.join(lacking[:10])}"
        findings.append(Finding(check="database", state="bad", message=message, hint="restore a backup"))
    return findings or [Finding(check="database", state="ok", message="whole" if full else "whole, by a quick look")]


def examine_bytes(ws: Workspace, full: bool) -> list[Finding]:
    """Do the content-addressed bytes still have their digests?"""
    known = list(ws.blobs.digests())
    chosen = known if full or len(known) <= _SAMPLE else random.sample(known, _SAMPLE)
    damaged: list[str] = []
    for digest in chosen:
        try:
            ws.blobs.get_bytes(digest)
        except HomeostatError as error:
            damaged.append(f"{digest[:12]}…: {error.message}")
    hint = "put them back from a backup: the same bytes have the same name"
    findings = [Finding(check="bytes", state="bad", message=line, hint=hint) for line in damaged[:10]]
    if len(damaged) > len(findings):
        findings.append(Finding(check="bytes", state="bad", message=f"and {len(damaged) - len(findings)} more"))
    read = f"all {len(known)}" if len(chosen) == len(known) else f"{len(chosen)} of {len(known)}, by chance,"
    more = "" if len(chosen) == len(known) else "; --full reads all"
    return findings or [Finding(check="bytes", state="ok", message=f"{read} have their digests{more}")]


def examine_events(ws: Workspace, full: bool) -> list[Finding]:
    """Does a listener lag behind?"""
    from homeostat.core.events import cursors, last_event_id

    table = importlib.import_module("homeostat.events").EVENTS
    listening = {listener for entry in table.values() for listener in entry.listeners}
    newest = last_event_id(ws)
    rows = ws.db.read(lambda c: c.execute(sa.select(cursors)).all())
    late = [(row.listener, newest - row.last_id) for row in rows if row.listener in listening]
    findings = [
        Finding(
            check="events",
            state="warn",
            message=f"{listener} has not seen the last {waiting} events",
            hint="is a server running? its log says what the listener trips over",
        )
        for listener, waiting in late
        if waiting > _WARN_WAITING
    ]
    return findings or [Finding(check="events", state="ok", message=f"{newest} published, no listener far behind")]


def examine_leases(ws: Workspace, full: bool) -> list[Finding]:
    """Is work held by a process of this machine that is gone?"""
    from homeostat.core.leases import table

    def ask(connection: sa.Connection) -> tuple[int, list[Any]]:
        now = database_now_ms(connection)
        return now, list(connection.execute(sa.select(table).where(table.c.until_ms > now)).all())

    _, held = ws.db.read(ask)
    findings = [
        Finding(
            check="leases",
            state="warn",
            message=f"'{row.name}' is held by process {row.owner.split(':')[1]}, which is gone",
            hint=f"nothing to do: it is free at {iso(row.until_ms)}",
        )
        for row in held
        if _is_gone(row.owner)
    ]
    return findings or [
        Finding(check="leases", state="ok", message=f"{len(held)} held, none by a process that is gone")
    ]


def _is_gone(owner: str) -> bool:
    """Whether an owner of the form `host:process:…` was a process of this machine that no longer runs."""
    host, _, rest = owner.partition(":")
    process = rest.partition(":")[0]
    if host != os.uname().nodename or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def examine_machine(ws: Workspace, full: bool) -> list[Finding]:
    """Is there space, and does a server run?"""
    free = shutil.disk_usage(ws.home).free
    state: State = "bad" if free < _BAD_BYTES else "warn" if free < _WARN_BYTES else "ok"
    space = Finding(
        check="disk",
        state=state,
        message=f"{free / (1 << 30):.1f} GiB free",
        hint="" if state == "ok" else "free some space, or move the home to a larger disk",
    )
    return [space, Finding(check="server", state="ok", message=_server(ws))]


def _server(ws: Workspace) -> str:
    if (holder := running(ws.home)) is not None:
        return f"running ({holder.words})"
    return "not running" if (ws.home / FILE).is_file() else "none has run here"
