"""Histories that were just read, kept for the next page of them.

A client reads a long history in pages, each of which needs the whole of it in order. What was decoded last is kept as
long as no point is added; a few hundred thousand points at most.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import sqlalchemy as sa

from homeostat.core.statements import rows
from homeostat.tracking.codec import Point
from homeostat.tracking.metrics import points_of

_WORTH, _MOST = 2_000, 400_000

_kept: OrderedDict[tuple[Any, ...], list[Point]] = OrderedDict()
_lock = threading.Lock()


def history(c: sa.Connection, seq: int, key: str) -> list[Point]:
    """As `points_of`; not to be changed by who gets it."""
    found = rows(c, "select points from tracking_series where run_seq = ? and key = ?", (seq, key))
    if not found:
        return []
    # The count only grows, with every point that comes: the same count is the same history.
    at = (str(c.engine.url), seq, key, found[0][0])
    with _lock:
        if at in _kept:
            _kept.move_to_end(at)
            return _kept[at]
    points = points_of(c, seq, key)
    if _WORTH <= len(points) <= _MOST:
        with _lock:
            _kept[at] = points
            while sum(map(len, _kept.values())) > _MOST:
                _kept.popitem(last=False)
    return points
