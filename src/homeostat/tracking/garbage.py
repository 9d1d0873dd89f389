"""What was deleted, or has grown old, is erased at last: `homeostat gc`, and the server from time to time."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core import gc
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.events import publish
from homeostat.core.retention import keep_of
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking.model import GarbageCollected

_HOUR_MS = 3_600_000
DELETED_DAYS, GRACE_HOURS = 30.0, 24.0


@verb(permission="tracking:admin")
def collect_garbage(
    ws: Workspace, deleted_days: float | None = None, grace_hours: float = GRACE_HOURS, dry_run: bool = False
) -> gc.Garbage:
    """Erase what was deleted long ago, what is older than the policy keeps, and bytes that nothing names any more.

    What was deleted less than `deleted_days` ago can be restored and stays whole (None: as the setting
    `keep_deleted_days` says, 30 without it); so does a run that a registered version names, and a version that is
    deployed. How long other things are kept is a matter of the settings `keep_…_days` and of `set_retention`. Bytes go
    when nothing named them and nobody put them in the last `grace_hours`, which must cover the longest upload.
    `dry_run` counts, and changes nothing.

    Raises: InvalidInput for less than 0 days or 1 hour; Conflict while another one, or a backup, is at work.
    """
    return erase(ws, deleted_days, grace_hours, dry_run)


def erase(
    ws: Workspace,
    deleted_days: float | None = None,
    grace_hours: float = GRACE_HOURS,
    dry_run: bool = False,
    progress: gc.Progress = lambda _: None,
    sweep_always: bool = True,
) -> gc.Garbage:
    """As `collect_garbage`; `progress` is told what is done, often, and ends it there by raising.

    Without `sweep_always` bytes are looked through only if something was erased before, which may have named some.
    """
    keep = keep_of(ws.settings)
    days = (keep.deleted_days or DELETED_DAYS) if deleted_days is None else deleted_days
    if not (0 <= days <= 36_500 and 1 <= grace_hours <= 876_000):
        raise InvalidInput(
            f"{days} days and {grace_hours} hours", hint="at least 0 days and 1 hour, at most a hundred years"
        )
    asked = gc.Asked(
        deleted_ms=now_ms() - int(days * 24 * _HOUR_MS), grace_ms=int(grace_hours * _HOUR_MS), keep=keep,
        dry_run=dry_run, sweep_always=sweep_always,
    )  # fmt: skip
    done = gc.Done()
    try:
        return gc.collect(ws, asked, progress, done)
    finally:
        # Also of what was broken off.
        if not dry_run and (any(done.erased.values()) or done.blobs):

            def tell(c: sa.Connection) -> None:
                publish(ws, c, GarbageCollected(erased=done.erased, blobs=done.blobs, bytes=done.bytes))

            ws.db.write(tell)
