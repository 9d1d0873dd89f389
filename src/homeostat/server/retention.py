"""The policy of how long things are kept, applied from time to time while the server runs."""

from __future__ import annotations

import logging
import threading

from homeostat.core.context import acting_as
from homeostat.core.errors import Conflict
from homeostat.core.gc import Garbage
from homeostat.core.retention import LONGEST_DAYS, keep_of
from homeostat.core.workspace import Workspace

log = logging.getLogger("homeostat.server")

# Not at once: whoever has set a wrong policy, or starts a server for a moment, has time to think better of it.
_FIRST_S, _EVERY_S = 600.0, 6 * 3600.0
_BREATH_S = 0.02  # between two transactions: requests go first


class _Stopped(Exception):
    """The server ends."""


class RetentionThread:
    """A thread beside the housekeeping, which must not wait for it. Of several servers one does it at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="homeostat-retention", daemon=True)

    def start(self) -> None:
        keep_of(self._workspace.settings)  # a policy that cannot be meant is told at start
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def apply(self) -> Garbage | None:
        """Erase what the policy keeps no longer; None where nobody declared one, or somebody else is at it.

        What was deleted is erased only if `keep_deleted_days` says so.
        """
        from homeostat.tracking import erase, has_rules

        keep = keep_of(self._workspace.settings)
        if keep.nothing and not has_rules(self._workspace):
            return None
        try:
            with acting_as("retention"):
                return erase(
                    self._workspace, keep.deleted_days or LONGEST_DAYS, progress=self._go_on, sweep_always=False
                )
        except (Conflict, _Stopped):
            return None

    def _go_on(self, _: str) -> None:
        if self._stop.wait(_BREATH_S):
            raise _Stopped

    def _run(self) -> None:
        wait_s = _FIRST_S
        while not self._stop.wait(wait_s):
            wait_s = _EVERY_S
            try:
                done = self.apply()
            except Exception:  # what fails today is tried again
                log.exception("retention")
                continue
            if done is not None and sum(done.erased.values()):
                log.info("erased by the policy: %s", done.erased)
