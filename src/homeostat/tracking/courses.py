"""Metrics by step, one point for each: what charts and histories show, in columns.

Of several points of one step the one of the latest time counts, of one time the greatest.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from operator import lt
from typing import TYPE_CHECKING

from homeostat.core import statements
from homeostat.tracking.codec import decode_chunk, decode_journal

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.tracking.codec import Columns

_CHUNKS = "select payload from tracking_chunk where run_seq = ? and key = ? order by no"
_JOURNAL = "select payload from tracking_journal where run_seq = ? order by id"


def courses(c: sa.Connection, seq: int, keys: list[str]) -> dict[str, Columns]:
    """Steps in rising order, times and values of each of `keys` that the run has logged."""
    found: dict[str, Columns] = defaultdict(_nothing)
    wanted = set(keys)
    for key in wanted:
        for (payload,) in statements.rows(c, _CHUNKS, (seq, key)):
            whole, part = found[key], decode_chunk(payload)
            whole[0].extend(part[0])
            whole[1].extend(part[1])
            whole[2].extend(part[2])
    for (payload,) in statements.rows(c, _JOURNAL, (seq,)):
        for key, step, at_ms, value in decode_journal(payload):
            if key in wanted:
                steps, times, values = found[key]
                steps.append(step)
                times.append(at_ms)
                values.append(value)
    return {key: _by_step(found[key]) for key in keys if key in found}


def _nothing() -> Columns:
    return array("q"), array("q"), array("d")


def _by_step(columns: Columns) -> Columns:
    steps, times, values = columns
    # Mostly they come in their order and once, which is seen faster than it is brought about.
    if all(map(lt, steps, steps[1:])):
        return columns
    newest: dict[int, int] = {}
    for at in sorted(range(len(steps)), key=lambda at: (times[at], values[at] if values[at] == values[at] else 0.0)):
        newest[steps[at]] = at
    kept = [at for _, at in sorted(newest.items())]
    return (
        array("q", [steps[at] for at in kept]),
        array("q", [times[at] for at in kept]),
        array("d", [values[at] for at in kept]),
    )
