"""Labelled points at which a test may end the process, as a power cut would.

`HOMEOSTAT_FAULT=name` kills the process (SIGKILL to itself, no clean-up) the first time `fault("name")` is passed;
`name:3` the third time. Unset, which is always outside tests, the call is one comparison.
"""

from __future__ import annotations

import os
import signal

_armed = os.environ.get("HOMEOSTAT_FAULT", "")
_name, _, _count = _armed.partition(":")
_left = int(_count or 1) if _armed else 0


def fault(name: str) -> None:
    """Die here if this point is armed."""
    global _left
    if _left and name == _name:
        _left -= 1
        if not _left:
            os.kill(os.getpid(), signal.SIGKILL)
