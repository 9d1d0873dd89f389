"""A query read: Python's syntax by Python's own parser, of which only what is named here is understood.

Nothing is ever evaluated: the syntax tree becomes a tree of our own (`tree`), everything else is refused with its
column and what to write instead.
"""

from __future__ import annotations

import ast
from typing import Any, cast

from homeostat.core.errors import InvalidInput
from homeostat.tracking.query import names, values
from homeostat.tracking.query.source import LONGEST, Source, words_of
from homeostat.tracking.query.tree import (
    Among,
    Compare,
    Condition,
    Constant,
    Every,
    Member,
    Missing,
    Not,
    OrderKey,
    Param,
    Property,
    Some,
    Text,
    Value,
    Word,
)

_MOST_WORDS, _MOST_CONDITIONS, _MOST_OPTIONS, _MOST_KEYS, _DEEPEST = 20, 100, 500, 5, 40
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


def parse(text: str | None) -> Condition:
    """The condition that `text` says; nothing typed holds of every run. Raises InvalidInput with the column.

    >>> parse("forest 'n' \\"two words\\"").members
    (Word(text='forest'), Word(text="'n'"), Word(text='two words'))
    >>> parse("run.params.lr < 0.1")
    Compare(operator='<', left=Param(key='lr', kind='number'), right=Constant(value=0.1, kind='number'))
    """
    if text is None or not text.strip():
        return Every(())
    if len(text) > LONGEST:
        raise InvalidInput(f"a query of {len(text)} characters", hint=f"at most {LONGEST}")
    words = words_of(text)
    if words is None:
        return _Reader(Source(text)).whole()
    if len(words) > _MOST_WORDS:
        raise InvalidInput(f"a query of {len(words)} words", hint=f"at most {_MOST_WORDS}")
    found = tuple(Word(word) for word in words)
    return found[0] if len(found) == 1 else Every(found)


def parse_order(text: str) -> tuple[OrderKey, ...]:
    """What to order by: values with commas between, `-` in front for the greatest first.

    >>> [(key.value.name, key.descending) for key in parse_order("-run.start, run.name")]
    [('start', True), ('name', False)]
    """
    source = Source(text)
    tree = source.tree
    nodes = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    if not 0 < len(nodes) <= _MOST_KEYS:
        raise source.wrong(tree, f"{len(nodes)} things to order by", f"1 to {_MOST_KEYS}")
    keys: list[OrderKey] = []
    for node in nodes:
        descending = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        operand = node.operand if isinstance(node, ast.UnaryOp) and descending else node
        keys.append(OrderKey(_ordered(source, operand), descending))
    return tuple(keys)


def parse_value(text: str) -> Value:
    """One value of a run, such as "run.params.lr"."""
    source = Source(text)
    return _ordered(source, source.tree)


