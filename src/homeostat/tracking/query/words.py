"""Words: looked for in what a run is called, where it belongs, and what it was given."""

from __future__ import annotations

from typing import Any

from homeostat.tracking.query.names import WORDS

_LETTERS_OF_NUMBERS = set("infatyeINFATYE")  # "infinity", "nan", "1e-3"


def word_sql(postgres: bool, word: str) -> tuple[str, list[Any]]:
    """A condition on `r`: `word` is part of its name, id, source, experiment, status, kind, or of a parameter's or
    tag's value, in any case of A to Z.
    """
    low = lower(word)
    test, bound = _contains(postgres, low)
    # A parameter that is a number holds none but these letters: half of them need no look.
    numberless = "x.number is null and " if any(_letter(char) for char in low) else ""
    # Names of this file; values are bound.
    parts = [
        f"select x.run_seq from tracking_param x where {numberless}{test.format('x.value')}",  # noqa: S608
        f"select x.run_seq from tracking_tag x where {test.format('x.value')}",  # noqa: S608
        f"select x.seq from tracking_run x where {test.format('x.name')} or {test.format('x.id')}"  # noqa: S608
        f" or {test.format('x.source')} or x.experiment_id in"
        f" (select e.id from tracking_experiment e where {test.format('e.name')})",
    ]
    values = bound * 6
    for column, known in WORDS.items():
        if fitting := [value for value in known if low in value]:
            parts.append(f"select x.seq from tracking_run x where x.{column} in ({', '.join('?' * len(fitting))})")  # noqa: S608
            values += fitting
    alone = "" if postgres else "+"
    return f"{alone}r.seq in ({' union all '.join(parts)})", values


def lower(text: str) -> str:
    """A to Z as a to z, and nothing else: as the databases do it.

    >>> lower("ÄRGER")
    'Ärger'
    """
    return "".join(char.lower() if char.isascii() else char for char in text)


def _letter(char: str) -> bool:
    return char.isascii() and char.isalpha() and char not in _LETTERS_OF_NUMBERS


def _contains(postgres: bool, low: str) -> tuple[str, list[Any]]:
    if not any(char.isascii() and char.isalpha() for char in low):
        return ("strpos({}, ?) > 0" if postgres else "instr({}, ?) > 0"), [low]
    if postgres:
        return 'strpos(lower({} collate "C"), ?) > 0', [low]
    escaped = "".join(f"\\{char}" if char in "%_\\" else char for char in low)
    # SQLite's LIKE looks away from the case of A to Z by itself, and is three times as fast as lower().
    return ("{} like ?" if escaped == low else "{} like ? escape '\\'"), [f"%{escaped}%"]
