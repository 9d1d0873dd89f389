"""Words: looked for in what a run is called, where it belongs, and what it was given."""

from __future__ import annotations

from typing import Any

from homeostat.core.statements import marks
from homeostat.tracking.query.names import WORDS

_LETTERS_OF_NUMBERS = set("infatyeINFATYE")  # "infinity", "nan", "1e-3"


def word_sql(postgres: bool, word: str, seq: str, few: bool) -> tuple[str, list[Any]]:
    """A condition on the run of the number `seq`: `word` is part of its name, id, source, experiment, status, kind, or
    of a parameter's or tag's value, in any case of A to Z. With `few`, it is told for each run.
    """
    low = lower(word)
    test, bound = _contains(postgres, low)
    # A parameter that is a number holds none but these letters: half of them need no look.
    numberless = "x.number is null and " if any(_letter(char) for char in low) else ""
    experiment = f"x.experiment_id in (select e.id from tracking_experiment e where {test.format('e.name')})"  # noqa: S608 - names of this file; values are bound
    named = [*(test.format(f"x.{column}") for column in ("name", "id", "source")), experiment]
    known = {column: [value for value in values if low in value] for column, values in WORDS.items()}
    named += [f"x.{column} in ({marks(len(fitting))})" for column, fitting in known.items() if fitting]
    places = (
        ("tracking_run", "seq", f"({' or '.join(named)})"),
        ("tracking_param", "run_seq", f"{numberless}{test.format('x.value')}"),
        ("tracking_tag", "run_seq", test.format("x.value")),
    )
    values = [*bound * 4, *(value for fitting in known.values() for value in fitting), *bound * 2]
    if few:
        held = [f"exists (select 1 from {table} x where x.{run} = {seq} and {test})" for table, run, test in places]  # noqa: S608 - names of this file; values are bound
        return f"({' or '.join(held)})", values
    found = [f"select x.{run} from {table} x where {test}" for table, run, test in places]  # noqa: S608 - names of this file; values are bound
    alone = "" if postgres else "+"
    return f"{alone}{seq} in ({' union all '.join(found)})", values


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
