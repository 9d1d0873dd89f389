"""Points that wait: what comes alone is appended to one narrow table at first, and put in its place later.

To put a point where lists, searches and histories look for it changes half a dozen pages of the database; to append
it, one. An appended point is on disk like any other. It is settled before anybody reads (`Database.read`, in whatever
process), and by the server within a second. In what order does not matter: what is kept of a series is the same
whatever comes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from homeostat.core import statements
from homeostat.tracking.codec import Journalled, decode_journal, encode_journal
from homeostat.tracking.folding import FOLD_AT
from homeostat.tracking.metrics import put_points, summarised, tell, told_long_ago

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.core.workspace import Workspace

# On PostgreSQL one at a time settles: who finds rows that another is at waits for them to be in their place.
_TURN = "select pg_advisory_xact_lock(4701003)"
# Changes a row where the run is there. Of a payload and the id of a run.
APPEND = (
    "insert into tracking_inbox (run_seq, payload)"
    " select seq, ? from tracking_run where id = ? and lifecycle = 'active'"
)


def append(c: sa.Connection, come: Sequence[tuple[str, list[Journalled]]]) -> set[str]:
    """Let points of runs wait, within the open transaction; the ids of those runs that are there and active."""
    return {run_id for run_id, points in come if statements.change(c, APPEND, (encode_journal(points), run_id))}


def settle(ws: Workspace, c: sa.Connection) -> list[int]:
    """Put all points that wait in their place, within the open transaction; the runs whose journal is to be folded."""
    if c.dialect.name == "postgresql":
        statements.change(c, _TURN)
    by_run: dict[int, list[Journalled]] = defaultdict(list)
    for seq, payload in statements.rows(c, "delete from tracking_inbox returning run_seq, payload"):
        by_run[seq].extend(decode_journal(payload))
    full: list[int] = []
    # In the order of their numbers, so that two processes lock rows in the same order.
    for seq, points in sorted(by_run.items()):
        found = statements.rows(
            c,
            "update tracking_run set pending = pending + ? where seq = ? returning id, pending, told_ms",
            (len(points), seq),
        )
        if not found:  # erased since
            continue
        run_id, pending, told_ms = found[0]
        put_points(c, seq, encode_journal(points), summarised(points))
        if told_long_ago(told_ms):
            tell(ws, c, run_id, seq)
        if pending >= FOLD_AT:
            full.append(seq)
    return full
