"""The audit log: every change, in order, each entry chained to the one before it by a digest.

An entry that was altered, or removed from the middle, breaks the chain. Somebody who can write to the database can
still cut off the end or build a new chain: note the last digest elsewhere now and then, and give it to `verify_audit`.
"""

from __future__ import annotations

import re
from contextvars import copy_context
from typing import Any, NamedTuple

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.blobs import digest_of
from homeostat.core.clock import now_ms
from homeostat.core.context import acting_as, current_actor
from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.events import StoredEvent
from homeostat.core.records import canonical_json, from_json, plain
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.team.model import AuditCheck, AuditEntry
from homeostat.team.store import audit

_START = "0" * 64
_ERASED = "tracking.garbage_collected"
# Addresses of webhooks and databases hold secrets as well.
_SECRET = re.compile(r"secret|token|password|url|database", re.IGNORECASE)
_MAX_TEXT = 200
_MAX_ITEMS = 50
_MAX_DEPTH = 6
_MAX_LIMIT = 1000
_BATCH = 1000
_FIELDS = "seq, at_ms, actor, verb, arguments, previous, digest"
_LAST = "select seq, digest from team_audit order by seq desc limit 1"
# The key makes it one chain, whoever else writes: of two that follow on the same entry one is told that it came late.
_FIRST = f"insert into team_audit ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing"  # noqa: S608 - above
_NEXT = (
    f"insert into team_audit ({_FIELDS}) select ?, ?, ?, ?, ?, ?, ?"  # noqa: S608 - above
    " where (select digest from team_audit order by seq desc limit 1) = ? on conflict do nothing"
)
# After so many entries of one connection without another's among them, the next is expected to follow on its last.
_ALONE = 16
_TRIES = 100
# Where in a transaction it is taken, after that of the events: the next entry waits until this one is kept.
_LOCK = 2


class _Known(NamedTuple):
    """What a connection wrote last, which the next entry mostly follows on; how many of its own came one by one."""

    seq: int
    digest: str
    alone: int = 0


@verb(permission="team:admin")
def record_audit(ws: Workspace, verb: str, arguments: dict[str, Any] | None = None) -> AuditEntry:
    """Add an entry: the acting user has called `verb` with `arguments`. Secrets and long values are not kept."""
    return ws.db.write(lambda _: note_audit(ws, verb, arguments or {}))[0]


def note_audit(ws: Workspace, verb: str, arguments: dict[str, Any]) -> list[AuditEntry]:
    """From inside a write: the acting user has called `verb`, which is kept if and only if the change is.

    The list holds the entry once the write is done.
    """
    context, kept = copy_context(), list[AuditEntry]()
    ws.db.before_commit(lambda c: kept.append(context.run(append_audit, c, verb, arguments)), _LOCK)
    return kept


def on_garbage(ws: Workspace, event: StoredEvent) -> None:
    """Note what was erased for good, by whomever: a person, or the server by its policy."""
    told = {"event": event.id, **event.payload}
    seen = sa.select(audit.c.arguments).where(audit.c.verb == _ERASED).order_by(audit.c.seq.desc()).limit(1)

    def note(connection: sa.Connection) -> None:
        last = connection.execute(seen).scalar()
        # Told once more after a server was killed between the entry and its note of having heard.
        if last is None or from_json(last, dict[str, Any])["event"] < event.id:
            note_audit(ws, _ERASED, told)

    with acting_as(event.actor):
        ws.db.write(note)


def append_audit(connection: sa.Connection, verb: str, arguments: dict[str, Any]) -> AuditEntry:
    """Add an entry as the last thing within an open transaction. Raises: Unavailable while too many others do."""
    given = canonical_json(_without_secrets(plain(arguments)))
    known: _Known | None = connection.info.pop(statements.HOPED, None)
    for _ in range(_TRIES):
        if known is None:
            seq, digest = next(iter(statements.rows(connection, _LAST)), (0, _START))
            known = _Known(seq, digest)
        entry: dict[str, Any] = {
            "seq": known.seq + 1, "at_ms": now_ms(), "actor": current_actor(), "verb": verb, "arguments": given,
            "previous": known.digest,
        }  # fmt: skip
        digest = _digest(entry)
        row = (*entry.values(), digest)
        if _put(connection, known, row):
            connection.info[statements.HOPED] = _Known(known.seq + 1, digest, known.alone + 1)
            return AuditEntry(
                seq=known.seq + 1, at_ms=entry["at_ms"], actor=entry["actor"], verb=verb, previous=known.digest,
                digest=digest, arguments=from_json(given, dict[str, Any]),
            )  # fmt: skip
        known = None
    raise Unavailable("the audit log is written by too many at once", hint="try again")


