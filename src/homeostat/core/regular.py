"""Regular expressions that take no longer than a text is long, whoever wrote them.

Python's own try one way after another, which a hostile pattern makes a matter of years. These are the ones that need
no trying: characters, `.`, classes, groups, `|`, `* + ? {m,n}`, `^`, `$`, `\\d \\w \\s` and their opposites (of ASCII);
no back references, no looking around. A pattern becomes states that are followed all at once (Thompson, 1968); each set
of them is remembered with where each character leads.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from homeostat.core.errors import InvalidInput

_LONGEST, _MOST_STATES, _MOST_REPEATS, _MOST_SETS, _DEEPEST = 200, 1000, 100, 500, 30
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \t\n\r\f\v"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_REPEAT = re.compile(r"\{(\d{1,3})(?:(,)(\d{1,3})?)?\}")


class _Chars(NamedTuple):
    """One character: of these ranges, or `negated`, of no range."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False


class _Node(NamedTuple):
    """ "chars", "each" (one after the other), "either", "repeat" (least, most), "start" or "end"."""

    kind: str
    parts: tuple[Any, ...] = ()
    least: int = 0
    most: int | None = None


class Pattern:
    """A compiled pattern. `postgres` is the same pattern as PostgreSQL writes it.

    >>> Pattern("^a.*(b|c{2})$").found("a cc"), Pattern("(a*)*$").found("a" * 5000 + "b")
    (True, True)
    """

    def __init__(self, text: str) -> None:
        tree = _Parser(text).whole()
        self.postgres = _postgres(tree)
        self._steps: list[tuple[_Chars, int]] = []
        self._free: list[list[int]] = []  # where one gets without a character
        self._asserted: dict[int, tuple[str, int]] = {}
        self._end = self._state()
        self._begin = self._built(tree, self._end)
        self._sets: dict[frozenset[int], dict[str, frozenset[int]]] = {}

    def found(self, text: str) -> bool:
        """Whether the pattern fits anywhere in `text`."""
        again = self._closed({self._begin}, at_start=False)
        now = self._closed({self._begin}, at_start=True)
        for char in text:
            if self._end in now:
                return True
            known = self._sets.get(now)
            if known is None:
                if len(self._sets) >= _MOST_SETS:
                    self._sets.clear()
                known = self._sets[now] = {}
            after = known.get(char)
            if after is None:
                if len(known) >= _MOST_SETS:
                    known.clear()
                further = {self._steps[at][1] for at in now if _fits(self._steps[at][0], char)}
                after = known[char] = self._closed(further, at_start=False) | again
            now = after
        return self._end in now or self._end in self._closed(set(now), at_start=not text, at_end=True)

    def _state(self) -> int:
        if len(self._free) >= _MOST_STATES:
            raise InvalidInput("the pattern is too large", hint="repeat less")
        self._free.append([])
        self._steps.append((_Chars(()), 0))
        return len(self._free) - 1

    def _built(self, node: _Node, then: int) -> int:
        """The state from which `node` leads to `then`."""
        if node.kind == "each":
            for part in reversed(node.parts):
                then = self._built(part, then)
            return then
        if node.kind == "repeat":
            return self._repeated(node, then)
        begin = self._state()
        if node.kind == "chars":
            self._steps[begin] = (node.parts[0], then)
        elif node.kind == "either":
            self._free[begin] = [self._built(part, then) for part in node.parts]
        else:
            self._asserted[begin] = (node.kind, then)
        return begin

    def _repeated(self, node: _Node, then: int) -> int:
        (part,) = node.parts
        if node.most is None:
            loop = self._state()
            self._free[loop] = [self._built(part, loop), then]
            then = loop
        else:
            for _ in range(node.most - node.least):
                once = self._state()
                self._free[once] = [self._built(part, then), then]
                then = once
        for _ in range(node.least):
            then = self._built(part, then)
        return then

    def _closed(self, states: set[int], *, at_start: bool, at_end: bool = False) -> frozenset[int]:
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            at = waiting.pop()
            if at in found:
                continue
            found.add(at)
            waiting += self._free[at]
            if at in self._asserted:
                kind, then = self._asserted[at]
                if (kind == "start" and at_start) or (kind == "end" and at_end):
                    waiting.append(then)
        return frozenset(found)


@lru_cache(maxsize=64)
def compiled(text: str) -> Pattern:
    """The pattern that `text` writes. Raises InvalidInput."""
    return Pattern(text)


def _fits(chars: _Chars, char: str) -> bool:
    return any(first <= char <= last for first, last in chars.ranges) != chars.negated


