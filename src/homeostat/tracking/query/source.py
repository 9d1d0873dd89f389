"""From text to Python's own syntax tree, and from a place in the tree back to a column of the text."""

from __future__ import annotations

import ast
import keyword
import re

from homeostat.core.errors import InvalidInput
from homeostat.core.syntax import parsed

LONGEST = 4000
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_SIGNS = re.compile(r"[<>=()\[\]{}]|\brun\s*\.")
_JOINED = re.compile(r"(?<!\S)(?:and|or|not|in|is)(?!\S)")
_PIECE = re.compile(r'"([^"]*)"|([^\s"]+)')
# Escapes that Python does not know stand for themselves, as in patterns: "\d" is a backslash and a d.
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN = set("\\'\"abfnrtvxuUN01234567\n")
_RESERVED = re.compile(rf"\.\s*({'|'.join(keyword.kwlist)})\b")
EXAMPLE = 'such as run.params.lr < 0.1 and run.metrics.auc.max > 0.7, or words alone, or "words in quotes"'


def words_of(text: str) -> list[str] | None:
    """The words and quoted phrases of `text` when it is nothing else, None when it is to be read as an expression.

    >>> words_of('night "two words" 0.01'), words_of("run.start > 0"), words_of("trained in july 2026")
    (['night', 'two words', '0.01'], None, ['trained', 'in', 'july', '2026'])
    """
    outside = _QUOTED.sub(" ", text)
    if _SIGNS.search(outside) or (_JOINED.search(outside) and _is_expression(text)):
        return None
    return pieces(text)


def _is_expression(text: str) -> bool:
    try:
        Source(text)
    except InvalidInput:
        return False  # "trained in july 2026": words, after all
    return True


def pieces(text: str) -> list[str]:
    """What stands between blanks, quotes keeping blanks together."""
    found = (phrase or plain for phrase, plain in _PIECE.findall(text))
    return [piece for piece in found if piece.strip()]


class Source:
    """A text and its tree. Raises InvalidInput, naming the column, when it is not an expression."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise InvalidInput(f"a query of {len(text)} characters", hint=f"at most {LONGEST}")
        self.text = text
        self._added: list[int] = []
        # One line: columns are then all there is to know of a place. It begins at once, or Python sees an indent.
        flat = re.sub(r"[\r\n\t\f]", " ", text)
        self._cut = len(flat) - len(flat.lstrip())
        self._code = self._escaped(flat.lstrip())
        self.tree = self._parsed()

    def wrong(self, node: ast.expr, message: str, hint: str = "") -> InvalidInput:
        """The error for what stands at `node`."""
        at = len(self._code.encode()[: node.col_offset].decode("utf-8", "ignore"))
        return self._error(self._column(at), message, hint)

    def written(self, node: ast.expr) -> str:
        """The text of `node`."""
        return (ast.get_source_segment(self._code, node) or "")[:80]

    def _parsed(self) -> ast.expr:
        try:
            return parsed(self._code, "<query>", mode="eval").body
        except SyntaxError as error:
            raise self._unreadable(error) from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise InvalidInput(
                f"the query cannot be read: {error or 'it is nested too deeply'}", hint=EXAMPLE
            ) from None

    def _unreadable(self, error: SyntaxError) -> InvalidInput:
        hint = EXAMPLE
        outside = _QUOTED.sub(lambda match: " " * len(match[0]), self._code)
        if reserved := _RESERVED.search(outside):
            hint = f'a name that Python reserves is written in brackets: ["{reserved[1]}"]'
        elif re.search(r"[^<>=!]=[^=]", outside):
            hint = "equality is written =="
        elif re.search(r"\b(AND|OR|NOT|IN|IS)\b|&&|\|\|", outside):
            hint = "and, or, not, in and is are written in small letters"
        # What ends too early is told of with no place, or with one behind the end.
        at = self._column(error.offset - 1 if error.offset else len(self._code))
        return self._error(at, f"the query cannot be read here ({error.msg[:80]})", hint)

    def _error(self, column: int, message: str, hint: str) -> InvalidInput:
        return InvalidInput(f"column {column}: {message}", hint=hint or EXAMPLE, column=column)

    def _escaped(self, text: str) -> str:
        parts: list[str] = []
        length = 0
        end = 0
        for match in _ESCAPE.finditer(text):
            parts.append(text[end : match.start()])
            length += match.start() - end
            if match[1] not in _KNOWN:
                parts.append("\\")
                self._added.append(length)
                length += 1
            parts.append(match[0])
            length += 2
            end = match.end()
        return "".join([*parts, text[end:]])

    def _column(self, at: int) -> int:
        """The column, from 1, in the text as it was given."""
        return at - sum(place < at for place in self._added) + self._cut + 1
