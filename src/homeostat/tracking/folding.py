"""Folding: points leave the journal for compressed chunks, in small transactions that no writer waits for.

A pass takes the oldest rows of one run's journal, makes a chunk of each key's points, and in one transaction puts these
and deletes exactly those rows: whoever is killed in between has changed nothing, and of two that fold the same rows
one gives up. What is read and compressed is read and compressed outside of that transaction. A chunk is joined with the
one before it while that is no longer than itself, so a point is compressed a few times at most, however slowly the
points come.
"""

from __future__ import annotations

import logging
import threading
import time
from array import array
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from homeostat.core.errors import Conflict, NotFound
from homeostat.core.faults import fault
from homeostat.core.statements import change, change_many, rows
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.codec import CHUNK_POINTS, decode_chunk, decode_journal, encode_chunk

if TYPE_CHECKING:
    from homeostat.tracking.codec import Columns

FOLD_AT = 32_768  # points waiting in the journal of one run
# One pass: what its transaction deletes, and what it holds in memory.
_ROWS, _BYTES = 2048, 1 << 20
_BREATH_S = 0.0002

_MOST_SOON = 10_000

log = logging.getLogger("homeostat.tracking")

_at_work: set[tuple[int, int]] = set()
# Ended runs that are to be folded, the first being at it.
_soon: deque[tuple[Workspace, str]] = deque()
_lock = threading.Lock()


class _Taken(NamedTuple):
    """What one pass works on: journal rows, and of each key the chunks at its end that are to be joined."""

    rows: list[tuple[int, bytes]]
    ends: dict[str, list[tuple[int, int]]]


class _Gone(NamedTuple):
    """Chunks that others take the place of: of a key those from a number on, how many, and their points."""

    key: str
    first: int
    chunks: int
    points: int


def fold(ws: Workspace, run_id: str) -> int:
    """Move a run's journal into chunks; the points moved. Nothing is lost or doubled if another process does the same.

    0 as well while another thread is folding this run.
    """
    return fold_seq(ws, ws.db.read(lambda c: store.seq_of(c, run_id)))


def fold_soon(ws: Workspace, run_id: str) -> None:
    """As `fold`, when nothing else is to be written, one run after another.

    Where very many wait already, it is left to the server, which folds what stays in the journal (`idle.py`).
    """
    with _lock:
        if len(_soon) >= _MOST_SOON:
            return
        _soon.append((ws, run_id))
        if len(_soon) > 1:
            return
    threading.Thread(target=_fold_all, name="homeostat-folding", daemon=True).start()


def _fold_all() -> None:
    while True:
        ws, run_id = _soon[0]
        try:
            if not ws.db.closed:
                with ws.db.behind():
                    fold(ws, run_id)
        except NotFound:  # erased since
            pass
        except Exception:  # those behind it are folded all the same, and this one later
            if not ws.db.closed:
                log.exception("run %s is not folded yet", run_id)
        finally:
            with _lock:
                _soon.popleft()
                done = not _soon
        if done:
            return


def fold_seq(ws: Workspace, seq: int) -> int:
    """As `fold`, of the run with this internal number."""
    mine = (id(ws.db), seq)
    with _lock:
        if mine in _at_work:
            return 0
        _at_work.add(mine)
    moved = 0
    try:
        while some := _pass(ws, seq):
            moved += some
        _join(ws, seq)
    except Conflict:  # another process folds this run
        pass
    finally:
        with _lock:
            _at_work.discard(mine)
    return moved


def _pass(ws: Workspace, seq: int) -> int:
    taken = ws.db.read(lambda c: _taken(c, seq))
    if not taken.rows:
        return 0
    fresh: dict[str, Columns] = defaultdict(_nothing)
    for _, payload in taken.rows:
        for key, step, at_ms, value in decode_journal(payload):
            steps, times, values = fresh[key]
            steps.append(step)
            times.append(at_ms)
            values.append(value)
    moved = sum(len(columns[0]) for columns in fresh.values())
    made: list[tuple[Any, ...]] = []
    gone: list[_Gone] = []
    for key, columns in sorted(fresh.items()):
        before = len(columns[0])
        joined, first, chunks = _joined(ws, seq, key, columns, taken.ends.get(key, []))
        gone += [_Gone(key, first, len(chunks), len(joined[0]) - before)] if chunks else []
        made += _chunks(seq, key, first, joined)

    def swap(c: sa.Connection) -> None:
        fault("fold")
        _delete_rows(c, seq, [row for row, _ in taken.rows])
        _replace(c, seq, gone, made)
        change(c, "update tracking_run set pending = pending - ? where seq = ?", (moved, seq))
        fault("folded")

    ws.db.write(swap)
    return moved


def _nothing() -> Columns:
    return array("q"), array("q"), array("d")