def _put(connection: sa.Connection, known: _Known, row: tuple[Any, ...]) -> bool:
    """Whether the entry follows on the one known; if it is not waited for, the write fails where it does not."""
    if not known.seq:
        return statements.change(connection, _FIRST, row) > 0
    asked = (*row, known.digest)
    if known.alone >= _ALONE and statements.must(connection, _NEXT, asked):
        return True
    return statements.change(connection, _NEXT, asked) > 0


@verb(permission="team:admin")
def list_audit(
    ws: Workspace, limit: int = 100, before: int | None = None, actor: str | None = None, verb: str | None = None
) -> list[AuditEntry]:
    """The audit log, newest first, at most `limit` entries (1 to 1,000); `before` goes on below a sequence number."""
    if not 1 <= limit <= _MAX_LIMIT:
        raise InvalidInput(f"limit is {limit}; it lies between 1 and {_MAX_LIMIT}")
    query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    for column, value in ((audit.c.actor, actor), (audit.c.verb, verb)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(audit.c.seq < before)
    rows = ws.db.read(lambda connection: connection.execute(query).all())
    return [
        AuditEntry(
            seq=row.seq, at_ms=row.at_ms, actor=row.actor, verb=row.verb, previous=row.previous, digest=row.digest,
            arguments=from_json(row.arguments, dict[str, Any]),
        )
        for row in rows
    ]  # fmt: skip


@verb(permission="team:admin")
def verify_audit(ws: Workspace, seq: int | None = None, digest: str | None = None) -> AuditCheck:
    """Walk the whole chain and compare every digest.

    `seq` and `digest`, noted elsewhere at an earlier time, also uncover a log that was cut off or built anew.
    """
    return ws.db.read(lambda connection: _verify(connection, seq, digest))


def _verify(connection: sa.Connection, seq: int | None, digest: str | None) -> AuditCheck:
    count, previous, noted = 0, _START, seq is None
    while True:
        query = sa.select(audit).where(audit.c.seq > count).order_by(audit.c.seq).limit(_BATCH)
        rows = connection.execute(query).all()
        for row in rows:
            wrong = _wrong(row, count + 1, previous)
            if not wrong and row.seq == seq:
                noted, wrong = True, "" if row.digest == digest else "its digest is not the one that was noted"
            if wrong:
                message = f"entry {count + 1}: {wrong}"
                return AuditCheck(entries=count, intact=False, broken_at=count + 1, message=message, digest=previous)
            count, previous = row.seq, row.digest
        if len(rows) < _BATCH:
            break
    if not noted:
        message = f"the log ends at entry {count}, but entry {seq} was noted"
        return AuditCheck(entries=count, intact=False, broken_at=count + 1, message=message, digest=previous)
    return AuditCheck(entries=count, intact=True, message=f"{count} entries, none altered", digest=previous)


def _wrong(row: sa.Row[Any], seq: int, previous: str) -> str:
    if row.seq != seq:
        return f"it is missing, the next one is {row.seq}"
    if row.previous != previous:
        return "it does not follow on the entry before it"
    facts = {name: getattr(row, name) for name in ("seq", "at_ms", "actor", "verb", "arguments", "previous")}
    return "" if _digest(facts) == row.digest else "it was altered"


def _digest(entry: dict[str, Any]) -> str:
    return digest_of(canonical_json(entry).encode())


def _without_secrets(value: Any, name: str = "", depth: int = 0) -> Any:
    if name and _SECRET.search(name) and value is not None:
        return "(secret)"
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {str(k): _without_secrets(v, str(k), depth + 1) for k, v in list(value.items())[:_MAX_ITEMS]}
    if isinstance(value, (list, tuple)):
        return [_without_secrets(item, "", depth + 1) for item in value[:_MAX_ITEMS]]
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        return value[:_MAX_TEXT] + "…"
    return value