def _ranges(text: str) -> tuple[tuple[str, str], ...]:
    """ "A-Za" as pairs."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            found.append((text[at], text[at + 2]))
            at += 3
        else:
            found.append((text[at], text[at]))
            at += 1
    return tuple(found)


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise InvalidInput(f"a pattern of {len(text)} characters", hint=f"at most {_LONGEST}")
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> _Node:
        tree = self._either()
        if self._at < len(self._text):
            raise self._wrong("a ) too many")
        return tree

    def _either(self) -> _Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("it is nested too deeply")
        parts = [self._each()]
        while self._take("|"):
            parts.append(self._each())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else _Node("either", tuple(parts))

    def _each(self) -> _Node:
        parts: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._one()))
        return _Node("each", tuple(parts))

    def _repeated(self, node: _Node) -> _Node:
        least, most = 1, 1
        found = _REPEAT.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            least = int(found[1])
            most = least if not found[2] else int(found[3]) if found[3] else None
            if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
                raise self._wrong(f"repeats go from 0 to {_MOST_REPEATS}")
        elif sign := next((sign for sign in "*+?" if self._take(sign)), ""):
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        else:
            return node
        self._take("?")  # the shortest or the longest: what is found is found
        if self._text[self._at : self._at + 1] in tuple("*+?") or _REPEAT.match(self._text, self._at):
            raise self._wrong("a repeat of a repeat")
        return _Node("repeat", (node,), least, most)

    def _one(self) -> _Node:
        char = self._next()
        if char == "(":
            if self._take("?") and not self._take(":"):
                raise self._wrong("only (…) and (?:…) are groups here")
            inner = self._either()
            if not self._take(")"):
                raise self._wrong("a ) is missing")
            return inner
        if char in "^$":
            return _Node("start" if char == "^" else "end")
        if char == ".":
            return _Node("chars", (_Chars((("\n", "\n"),), True),))
        if char == "[":
            return self._class()
        if char in "*+?" or (char == "{" and _REPEAT.match(self._text, self._at - 1)):
            raise self._wrong("there is nothing to repeat")
        return _Node("chars", (self._escaped() if char == "\\" else _Chars(((char, char),)),))

    def _escaped(self) -> _Chars:
        char = self._next()
        if char.lower() in _CLASSES:
            return _Chars(_ranges(_CLASSES[char.lower()]), char.isupper())
        if char.isalnum() and char not in _ESCAPES:
            raise self._wrong(f"\\{char} is not known here")
        char = _ESCAPES.get(char, char)
        return _Chars(((char, char),))

    def _class(self) -> _Node:
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        first = True
        while first or not self._take("]"):
            first = False
            char = self._next()
            one = self._escaped() if char == "\\" else _Chars(((char, char),))
            if one.negated:
                raise self._wrong("\\D, \\W and \\S stand outside brackets")
            dash = self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] not in (
                "]",
                "",
            )
            if dash and len(one.ranges) == 1:
                self._at += 1
                char = self._next()
                last = self._escaped() if char == "\\" else _Chars(((char, char),))
                if len(last.ranges) != 1 or last.ranges[0][0] < one.ranges[0][0]:
                    raise self._wrong("a range goes from a lower to a higher character")
                ranges.append((one.ranges[0][0], last.ranges[0][0]))
            else:
                ranges += one.ranges
        return _Node("chars", (_Chars(tuple(ranges), negated),))

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._wrong("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, char: str) -> bool:
        if self._text[self._at : self._at + 1] == char:
            self._at += 1
            return True
        return False

    def _wrong(self, why: str) -> InvalidInput:
        return InvalidInput(
            f"the pattern {self._text!r} cannot be read at its character {self._at + 1}: {why}",
            hint="it takes . [a-z] (a|b) * + ? {2,5} ^ $ \\d \\w \\s",
        )


def _postgres(node: _Node) -> str:
    match node.kind:
        case "each":
            return "".join(map(_postgres, node.parts))
        case "either":
            return f"(?:{'|'.join(map(_postgres, node.parts))})"
        case "repeat":
            most = "" if node.most is None else node.most
            return f"(?:{_postgres(node.parts[0])}){{{node.least},{most}}}"
        case "start" | "end":
            return "^" if node.kind == "start" else "$"
        case _:
            chars = node.parts[0]
            inside = "".join(_quoted(a) if a == b else f"{_quoted(a)}-{_quoted(b)}" for a, b in chars.ranges)
            return f"[{'^' if chars.negated else ''}{inside}]"


def _quoted(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