def _taken(c: sa.Connection, seq: int) -> _Taken:
    sizes = "select id, length(payload) from tracking_journal where run_seq = ? order by id limit ?"
    last = size = 0
    for row, length in rows(c, sizes, (seq, _ROWS)):
        last, size = row, size + length
        if size >= _BYTES:
            break
    payloads = "select id, payload from tracking_journal where run_seq = ? and id <= ? order by id"
    taken = rows(c, payloads, (seq, last))
    return _Taken(taken, _ends(c, seq) if taken else {})


def _ends(c: sa.Connection, seq: int) -> dict[str, list[tuple[int, int]]]:
    """Of each key its chunks, number and points, in order."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, no, points in rows(c, "select key, no, points from tracking_chunk where run_seq = ? order by no", (seq,)):
        found[key].append((no, points))
    return found


def _joined(
    ws: Workspace, seq: int, key: str, fresh: Columns, ends: list[tuple[int, int]], everything: bool = False
) -> tuple[Columns, int, list[int]]:
    """`fresh` behind the chunks it is joined with; the number of the first of those, or the next free; all numbers."""
    points, chunks = len(fresh[0]), list[int]()
    for no, held in reversed(ends):
        if held >= CHUNK_POINTS or (held > points and not everything):
            break
        points += held
        chunks.insert(0, no)
    if not chunks:
        return fresh, ends[-1][0] + 1 if ends else 0, []
    where = "run_seq = ? and key = ? and no between ? and ?"
    query = f"select payload from tracking_chunk where {where} order by no"  # noqa: S608 - written here
    payloads = ws.db.read(lambda c: rows(c, query, (seq, key, chunks[0], chunks[-1])))
    whole = _nothing()
    for columns in [*(decode_chunk(payload) for (payload,) in payloads), fresh]:
        whole[0].extend(columns[0])
        whole[1].extend(columns[1])
        whole[2].extend(columns[2])
    if len(whole[0]) != points:
        raise Conflict("another process joined these chunks")
    return whole, chunks[0], chunks


def _chunks(seq: int, key: str, no: int, columns: Columns) -> list[tuple[Any, ...]]:
    made: list[tuple[Any, ...]] = []
    for start in range(0, len(columns[0]), CHUNK_POINTS):
        part = slice(start, start + CHUNK_POINTS)
        steps, times, values = columns[0][part], columns[1][part], columns[2][part]
        made.append((seq, key, no + len(made), len(steps), encode_chunk((steps, times, values))))
        time.sleep(_BREATH_S)  # whoever waits for the interpreter goes first
    return made


def _join(ws: Workspace, seq: int) -> None:
    """Join what passes left in several short chunks at the end of a key."""
    for key, ends in sorted(ws.db.read(lambda c: _ends(c, seq)).items()):
        if len(ends) < 2 or max(ends[-1][1], ends[-2][1]) >= CHUNK_POINTS:
            continue
        joined, first, chunks = _joined(ws, seq, key, _nothing(), ends, everything=True)
        made = _chunks(seq, key, first, joined)
        gone = [_Gone(key, first, len(chunks), len(joined[0]))]
        ws.db.write(lambda c, made=made, gone=gone: _replace(c, seq, gone, made))


def _delete_rows(c: sa.Connection, seq: int, ids: list[int]) -> None:
    """Delete exactly these journal rows, or none. Raises Conflict."""
    if c.dialect.name == "postgresql":
        # By number: a row between them may have been committed after they were read. Who finds some held, gives up.
        held = "select id from tracking_journal where id = any(?) for update skip locked"
        if len(rows(c, held, (ids,))) != len(ids):
            raise Conflict("another process folds this run")
        gone = change(c, "delete from tracking_journal where id = any(?)", (ids,))
    else:
        where = "run_seq = ? and id between ? and ?"
        gone = change(c, f"delete from tracking_journal where {where}", (seq, ids[0], ids[-1]))  # noqa: S608 - above
    if gone != len(ids):
        raise Conflict("another process folded this run")


def _replace(c: sa.Connection, seq: int, gone: list[_Gone], made: list[tuple[Any, ...]]) -> None:
    """Put chunks in place of others, which are those that were read. Raises Conflict."""
    delete = "delete from tracking_chunk where run_seq = ? and key = ? and no >= ? returning points"
    for key, first, chunks, points in gone:
        there = [held for (held,) in rows(c, delete, (seq, key, first))]
        # Points are only ever added: as many of them are the same ones, in whatever chunks.
        if (len(there), sum(there)) != (chunks, points):
            raise Conflict("another process folded this run")
    change_many(c, "insert into tracking_chunk (run_seq, key, no, points, payload) values (?, ?, ?, ?, ?)", made)