def _ordered(source: Source, node: ast.expr) -> Value:
    value = values.read(source, node)
    if isinstance(value, Constant):
        raise source.wrong(node, f"{source.written(node)} is the same for every run", "name something that runs have")
    return value


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._depth = 0
        self._count = 0

    def whole(self) -> Condition:
        return self._condition(self._source.tree)

    def _condition(self, node: ast.expr) -> Condition:
        self._depth += 1
        self._count += 1
        if self._depth > _DEEPEST or self._count > _MOST_CONDITIONS:
            what = f"deeper than {_DEEPEST} levels" if self._depth > _DEEPEST else f"{_MOST_CONDITIONS} conditions"
            raise self._source.wrong(node, f"the query is too long ({what})", "ask a simpler one")
        try:
            return self._read(node)
        finally:
            self._depth -= 1

    def _read(self, node: ast.expr) -> Condition:
        match node:
            case ast.BoolOp(op=op, values=members):
                found = tuple(self._condition(member) for member in members)
                return Every(found) if isinstance(op, ast.And) else Some(found)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self._condition(operand))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                return self._chain(left, ops, rights)
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in names.TESTS:
                return values.read_test(self._source, node, value, attr)
            case ast.Constant(value=str(text)):
                return self._words(node, text)
            case ast.Constant(value=bool(always)):
                return Every(()) if always else Some(())
            case ast.Name(id=name) if name != "run" and not names.named(name):
                return Word(name)
            case _:
                raise self._not_a_condition(node)

    def _words(self, node: ast.expr, text: str) -> Condition:
        if not text.strip():
            raise self._source.wrong(node, "an empty text finds nothing", "write a word in it")
        return Word(text)

    def _not_a_condition(self, node: ast.expr) -> InvalidInput:
        values.read(self._source, node)  # has a better complaint when that is no value either
        written = self._source.written(node)
        return self._source.wrong(
            node, f"{written} is a value, not a condition", f"compare it, or write {written} is not None"
        )

    def _chain(self, left: ast.expr, ops: list[ast.cmpop], rights: list[ast.expr]) -> Condition:
        found: list[Condition] = []
        for op, right in zip(ops, rights, strict=True):
            self._count += 1
            found.append(self._compared(left, op, right))
            left = right
        return found[0] if len(found) == 1 else Every(tuple(found))

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(op, ast.In | ast.NotIn):
            found = self._within(left, right)
            return Not(found) if isinstance(op, ast.NotIn) else found
        if _told(left) and not isinstance(right, ast.Constant):
            left, right = right, left  # None == run.end
        if isinstance(right, ast.Constant) and _told(right):
            return self._told(left, op, right)
        if isinstance(op, ast.Is | ast.IsNot):
            raise self._source.wrong(right, "`is` is followed by None", "write == to compare")
        sign = _COMPARED[type(op)]
        found = self._pair(left, "==" if sign == "!=" else sign, right)
        return Not(found) if sign == "!=" else found

    def _told(self, left: ast.expr, op: ast.cmpop, right: ast.Constant) -> Condition:
        """`left is None`, `left == True` and their like."""
        value = values.read(self._source, left)
        if isinstance(op, ast.Is | ast.Eq | ast.IsNot | ast.NotEq):
            negated = isinstance(op, ast.IsNot | ast.NotEq)
            if right.value is None:
                found: Condition = Missing(values.as_text(value) if isinstance(value, Param) else value)
                return Not(found) if negated else found
            if value.kind in ("text", "either"):
                found = Among(values.as_text(value), (str(right.value), str(right.value).lower()))
                return Not(found) if negated else found
        written = self._source.written(right)
        raise self._source.wrong(right, f"{written} cannot be compared so", 'compare with a number or a "text"')

    def _pair(self, left: ast.expr, sign: str, right: ast.expr) -> Condition:
        a, b = values.pair(self._source, left, right)
        if a.kind == "either" and b.kind == "either":
            # Two parameters: as numbers when both are, else as they are written.
            numbers = Every((Not(Missing(values.as_number(a))), Not(Missing(values.as_number(b)))))
            return Some((
                Compare(sign, values.as_number(a), values.as_number(b)),
                Every((Not(numbers), Compare(sign, values.as_text(a), values.as_text(b)))),
            ))  # fmt: skip
        self._check_word(right, a, b)
        self._check_word(left, b, a)
        return Compare(sign, a, b)

    def _check_word(self, node: ast.expr, value: Value, constant: Value) -> None:
        if not isinstance(value, Property) or not isinstance(constant, Constant):
            return
        known = names.WORDS.get(value.name)
        if known is not None and constant.value not in known:
            hint = names.near(str(constant.value).lower(), known)
            raise self._source.wrong(
                node, f"no run's {value.name} is {str(constant.value)[:40]!r}",
                f'did you mean "{hint}"?' if hint else f"it is one of {', '.join(known)}",
            )  # fmt: skip

    def _within(self, left: ast.expr, right: ast.expr) -> Condition:
        if isinstance(right, ast.Tuple | ast.List | ast.Set):
            return self._among(left, right.elts, right)
        text = left.value if isinstance(left, ast.Constant) and isinstance(left.value, str) else None
        if text is None:
            raise self._source.wrong(
                left, "`in` has a text before it or a list behind it", '"night" in run.notes, run.status in ["failed"]'
            )
        if (group := values.set_of(right)) is not None:
            return Member(group, text)
        return Text("contains", values.read_text(self._source, right), text)

    def _among(self, left: ast.expr, elements: list[ast.expr], whole: ast.expr) -> Condition:
        if len(elements) > _MOST_OPTIONS:
            raise self._source.wrong(whole, f"a list of {len(elements)}", f"at most {_MOST_OPTIONS}")
        by_value: dict[Value, list[float | str]] = {}
        found: list[Condition] = []
        for element in elements:
            if isinstance(element, ast.Constant) and _told(element):
                found.append(self._told(left, ast.Eq(), element))
                continue
            a, b = values.pair(self._source, left, element)
            if not isinstance(b, Constant) or a.kind == "either":
                raise self._source.wrong(element, "a list holds numbers or texts", 'such as ["adam", "sgd"] or [1, 2]')
            self._check_word(element, a, b)
            by_value.setdefault(a, []).append(b.value)
        found += [Among(value, tuple(options)) for value, options in by_value.items()]
        return found[0] if len(found) == 1 else Some(tuple(found))


def _told(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def conditions_of(tree: Condition) -> list[Any]:
    """The members of `tree` that must all hold."""
    if isinstance(tree, Every):
        return [part for member in tree.members for part in conditions_of(cast(Condition, member))]
    return [tree]
