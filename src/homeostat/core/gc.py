"""Erasing what was deleted long ago, and bytes that nothing names any more. Beside a running server.

No slice can be forgotten: bytes are kept when their digest stands anywhere in the database, in whatever text of
whatever table, or in a JSON that is kept itself (a tree lists its files so). Tables that only tell what happened are
left out, by name and with the reason.

Bytes come before the row that names them, so only those are removed that nothing named when the looking began and that
nobody put for a grace period before. Putting bytes that are there already makes them young again.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.blobs import BlobStore
from homeostat.core.clock import now_ms
from homeostat.core.db import database_now_ms
from homeostat.core.errors import Conflict, NotFound
from homeostat.core.leases import Lease
from homeostat.core.leases import table as leases
from homeostat.core.records import Record
from homeostat.core.retention import Keep, Named
from homeostat.core.schema import all_tables
from homeostat.core.slices import EXPIRERS, NAMERS, PURGERS
from homeostat.core.workspace import Workspace

GC, BACKUP = "core.gc", "core.backup:"
_TERM_S = 3600.0
# An upload in parts to which nothing came for so long is not completed any more.
_GIVEN_UP_MS = 86_400_000
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_PIECE = 1 << 20

# Where a digest tells of bytes and does not need them.
TELLING = {
    "core_event": "what happened",
    "team_audit": "who asked for what",
    "registry_history": "who moved which model, chained by digests of its own",
    "homeostat_version": "one number",
    "tracking_trace_word": "what the tags and the metadata of traces say, once more",
    "tracking_span_fact": "what spans say, once more",
}
# Packed numbers: no text at all.
PACKED = {("tracking_inbox", "payload"), ("tracking_journal", "payload"), ("tracking_chunk", "payload")}

Progress = Callable[[str], None]


class Garbage(Record):
    """What was erased, or would be: rows by kind, and the bytes that nothing named; `kept` blobs stay."""

    dry_run: bool
    erased: dict[str, int]
    blobs: int
    bytes: int
    kept: int


class Asked(NamedTuple):
    """What is to go: what was deleted before `deleted_ms` (a time), what `keep` keeps no longer, and bytes without a
    name that are older than `grace_ms`; these, unless `sweep_always`, only if something went before them."""

    deleted_ms: int
    grace_ms: int
    keep: Keep = Keep()
    dry_run: bool = False
    sweep_always: bool = True


class Done:
    """What is erased so far, for whoever asks after it was broken off."""

    def __init__(self) -> None:
        self.erased: dict[str, int] = {}
        self.blobs = self.bytes = self.kept = 0

    @property
    def rows(self) -> int:
        """How many, of all kinds."""
        return sum(self.erased.values())


def collect(ws: Workspace, asked: Asked, progress: Progress = lambda _: None, done: Done | None = None) -> Garbage:
    """Erase what is asked for, in small transactions; `progress` may raise, which ends it there.

    A dry run changes nothing; the bytes of what it would erase are named by then, so it counts fewer of them.

    Raises: Conflict while another one, or a backup, is at work.
    """
    done = done or Done()
    really = not asked.dry_run
    lease = ws.leases.acquire(GC, _TERM_S, ws.instance)
    if lease is None or ws.db.read(lambda c: _held(c, BACKUP)):
        if lease is not None:
            ws.leases.release(lease)
        raise Conflict("garbage is collected or a backup is taken just now", hint="try again when it is done")
    try:

        def step(said: str) -> None:
            progress(said)
            _go_on(ws, lease)

        def gone(kind: str, count: int) -> None:
            done.erased[kind] = done.erased.get(kind, 0) + count
            step(f"{done.rows:,} rows gone of what has grown old")

        named: Named = set()
        for target in NAMERS:
            named |= _load(target)(ws)
        for target in EXPIRERS:
            step(f"{done.rows:,} rows gone, looking for what has grown old")
            _load(target)(ws, asked.keep, named, really, gone)
        for target in PURGERS:
            step(f"{done.rows:,} rows gone, looking for what was deleted")
            done.erased.update(_load(target)(ws, asked.deleted_ms, named, really))
        if really:
            ws.blobs.parts.sweep(now_ms() - _GIVEN_UP_MS)
        if asked.sweep_always or done.rows:
            begun = now_ms()
            step("looking for what names bytes")
            alive = marked(ws, step)
            _sweep(ws, alive, begun - asked.grace_ms, asked.dry_run, done, step)
        return Garbage(dry_run=asked.dry_run, erased=done.erased, blobs=done.blobs, bytes=done.bytes, kept=done.kept)
    finally:
        ws.leases.release(lease)


@contextmanager
def none_meanwhile(ws: Workspace) -> Generator[None]:
    """For a backup: no garbage is collected inside the block. Raises Conflict while it is."""
    lease = ws.leases.acquire(f"{BACKUP}{ws.instance}", _TERM_S * 24, ws.instance)
    try:
        if ws.db.read(lambda c: _held(c, GC)):
            raise Conflict("garbage is collected just now", hint="try again when it is done")
        yield
    finally:
        if lease is not None:
            ws.leases.release(lease)


def marked(ws: Workspace, step: Progress = lambda _: None) -> set[str]:
    """Every digest that something names, directly or through a kept JSON."""
    alive: set[str] = set()
    for table in all_tables().sorted_tables:
        if table.name in TELLING or table.info.get("derived"):
            continue
        for column in table.columns:
            if (table.name, column.name) not in PACKED and isinstance(column.type, sa.String | sa.LargeBinary):
                alive |= ws.db.read(lambda c, column=column: _in_column(c, column))
        step(f"{len(alive):,} digests are named, as far as {table.name}")
    new = set(alive)
    while new:
        new = {digest for known in new for digest in _in_json(ws.blobs, known)} - alive
        alive |= new
        step(f"{len(alive):,} digests are named")
    return alive


def _in_column(c: sa.Connection, column: sa.Column[Any]) -> set[str]:
    query = sa.select(column).where(sa.func.length(column) >= 64)
    found: set[str] = set()
    for (value,) in c.execution_options(yield_per=1000).execute(query):
        found.update(_digests(value if isinstance(value, bytes) else str(value).encode()))
    return found


def _in_json(blobs: BlobStore, digest: str) -> Iterator[str]:
    try:
        if blobs.beginning(digest) not in (b"{", b"["):
            return
        with blobs.local_path(digest).open("rb") as file:
            rest = b""
            while piece := file.read(_PIECE):
                yield from _digests(rest + piece)
                rest = piece[-63:]
    except NotFound:  # a digest of something else
        return


def _digests(data: bytes) -> Iterator[str]:
    # Longer runs of hexadecimal digits hold them at every place.
    at = 0
    while (found := _DIGEST.search(data, at)) is not None:
        yield found.group().decode()
        at = found.start() + 1


def _sweep(ws: Workspace, alive: set[str], before_ms: int, dry_run: bool, done: Done, step: Progress) -> None:
    for number, entry in enumerate(ws.blobs.entries()):
        if number % 1000 == 999:
            step(f"{number + 1:,} pieces looked at, {done.blobs:,} without a name")
        gone = entry.digest not in alive and entry.put_ms < before_ms
        if gone and (dry_run or ws.blobs.remove(entry.digest, before_ms)):
            done.blobs, done.bytes = done.blobs + 1, done.bytes + entry.size
        else:
            done.kept += 1


def _held(c: sa.Connection, name: str) -> bool:
    query = sa.select(leases.c.name).where(leases.c.name.startswith(name), leases.c.until_ms > database_now_ms(c))
    return c.execute(query).first() is not None


def _go_on(ws: Workspace, lease: Lease) -> None:
    if not ws.leases.renew(lease):
        raise Conflict("another one began to collect garbage", hint="try again when it is done")


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
