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
from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import compress, filterfalse, repeat
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from homeostat.core.statements import rows
from homeostat.tracking.changes import Mark, changed_ahead, changed_since, mark
from homeostat.tracking.query.loading import bodies_of, values_of
from homeostat.tracking.query.masks import Mask
from homeostat.tracking.query.sql import EXPERIMENT, JOINED, places
from homeostat.tracking.query.tree import Arithmetic, Compare, Constant, Metric, Param, Property, Tag, Value, Word
from homeostat.tracking.query.words import experiments_sql, looked_for, statuses_with

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.core.db import Database
    from homeostat.core.workspace import Workspace

# Of fewer runs nothing is remembered; more changed ones than these are read as all are, or put in order as all are.
_MANY, _MOST_ANEW, _MOST_MOVED = 10_000, 20_000, 500
_MOST_ASKED = 1000
# What is remembered of a database in one process, in bytes, and of what is looked for in texts, of each beside its own.
_BUDGET, _OF_TEXT = 64 << 20, 120
# So much of it may be what words are looked for in, of which a run has so much at least.
_MOST_WORDS, _LEAST_WORDS = 40 << 20, 120
_COMPARED = {"==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_COMPUTED = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Texts:
    """`texts[codes[seq]]` is the text of the run `seq`; the code is -1 where there is none."""

    def __init__(self, codes: array[int], before: Texts | None = None) -> None:
        self.codes = codes
        # Shared with what was remembered `before`: codes are added, and none changes.
        self.texts: list[str] = [] if before is None else before.texts
        self.known: dict[str, int] = {} if before is None else before.known
        self._order: list[int] = [] if before is None else before._order
        self._ordered = False
        self._places: array[float] | None = None

    def code_of(self, text: str) -> int:
        """The code of a text, which is added where it is new."""
        code = self.known.get(text)
        if code is None:
            self.texts.append(text)
            code = self.known[text] = len(self.texts) - 1
        return code

    def order(self) -> list[int]:
        """The codes in the order of their texts, by code points. It stays the same when others add texts."""
        if not self._ordered:
            if len(self._order) < len(self.texts):
                self._order = sorted(range(len(self.texts)), key=self.texts.__getitem__)
            self._ordered = True
        return self._order

    def places(self) -> array[float]:
        """The place of each run's text among all texts in their order, NaN where there is none."""
        if self._places is None:
            order = self.order()
            places = [math.nan] * (len(order) + 1)  # the last is of the code -1
            for place, code in enumerate(order):
                places[code] = place
            self._places = array("d", map(places.__getitem__, self.codes))
        return self._places


class _Bodies(NamedTuple):
    """Stands for what words are looked for in, where values are remembered."""

    kind: str = "body"


class _Order(NamedTuple):
    """Stands for the order of the runs that have the value `of`, where values are remembered."""

    of: Value
    kind: str = "order"


_BODIES = _Bodies()
_STATUS, EXPERIMENT_ID, LIFECYCLE = (
    Property("status", "text"), Property("experiment_id", "number"), Property("lifecycle", "text"),
)  # fmt: skip
_Key = tuple[type, "Value | _Bodies | _Order"]


class _Kept(NamedTuple):
    column: Any
    mark: Mark
    size: int


class _Memory:
    """What is remembered of a database."""

    def __init__(self) -> None:
        self.lock = Lock()
        # By their sort too: a parameter and a tag of one key are the same tuple.
        self.kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self.asked: OrderedDict[_Key, None] = OrderedDict()  # but not remembered so far
        self.too_wordy = False  # to keep what words are looked for in

    def newest(self) -> Mark | None:
        """The mark of what was used last."""
        with self.lock:
            return next((one.mark for one in reversed(self.kept.values())), None)

    def keep(self, value: Value | _Bodies | _Order, kept: _Kept) -> None:
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
        self._here: dict[_Key, Any] = {}
        self._changed: dict[Mark, tuple[Mark, set[int] | None]] = {}
        self._told: set[tuple[Compare, bool]] = set()
        self._having: dict[_Key, Mask] = {}
        self._reads = True  # one more value

    @staticmethod
    def of(ws: Workspace, c: sa.Connection) -> Columns | None:
        """What is remembered of the workspace; None where runs are few or far too many, and inside a write, of which
        all may be taken back."""
        if c.engine is not ws.db.reader:
            return None
        with _turn:
            memory = _memories.setdefault(ws.db, _Memory())
        # What changed meanwhile is asked along with it: where a database is elsewhere, each exchange counts.
        newest = memory.newest() if c.dialect.name == "postgresql" else None
        told = None if newest is None else changed_ahead(c, newest)
        highest = rows(c, "select coalesce(max(seq), 0) from tracking_run")[0][0]
        if not _MANY <= highest <= _BUDGET // 64:
            return None
        columns = Columns(c, memory, highest)
        if newest is not None and told is not None:
            columns._changed[newest] = told()
        return columns

    def mask(self, numbers: Iterable[int]) -> Mask:
        """Some runs by their numbers."""
        return Mask.of(numbers, self._highest)

    def numbers(self, value: Value) -> array[float]:
        """`value`, of which `remembers` and which is a number or a time, by the number of the run."""
        return self._column(value)

    def texts(self, value: Value) -> Texts:
        """`value`, of which `remembers` and which is a text, by the number of the run."""
        return self._column(value)

    def order(self, value: Value) -> array[int]:
        """The runs that have `value`, of which `remembers` and which is a number or a time, the smallest first; equal
        ones in no certain order."""
        order = _Order(value)
        key = type(order), order
        if key not in self._here:
            numbers = self.numbers(value)
            with self._memory.lock:
                self._here[key] = self._up_to_date(order, _MOST_MOVED, partial(_in_order, numbers))
        return self._here[key]

    def having(self, value: Value) -> Mask:
        """The runs that have `value`, of which `remembers`."""
        key = type(value), value
        if key not in self._having:
            if value.kind == "text":
                marks = bytes(map((-1).__lt__, self.texts(value).codes))
            else:
                numbers = self.numbers(value)
                marks = bytes(map(operator.eq, numbers, numbers))
            self._having[key] = Mask(marks)
        return self._having[key]

    def remembers(self, value: Value | _Bodies) -> bool:
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

    def knows_one_more(self, node: Compare) -> bool:
        """As `knows`; but of the numbers that are still to be read one is, so that no search waits for several, and no
        text, of which that takes longest."""
        if not self.knows(node):
            return False
        value = node.right if isinstance(node.left, Constant) else node.left
        key = type(value), value
        if key not in self._here and key not in self._memory.kept:
            if not self._reads or value.kind == "text":
                return False
            self._reads = False
            self._column(value)
        return True

    def knows_words(self) -> bool:
        """Whether `holding` is told here: on PostgreSQL it takes several times as long to look through all texts.

        As with a value, that is from the second time on.
        """
        if self._c.dialect.name != "postgresql" or self._memory.too_wordy:
            return False
        return self._highest * _LEAST_WORDS <= _MOST_WORDS and self.remembers(_BODIES)

    def holding(self, word: Word) -> Mask:
        """The runs that hold `word`, which it `knows_words`."""
        low = looked_for(word.text)
        found = Mask(bytes(map(operator.contains, self._column(_BODIES), repeat(low))))
        if statuses := statuses_with(low):
            texts = self.texts(_STATUS)
            codes = {texts.known.get(status, -2) for status in statuses}
            found |= Mask(bytes(map(codes.__contains__, texts.codes)))
        sql, bound = experiments_sql(True, low)
        if ids := {id for (id,) in rows(self._c, sql, bound)}:
            found |= Mask(bytes(map(ids.__contains__, self.numbers(EXPERIMENT_ID))))
        return found

    def holds(self, node: Compare) -> Mask:
        """The runs of which `node`, of which `remembers_of` or which it `knows`, holds."""
        if node.left.kind == "text":
            codes, code = self._equal(node)
            return Mask(bytes(map(code.__eq__, codes)))
        left, right = self._vector(node.left), self._vector(node.right)
        return Mask(bytes(map(_COMPARED[node.operator], left, right)))

    def tells(self, node: Compare, runs: Sequence[int]) -> Iterator[bool]:
        """Of each of `runs` whether `node`, which it `knows`, holds: soonest where these are few of all."""
        if node.left.kind == "text":
            codes, code = self._equal(node)
            return map(code.__eq__, map(codes.__getitem__, runs))
        left, right = (
            repeat(cast("float", side.value))
            if isinstance(side, Constant)
            else map(self.numbers(side).__getitem__, runs)
            for side in (node.left, node.right)
        )
        return map(_COMPARED[node.operator], left, right)

    def _equal(self, node: Compare) -> tuple[array[int], int]:
        """The codes of the texts that `node` compares with one, and the code of that: -2 where no run has it."""
        of, constant = (node.left, node.right) if isinstance(node.right, Constant) else (node.right, node.left)
        texts = self.texts(of)
        return texts.codes, texts.known.get(str(cast("Constant", constant).value), -2)

    def _vector(self, value: Value) -> Iterable[float]:
        if isinstance(value, Constant):
            return repeat(cast("float", value.value), self._highest + 1)  # texts are not compared here (`remembers_of`)
        if not isinstance(value, Arithmetic):
            return self.numbers(value)
        left, right = (_floats(self._vector(side)) for side in (value.left, value.right))
        if value.operator == "/":
            return [a / b if b else math.nan for a, b in zip(left, right, strict=True)]
        return map(_COMPUTED[value.operator], left, right)

    def _column(self, value: Value | _Bodies) -> Any:
        key = type(value), value
        if key not in self._here:
            with self._memory.lock:
                self._here[key] = self._up_to_date(value, _MOST_ANEW, partial(self._read, value))
        return self._here[key]

    def _up_to_date(
        self, value: Value | _Bodies | _Order, most: int, read: Callable[[Any, set[int] | None], Any]
    ) -> Any:
        """What is kept for `value`, read anew as far as it changed; all of it where more runs than `most` did.

        `read(old, changed)` gives it as it is now: as it was but for the runs that `changed`, or all of it.
        """
        kept = self._memory.kept.get((type(value), value))
        if kept is not None:
            here, changed = self._changed_since(kept.mark)
            if not here.sees(kept.mark):  # another search has seen more since this one began
                return read(None, None)
            if changed is not None and len(changed) <= most:
                column = read(kept.column, changed)
                size = kept.size if column is kept.column else _size(column)
                self._memory.keep(value, _Kept(column, here, size))
                return column
        here = mark(self._c)
        column = read(None, None)
        size = _size(column)
        if isinstance(value, _Bodies):
            self._memory.too_wordy = size > _MOST_WORDS
        if not self._memory.too_wordy or not isinstance(value, _Bodies):
            self._memory.keep(value, _Kept(column, here, size))
        return column

    def _changed_since(self, since: Mark) -> tuple[Mark, set[int] | None]:
        if since not in self._changed:  # all that is asked of one snapshot is mostly as of one mark afterwards
            self._changed[since] = changed_since(self._c, since)
        return self._changed[since]

    def _read(self, value: Value | _Bodies, old: Any, changed: set[int] | None) -> Any:
        """The column as it is now: as it was but for the runs that `changed`, or all of it. `old` is left as it is."""
        before = old.codes if isinstance(old, Texts) else old
        if old is not None and not changed and len(before) == self._highest + 1:
            return old
        missing: Any = array("d", [math.nan])
        if isinstance(value, _Bodies):
            missing = [""]
        elif value.kind == "text":
            missing = array("i", [-1])
        cells: Any = missing[:0] if old is None else before
        cells = cells + missing * (self._highest + 1 - len(cells))
        for seq in changed or ():
            if seq <= self._highest:
                cells[seq] = missing[0]
        if isinstance(value, _Bodies):
            for seq, body in bodies_of(self._c, self._highest, changed) if changed is None or changed else ():
                cells[seq] = body
            return old if _same(before, cells, changed) else cells
        found = () if changed is not None and not changed else values_of(self._c, value, self._highest, changed)
        if value.kind != "text":
            for seq, number in found:
                cells[seq] = number
            return cells
        column = Texts(cells, old)
        known = column.known
        for seq, text in found:
            code = known.get(text)
            cells[seq] = column.code_of(text) if code is None else code
        return old if _same(before, cells, changed) else column


def remembers_words(ws: Workspace) -> bool:
    """Whether what words are looked for in is remembered of the workspace."""
    with _turn:
        memory = _memories.get(ws.db)
    return memory is not None and (_Bodies, _BODIES) in memory.kept


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


def _in_order(numbers: array[float], old: array[int] | None, changed: set[int] | None) -> array[int]:
    """The runs that have a number, the smallest first: the `old` ones but for those that `changed`, or all."""
    if old is None or changed is None:
        there = compress(range(len(numbers)), map(operator.eq, numbers, numbers))
        return array("i", sorted(there, key=numbers.__getitem__))
    if not changed:
        return old
    runs = array("i", filterfalse(changed.__contains__, old))
    for run in changed:
        if run < len(numbers) and numbers[run] == numbers[run]:
            insort(runs, run, key=numbers.__getitem__)
    return runs


def _floats(values: Iterable[float]) -> Iterable[float]:
    # What is written as a whole number is computed with as the databases do it.
    return map(float, values) if isinstance(values, repeat) else values


def _same(before: Any, cells: Any, changed: set[int] | None) -> bool:
    """Whether the runs that `changed` have what they had: mostly nothing but points came."""
    if before is None or changed is None or len(before) != len(cells):
        return False
    return all(before[seq] == cells[seq] for seq in changed if seq < len(cells))


def _size(column: Any) -> int:
    if isinstance(column, Texts):
        return (4 + 8) * len(column.codes) + _of_texts(column.texts)
    return _of_texts(column) if isinstance(column, list) else column.itemsize * len(column)


def _of_texts(texts: Sequence[str]) -> int:
    return sum(map(len, texts)) + _OF_TEXT * len(texts)
