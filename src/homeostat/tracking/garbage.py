"""What was deleted is erased at last: `homeostat gc`."""

from __future__ import annotations

from homeostat.core import gc
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace

_HOUR_MS = 3_600_000


@verb(permission="tracking:admin")
def collect_garbage(
    ws: Workspace, deleted_days: float = 30, grace_hours: float = 24, dry_run: bool = False
) -> gc.Garbage:
    """Erase runs, experiments and models that were deleted long ago, and bytes that nothing names any more.

    What was deleted less than `deleted_days` ago can be restored and stays whole; so does a run that a registered
    version names, and a version that is deployed. Bytes go when nothing named them and nobody put them in the last
    `grace_hours`, which must cover the longest upload. `dry_run` counts, and changes nothing.

    Raises: InvalidInput for less than 0 days or 1 hour; Conflict while another one, or a backup, is at work.
    """
    if not (0 <= deleted_days <= 36_500 and 1 <= grace_hours <= 876_000):
        raise InvalidInput(
            f"{deleted_days} days and {grace_hours} hours", hint="at least 0 days and 1 hour, at most a hundred years"
        )
    return gc.collect(ws, now_ms() - int(deleted_days * 24 * _HOUR_MS), int(grace_hours * _HOUR_MS), dry_run)
