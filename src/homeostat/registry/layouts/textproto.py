"""Protocol buffers' text format, as Triton's `config.pbtxt` is written in: read into lists and dictionaries.

Without its schema nobody knows which field may be repeated, so every field is a list of what was said of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from homeostat.core.errors import InvalidInput

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*"""
    r"""|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|(?P<word>[\w.+-]+)|(?P<mark>[][{}<>:,;])"""
)
_ESCAPE = re.compile(r"\\(.)")
_DEEPEST = 32
_CLOSING = {"{": "}", "<": ">"}


def read_textproto(source: str) -> dict[str, list[Any]]:
    """Every field with all that was said of it; numbers and names stay words. Raises: InvalidInput.

    >>> read_textproto('name: "a" input [ { dims: [ 1, 2 ] } ] max_batch_size: 8')
    {'name': ['a'], 'input': [{'dims': ['1', '2']}], 'max_batch_size': ['8']}
    """
    return _Reader(source).message("", 0)


class _Reader:
    def __init__(self, source: str) -> None:
        self._tokens = _tokens(source)
        self._next = next(self._tokens, ("", ""))

    def message(self, end: str, depth: int) -> dict[str, list[Any]]:
        if depth > _DEEPEST:
            raise InvalidInput("the file nests too deep")
        found: dict[str, list[Any]] = {}
        while self._next != (("mark", end) if end else ("", "")):
            kind, name = self._take()
            if kind != "word":
                raise InvalidInput(f"a field's name was expected, not {name or 'the end'!r}")
            if self._next == ("mark", ":"):
                self._take()
            found.setdefault(name, []).extend(self._values(depth))
            while self._next in (("mark", ","), ("mark", ";")):
                self._take()
        if end:
            self._take()
        return found

    def _values(self, depth: int) -> list[Any]:
        if self._next != ("mark", "["):
            return [self._value(depth)]
        self._take()
        found: list[Any] = []
        while self._next != ("mark", "]"):
            found.append(self._value(depth))
            if self._next == ("mark", ","):
                self._take()
        self._take()
        return found

    def _value(self, depth: int) -> Any:
        kind, said = self._take()
        if kind == "mark" and said in _CLOSING:
            return self.message(_CLOSING[said], depth + 1)
        if kind == "word":
            return said
        if kind == "text":
            while self._next[0] == "text":  # strings beside each other are one
                said += self._take()[1]
            return said
        raise InvalidInput(f"a value was expected, not {said or 'the end'!r}")

    def _take(self) -> tuple[str, str]:
        taken = self._next
        self._next = next(self._tokens, ("", ""))
        return taken


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise InvalidInput(f"line {source.count(chr(10), 0, at) + 1} is not protocol-buffer text")
        at = match.end()
        kind = match.lastgroup
        if kind == "text":
            yield "text", _ESCAPE.sub(r"\1", match[0][1:-1])
        elif kind is not None:
            yield kind, match[0]
