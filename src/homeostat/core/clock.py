"""Wall time, in one unit: milliseconds since 1970 UTC.

Verbs that judge history take `at_ms` themselves, so that a year can be replayed in minutes;
nothing here pretends to be another time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from homeostat.core.errors import InvalidInput

# The year 6429. What is later was counted in another unit (microseconds, nanoseconds) or is a slip, and whatever
# goes through time in steps would never come to its end.
LATEST_MS = (1 << 47) - 1


def now_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """`ms` as ISO 8601 in UTC, to the second.

    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def checked_ms(ms: int, name: str) -> int:
    """`ms` when it can be a time in milliseconds. Raises: InvalidInput, with the `name` it was given under.

    >>> checked_ms(1_357_016_400_000, "at_ms")
    1357016400000
    """
    if not 0 <= ms <= LATEST_MS:
        raise InvalidInput(f"{name} {ms} is no time", hint="times are milliseconds since 1970 UTC, up to the year 6429")
    return ms
