"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

from homeostat.core.clock import now_ms

_DAY_MS = 86_400_000


def from_iso(text: str) -> int:
    """Milliseconds since 1970 of a date or time in ISO 8601; UTC where it names no zone. Raises ValueError.

    >>> from_iso("1970-01-02"), from_iso("1970-01-01T01:00:00.5+01:00")
    (86400000, 500)
    """
    when = datetime.fromisoformat(text.strip())
    try:
        return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
    except OverflowError:
        raise ValueError(text) from None


def now() -> int:
    """This moment."""
    return now_ms()


def today() -> int:
    """When this day began, UTC."""
    return now_ms() // _DAY_MS * _DAY_MS
