"""Parameters, tags and last points of runs as lists in the protocol's JSON.

A page of a thousand runs has tens of thousands of them. PostgreSQL gives those of one run as one text, whose parts are
told apart by control characters, and the list is this text with other things in their place: nothing is made for each
of them. SQLite is quick with rows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from homeostat.core.statements import rows

# Before the second and further fields of one, before the next one, and before the next run. A kept text may hold them
# as well: then there are more of them than there have to be.
_FIELDS, _NEXT, _RUN = ("\x01", "\x02", "\x03"), "\x04", "\x05"
# What JSON has for other characters; the backslash first, as the others bring some.
_ESCAPES = (
    ("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"),
    *((chr(code), f"\\u{code:04x}") for code in range(6, 32) if chr(code) not in "\n\r\t"),
)  # fmt: skip

Encoded = dict[int, bytes]  # the JSON of each run's list, by the run's number


class Pair(msgspec.Struct, gc=False):
    """A parameter or a tag: quicker made and written than an object with the same names."""

    key: str
    value: str


class Point(msgspec.Struct, gc=False):
    """The last point of a metric."""

    key: str
    value: float | str
    timestamp: int
    step: int


class Kind(NamedTuple):
    """What belongs to runs: its table, the columns beside the key, those as texts, and what the JSON has for marks."""

    table: str
    columns: tuple[str, ...]
    texts: tuple[str, ...]
    instead: tuple[tuple[str, str], ...]


_PAIR = (("\x04", '"},{"key":"'), ("\x01", '","value":"'))
PARAMS = Kind("tracking_param", ("value",), ("value",), _PAIR)
TAGS = Kind("tracking_tag", ("value",), ("value",), _PAIR)
POINTS = Kind(
    "tracking_series",
    ("last_value", "last_ms", "last_step"),
    ("coalesce(last_value, 'NaN')::text", "last_ms", "last_step"),
    (("\x04", '},{"key":"'), ("\x01", '","value":'), ("\x02", ',"timestamp":'), ("\x03", ',"step":')),
)
# Numbers that JSON has no word for.
_ODD = tuple((f'"value":{name},', f'"value":"{name}",') for name in ("NaN", "Infinity", "-Infinity"))


def number(value: float | None) -> float | str:
    """A value as JSON can say it; null in the database is NaN.

    >>> number(0.5), number(None), number(float("-inf"))
    (0.5, 'NaN', '-Infinity')
    """
    if value is None or value != value:
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def asked(c: sa.Connection, kind: Kind, which: str) -> str:
    """The statement that asks for those of the runs whose number is `which` ("= ?")."""
    if c.dialect.name == "sqlite":
        return f"select run_seq, key, {', '.join(kind.columns)} from {kind.table} where run_seq {which}"  # noqa: S608 - named above
    parts = "".join(f" || {_quoted(mark)} || {text}" for mark, text in zip(_FIELDS, kind.texts, strict=False))
    return (
        f"select run_seq, count(*), string_agg(key{parts}, {_quoted(_NEXT)})"  # noqa: S608 - named above
        f" from {kind.table} where run_seq {which} group by run_seq"
    )


def lists(c: sa.Connection, kind: Kind, found: list[Any]) -> Encoded:
    """What the rows that were `asked` for say; in the order of keys, or as PostgreSQL comes upon them."""
    if c.dialect.name != "sqlite":
        return _joined(c, kind, found)
    by_run: dict[int, list[Any]] = defaultdict(list)
    for row in found:
        by_run[row[0]].append(row)
    return {seq: _written(kind, each) for seq, each in by_run.items()}


def _joined(c: sa.Connection, kind: Kind, found: list[Any]) -> Encoded:
    if not found:
        return {}
    seqs, counts, texts = zip(*found, strict=True)
    if (written := rewritten(kind, sum(counts), texts)) is not None:
        return dict(zip(seqs, written, strict=True))
    if len(found) > 1:  # some run has a mark in a text of its own
        return {seq: each for row in found for seq, each in _joined(c, kind, [row]).items()}
    select = f"select run_seq, key, {', '.join(kind.columns)} from {kind.table} where run_seq = ?"  # noqa: S608 - named above
    return {seqs[0]: _written(kind, rows(c, select, seqs))}


def _quoted(mark: str) -> str:
    return f"E'\\x{ord(mark):02x}'"


def _written(kind: Kind, found: list[Any]) -> bytes:
    found.sort()
    if kind is POINTS:
        return msgspec.json.encode([Point(key, number(value), at, step) for _, key, value, at, step in found])
    return msgspec.json.encode([Pair(key, value) for _, key, value in found])


def rewritten(kind: Kind, count: int, texts: tuple[str, ...]) -> list[bytes] | None:
    """The lists of several runs, `count` entries in all, from joined texts; None where these cannot be told apart."""
    text = _RUN.join(texts)
    expected = [count if at < len(kind.columns) else 0 for at in range(len(_FIELDS))]
    expected += [count - len(texts), len(texts) - 1]
    if any(text.count(mark) != times for mark, times in zip((*_FIELDS, _NEXT, _RUN), expected, strict=True)):
        return None
    for character, escaped in _ESCAPES:
        if character in text:
            text = text.replace(character, escaped)
    for mark, instead in kind.instead:
        text = text.replace(mark, instead)
    if kind is not POINTS:
        return [b'[{"key":"' + each + b'"}]' for each in text.encode().split(b"\x05")]
    if "N" in text or "I" in text:
        for odd, quoted in _ODD:
            text = text.replace(odd, quoted)
    return [b'[{"key":"' + each + b"}]" for each in text.encode().split(b"\x05")]
