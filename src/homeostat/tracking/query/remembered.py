"""Values of all runs, remembered between searches: what would be looked up for each run again each time.

A value is kept by the numbers of runs: numbers as they compare (NaN where a run lacks it), texts as the numbers of
different texts. Before it is used, what changed since it was read is read anew (`changes.py`), on the snapshot of the
search: an answer is never older than that. What is used least goes first when all are too much. There is nothing of
this where runs are few: then databases are as quick.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import compress, count, repeat
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from homeostat.core.statements import among, each, rows
from homeostat.tracking.changes import Mark, changed_since, mark
from homeostat.tracking.query.sql import EXPERIMENT, JOINED, RUN, TABLES, Writer, places
from homeostat.tracking.query.tree import Arithmetic, Compare, Constant, Metric, Param, Property, Tag, Value

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.core.db import Database
    from homeostat.core.workspace import Workspace

# Of fewer runs nothing is remembered; more changed ones than these are read as all are.
_MANY, _MOST_ANEW = 10_000, 20_000
_MOST_ASKED = 1000
# What is remembered of a database in one process, in bytes, and of what is looked for in texts, of each beside its own.
_BUDGET, _OF_TEXT = 64 << 20, 120
_COMPARED = {"==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_COMPUTED = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Texts(NamedTuple):
    """`texts[codes[seq]]` is the text of the run `seq`; the code is -1 where there is none."""

    codes: array[int]
    texts: list[str]
    known: dict[str, int]


class _Kept(NamedTuple):
    column: Any
    mark: Mark
    size: int


class _Memory:
    """What is remembered of a database."""

    def __init__(self) -> None:
        self.lock = Lock()
        # By their sort too: a parameter and a tag of one key are the same tuple.
        self.kept: OrderedDict[tuple[type, Value], _Kept] = OrderedDict()
        self.asked: OrderedDict[tuple[type, Value], None] = OrderedDict()  # but not remembered so far

    def keep(self, value: Value, kept: _Kept) -> None:
        self.kept[type(value), value] = kept
        self.kept.move_to_end((type(value), value))
        spent = sum(one.size for one in self.kept.values())
        while spent > _BUDGET:
            spent -= self.kept.popitem(last=False)[1].size


_memories: WeakKeyDictionary[Database, _Memory] = WeakKeyDictionary()
_turn = Lock()


class Columns:
    """The remembered values as of one snapshot, on which they are brought up to date and read."""

    def __init__(self, c: sa.Connection, memory: _Memory, highest: int) -> None:
        self._c, self._memory, self._highest = c, memory, highest
        self._here: dict[tuple[type, Value], Any] = {}
        self._told: set[tuple[Compare, bool]] = set()

    @staticmethod
    def of(ws: Workspace, c: sa.Connection) -> Columns | None:
        """What is remembered of the workspace; None where runs are few or far too many, and inside a write, of which
        all may be taken back."""
        highest = rows(c, "select coalesce(max(seq), 0) from tracking_run")[0][0]
        if not _MANY <= highest <= _BUDGET // 64 or c.engine is not ws.db.reader:
            return None
        with _turn:
            memory = _memories.setdefault(ws.db, _Memory())
        return Columns(c, memory, highest)

    def numbers(self, value: Value) -> array[float]:
        """`value`, of which `remembers` and which is a number or a time, by the number of the run."""
        return self._column(value)

    def texts(self, value: Value) -> Texts:
        """`value`, of which `remembers` and which is a text, by the number of the run."""
        return self._column(value)

    def having(self, value: Value) -> set[int]:
        """The numbers of the runs that have `value`, of which `remembers`."""
        if value.kind == "text":
            return set(compress(count(), map((-1).__lt__, self.texts(value).codes)))
        numbers = self.numbers(value)
        return set(compress(count(), map(operator.eq, numbers, numbers)))

    def remembers(self, value: Value) -> bool:
        """Whether `value` is remembered, or asked for once more: then it will be. It is one that may be."""
        key = type(value), value
        if key in self._here:
            return True
        with self._memory.lock:
            if key in self._memory.kept or key in self._memory.asked:
                return True
            self._memory.asked[key] = None
            if len(self._memory.asked) > _MOST_ASKED:
                self._memory.asked.popitem(last=False)
        return False

    def knows(self, node: Compare) -> bool:
        """Whether `node` compares one such value, which it `remembers`, with a constant: texts for being equal."""
        if (node, False) in self._told or (node, True) in self._told:
            return (node, True) in self._told
        values = [value for value in (node.left, node.right) if not isinstance(value, Constant)]
        fits = len(values) == 1 and remembers(values[0]) and (values[0].kind != "text" or node.operator == "==")
        told = fits and self.remembers(values[0])
        self._told.add((node, told))
        return told

    def holds(self, node: Compare) -> set[int]:
        """The numbers of the runs of which `node`, of which `remembers_of` or which it `knows`, holds."""
        if node.left.kind == "text":
            of, constant = (node.left, node.right) if isinstance(node.right, Constant) else (node.right, node.left)
            codes, _, known = self.texts(of)
            code = known.get(str(cast("Constant", constant).value))
            return set() if code is None else set(compress(count(), map(code.__eq__, codes)))
        left, right = self._vector(node.left), self._vector(node.right)
        return set(compress(count(), map(_COMPARED[node.operator], left, right)))

    def _vector(self, value: Value) -> Iterable[float]:
        if isinstance(value, Constant):
            return repeat(cast("float", value.value), self._highest + 1)  # texts are not compared here (`remembers_of`)
        if not isinstance(value, Arithmetic):
            return self.numbers(value)
        left, right = (_floats(self._vector(side)) for side in (value.left, value.right))
        if value.operator == "/":
            return [a / b if b else math.nan for a, b in zip(left, right, strict=True)]
        return map(_COMPUTED[value.operator], left, right)

    def _column(self, value: Value) -> Any:
        key = type(value), value
        if key not in self._here:
            with self._memory.lock:
                self._here[key] = self._up_to_date(value)
        return self._here[key]

    def _up_to_date(self, value: Value) -> Any:
        kept = self._memory.kept.get((type(value), value))
        if kept is not None:
            here, changed = changed_since(self._c, kept.mark)
            if not here.sees(kept.mark):  # another search has seen more since this one began
                return self._read(value, None, None)
            if changed is not None and len(changed) <= _MOST_ANEW:
                column = self._read(value, kept.column, changed)
                size = kept.size if column is kept.column else _size(column)
                self._memory.keep(value, _Kept(column, here, size))
                return column
        here = mark(self._c)
        column = self._read(value, None, None)
        self._memory.keep(value, _Kept(column, here, _size(column)))
        return column

    def _read(self, value: Value, old: Any, changed: set[int] | None) -> Any:
        """The column as it is now: as it was but for the runs that `changed`, or all of it. `old` is left as it is."""
        text = value.kind == "text"
        if old is not None and not changed and len(old.codes if text else old) == self._highest + 1:
            return old
        missing = array("i", [-1]) if text else array("d", [math.nan])
        cells: Any = missing[:0] if old is None else (old.codes if text else old)
        cells = cells + missing * (self._highest + 1 - len(cells))
        for seq in changed or ():
            if seq <= self._highest:
                cells[seq] = missing[0]
        found = self._found(value, changed)
        if not text:
            for seq, number in found:
                cells[seq] = number
            return cells
        column = Texts(cells, [], {}) if old is None else old._replace(codes=cells)
        for seq, one in found:
            code = column.known.get(one)
            if code is None:
                column.texts.append(one)
                code = column.known[one] = len(column.texts) - 1
            cells[seq] = code
        return column

    def _found(self, value: Value, only: set[int] | None) -> Iterator[Any]:
        """Number and value of all runs that have it, or of some."""
        c = self._c
        if only is not None and not only:
            return iter(())
        (at,) = places(value)
        sql, bound = Writer(c.dialect.name == "postgresql").value(value, at)
        if value.kind != "text":
            sql = f"cast({sql} as double precision)"
        seq, source = ("r.seq", "tracking_run r") if at == RUN else ("x.run_seq", f"{TABLES[at.table]} x")
        key, keys = ("", []) if at == RUN else (" and x.key = ?", [at.key])
        these, chosen = ("", []) if only is None else among(c, sorted(only))
        which = f" and {seq} {these}" if only is not None else ""
        return each(
            c,
            f"select {seq}, {sql} from {source} where {sql} is not null and {seq} <= ?{key}{which}",  # noqa: S608 - names of this package; values are bound
            [*bound, *bound, self._highest, *keys, *chosen],
        )


def remembers(value: Value) -> bool:
    """Whether `value` may be remembered: it is of the run alone, and decided."""
    if not isinstance(value, Param | Tag | Metric | Property) or value.kind == "either":
        return False
    return not places(value) & {EXPERIMENT, JOINED}  # an experiment's name changes for many runs at once


def remembers_of(node: Any) -> bool:
    """Whether `node` compares numbers of several values, all of which may be remembered."""
    if not isinstance(node, Compare) or node.left.kind == "text":
        return False
    found = [*_operands(node.left), *_operands(node.right)]
    return len(found) > 1 and all(map(remembers, found))


def _operands(value: Value) -> list[Value]:
    if isinstance(value, Arithmetic):
        return [*_operands(value.left), *_operands(value.right)]
    return [] if isinstance(value, Constant) else [value]


def _floats(values: Iterable[float]) -> Iterable[float]:
    # What is written as a whole number is computed with as the databases do it.
    return map(float, values) if isinstance(values, repeat) else values


def _size(column: Any) -> int:
    if isinstance(column, Texts):
        return 4 * len(column.codes) + sum(map(len, column.texts)) + _OF_TEXT * len(column.texts)
    return 8 * len(column)
