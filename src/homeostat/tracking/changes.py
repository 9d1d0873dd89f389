"""Which runs changed since an earlier look: the database tells, whoever changed them, in whatever process.

Triggers append a row to `tracking_change` with every change of a run, its parameters, tags, points, datasets and
models, in the transaction of the change (`triggers.py`). Whoever keeps something made of runs asks for those that
changed between the snapshot it was made of and the one at hand, and makes that anew; everything else still holds.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     first = ws.db.read(mark)
    ...     run = ws.tracking.create_run()
    ...     second, changed = ws.db.read(lambda c: changed_since(c, first))
    ...     ws.db.read(lambda c: changed_since(c, second))[1], len(changed or ()), second.sees(first)
    (set(), 1, True)

On SQLite, where one transaction follows another, changes are counted. On PostgreSQL they carry their transaction's
number, and a mark is a whole snapshot, as transactions end in another order than they begin: exactly what that snapshot
did not see is told. What is read inside a write (`Database.read` joins it) may be taken back: keep nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from homeostat.core.statements import ahead, change, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from homeostat.core.workspace import Workspace

# So many rows are kept at least; every minute the server looks whether there are twice as many.
KEPT = 100_000
LOOK_S = 60

_OF_POSTGRES = "select txid_current_snapshot()::text"
_SINCE = (
    f"{_OF_POSTGRES}, array(select distinct run_seq from tracking_change where stamp >= ?"  # noqa: S608 - written here
    " and (run_seq = 0 or not txid_visible_in_snapshot(stamp, cast(? as txid_snapshot))))"
)


class Mark(NamedTuple):
    """What a snapshot sees: all changes below `low`, of those from there to below `high` all but `open`."""

    low: int
    high: int
    open: frozenset[int] = frozenset()
    text: str = ""

    def sees(self, other: Mark) -> bool:
        """Whether it sees all that `other` does: of two marks of one database at least one sees the other."""
        return self.high >= other.high and all(one >= other.high or one in other.open for one in self.open)


def mark(c: sa.Connection) -> Mark:
    """The mark of the snapshot at hand."""
    if c.dialect.name == "postgresql":
        return _mark_of(rows(c, _OF_POSTGRES)[0][0])
    return _counted(rows(c, "select coalesce(max(stamp), 0) from tracking_change")[0][0])


def changed_since(c: sa.Connection, since: Mark) -> tuple[Mark, set[int] | None]:
    """The mark of the snapshot at hand, and the numbers of the runs that changed between that of `since` and it.

    Runs that came or went are among them. None instead where that is not known any more: then any may have changed.
    If the snapshot at hand is the older one (see `Mark.sees`), what is told means nothing.
    """
    return changed_ahead(c, since)()


def changed_ahead(c: sa.Connection, since: Mark | None) -> Callable[[], tuple[Mark, set[int] | None]]:
    """What gives the mark of the snapshot at hand and what `changed_since` tells of it, None without a mark.

    On PostgreSQL it is asked along with what is asked next, on SQLite when it is called.
    """
    if c.dialect.name != "postgresql":
        return lambda: (mark(c), None) if since is None else _changed_here(c, since)
    found = ahead(c, _OF_POSTGRES) if since is None else ahead(c, _SINCE, (since.low, since.text))

    def told() -> tuple[Mark, set[int] | None]:
        text, *changed = found()[0]
        return _mark_of(text), _known(*changed) if changed else None

    return told


def _changed_here(c: sa.Connection, since: Mark) -> tuple[Mark, set[int] | None]:
    here = mark(c)
    return here, _known(
        [seq for (seq,) in rows(c, "select run_seq from tracking_change where stamp >= ?", (since.low,))]
    )


def _known(seqs: list[int]) -> set[int] | None:
    changed = set(seqs)
    return None if 0 in changed else changed


def trim(c: sa.Connection, kept: int = KEPT) -> int:
    """Erase the oldest changes but for `kept` of them, within the open transaction; how many have gone.

    Whoever asks for what changed since before them is told that this is not known.
    """
    last = rows(c, "select stamp from tracking_change order by stamp desc limit 1 offset ?", (kept,))
    if not last:
        return 0
    gone = change(c, "delete from tracking_change where stamp <= ?", last[0])
    change(c, "insert into tracking_change (stamp, run_seq) values (?, 0) on conflict do nothing", last[0])
    return gone


class OldChanges:
    """The old changes of a workspace, erased by its server."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._looked = float("-inf")

    def trim_due(self, now_s: float) -> int:
        """Where there are twice as many as are kept, erase those too many; a look every minute, by a clock that only
        goes on. How many have gone."""
        if now_s - self._looked < LOOK_S:
            return 0
        self._looked = now_s
        many = "select 1 from tracking_change limit 1 offset ?"
        if not self._ws.db.look(lambda c: rows(c, many, (2 * KEPT,))):
            return 0
        return self._ws.db.write(trim)


def _counted(stamp: int) -> Mark:
    return Mark(stamp + 1, stamp + 1)


def _mark_of(text: str) -> Mark:
    low, high, running = text.split(":")
    return Mark(int(low), int(high), frozenset(map(int, running.split(","))) if running else frozenset(), text)
