"""What a database's driver complains of, as errors of ours: what happened and what to do."""

from __future__ import annotations

from sqlalchemy import exc

from homeostat.core.errors import Conflict, Corrupt, HomeostatError, InvalidInput, StorageFull, Unavailable


def told(error: exc.DBAPIError) -> BaseException:
    """What whoever asked for the write is told: that a constraint does not hold as it is, as they know its meaning."""
    return error if isinstance(error, exc.IntegrityError) else translate(error)


def may_succeed_again(error: exc.DBAPIError) -> bool:
    """True when nothing was wrong with the statement: the connection broke, or another process was in the way."""
    deadlock, serialisation, locked = "40P01", "40001", "55P03"
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in (deadlock, serialisation, locked)


def too_large(error: OverflowError) -> InvalidInput:
    """A number beyond what a column holds, as SQLite's driver says it; PostgreSQL's has a DataError."""
    return InvalidInput(f"a number is too large to be kept: {error}", hint="whole numbers have 64 bits here")


def translate(error: exc.DBAPIError) -> HomeostatError:
    """A database driver's complaint as one of ours: what happened and what to do."""
    text = str(error.orig)
    low = text.lower()
    if "disk is full" in low or "no space left" in low or "disk i/o error" in low or "could not extend file" in low:
        return StorageFull(f"the database cannot grow: {text}", hint="free some disk space; nothing answered is lost")
    if "malformed" in low or "not a database" in low or "corrupt" in low:
        return Corrupt(f"the database is damaged: {text}", hint="`homeostat doctor`, then `homeostat restore BACKUP`")
    if "locked" in low or "could not connect" in low or "connection" in low or "timeout" in low:
        return Unavailable(f"the database does not answer: {text}", hint="is another process holding it? try again")
    if "readonly" in low or "read-only" in low or "unable to open" in low:
        return Unavailable(f"the database cannot be opened for writing: {text}", hint="check the folder's permissions")
    if isinstance(error, exc.DataError):
        return InvalidInput(f"a value cannot be kept: {text}")
    if isinstance(error, exc.IntegrityError):
        return Conflict(f"the change contradicts what is stored: {text}")
    return HomeostatError(f"the database refused a statement: {text}")
