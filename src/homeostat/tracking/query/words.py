"""Words: looked for in what a run is called, where it belongs, and what it was given.

That is one text of each run, in small letters (`tracking_text`, kept by `texts.py`). Of a run that is stale the text is
made on the spot. The state of a run and the name of its experiment are no part of it: one changes often, the other for
many runs at once.
"""

from __future__ import annotations

from typing import Any

from homeostat.core.statements import marks
from homeostat.tracking.query.names import WORDS

# Stands between the parts of a text, so that no word is found across two of them: within a part it is a blank.
_BETWEEN = 31
_TABLES = ("tracking_param", "tracking_tag")
# SQLite finds a first letter sooner for GLOB than for instr().
_HOLDS = {True: "strpos({}, ?) > 0", False: "{} glob ?"}
_STALE = "select s.run_seq from tracking_stale s"


def word_sql(postgres: bool, word: str, seq: str, few: bool, rare: bool = False) -> tuple[str, list[Any]]:
    """A condition on the run of the number `seq`: `word` is part of its name, id, source, experiment, status, kind, or
    of a parameter's or tag's value, in any case of A to Z. With `few`, it is told for each run; where it is `rare`,
    a search may begin with the runs that hold it.
    """
    if few:  # so written that PostgreSQL looks at no other runs
        low = looked_for(word)
        fitting = statuses_with(low)
        holds = _HOLDS[postgres]
        experiments, (low,) = experiments_sql(postgres, low)
        made = _made(postgres, seq)
        of_run = f"(select x.{{}} from tracking_run x where x.seq = {seq}) in ({{}})"  # noqa: S608 - names of this file
        kept = f"(select x.body from tracking_text x where x.run_seq = {seq})"  # noqa: S608 - names of this file
        body = f"case when {seq} in ({_STALE}) then {made} else {kept} end"
        held = [f"{holds.format(body)}", of_run.format("experiment_id", experiments)]
        held += [of_run.format("status", marks(len(fitting)))] if fitting else []
        return f"coalesce({' or '.join(held)}, false)", [low, low, *fitting]
    found, bound = holding_sql(postgres, word)
    if postgres and not rare:  # it would expect little of them together, and look for each run by itself
        return f"({' or '.join(f'{seq} in ({one})' for one in found)})", bound
    alone = "" if rare else "+"
    return f"({alone}{seq} in ({' union all '.join(found)}))", bound


def holding_sql(postgres: bool, word: str) -> tuple[list[str], list[Any]]:
    """What gives the numbers of the runs that hold `word`, some of them twice: a statement for each place it may be."""
    low = looked_for(word)
    fitting = statuses_with(low)
    holds = _HOLDS[postgres]
    experiments, (low,) = experiments_sql(postgres, low)
    kept = f"select x.run_seq from tracking_text x where {holds.format('x.body')} and x.run_seq not in ({_STALE})"  # noqa: S608 - names of this file; values are bound
    # What the stale ones hold is looked up for them alone, whatever the database expects.
    all_stale, held = "select distinct s.run_seq from tracking_stale s", holds.format(_made(postgres, "t.run_seq"))
    stale = f"select t.run_seq from ({all_stale}) t where {held}"  # noqa: S608 - names of this file; values are bound
    runs = "select x.seq from tracking_run x where x."
    found = [kept, stale, f"{runs}experiment_id in ({experiments})"]
    found += [f"{runs}status in ({marks(len(fitting))})"] if fitting else []
    return found, [low, low, low, *fitting]


def _made(postgres: bool, seq: str) -> str:
    """The text of the run of the number `seq`, made on the spot."""
    return f"(select {body_sql(postgres, 'y')} from tracking_run y where y.seq = {seq})"  # noqa: S608 - names of this file


def looked_for(word: str) -> str:
    """`word` as it is looked for in texts of runs.

    >>> looked_for("Two Words")
    'two words'
    """
    return lower(word).replace(chr(_BETWEEN), " ")


def statuses_with(low: str) -> list[str]:
    """The states whose name holds `low`, which is in small letters.

    >>> statuses_with("fin")
    ['finished']
    """
    return [status for status in WORDS["status"] if low in status]


def experiments_sql(postgres: bool, low: str) -> tuple[str, list[Any]]:
    """What gives the ids of the experiments whose name holds `low`, which is in small letters."""
    sought = low if postgres else f"*{''.join(f'[{char}]' if char in '*?[' else char for char in low)}*"
    held = _HOLDS[postgres].format(_lower("e.name", postgres))
    return f"select e.id from tracking_experiment e where {held}", [sought]  # noqa: S608 - names of this file; values are bound


def body_sql(postgres: bool, run: str) -> str:
    """The text of the row `run` of the runs: name, id, source, kind, and the values of its parameters and tags."""
    between = f"{'chr' if postgres else 'char'}({_BETWEEN})"
    plain = f"replace({{}}, {between}, ' ')"
    # In the order of their keys, in which an index of PostgreSQL's gives them, and in which they lie on SQLite.
    listed = f"select {plain.format('v.value')} from {{}} v where v.run_seq = {run}.seq order by v.key"  # noqa: S608 - names of this file
    values = f"group_concat({plain.format('v.value')}, {between})"
    tables = [
        f"array_to_string(array({listed.format(table)}), {between})" if postgres
        else f"(select {values} from {table} v where v.run_seq = {run}.seq)"  # noqa: S608 - names of this file
        for table in _TABLES
    ]  # fmt: skip
    parts = [
        *(plain.format(f"{run}.{column}") for column in ("name", "id", "source", "kind")),
        *(f"coalesce({listed}, '')" for listed in tables),
    ]
    return _lower(f"({f' || {between} || '.join(parts)})", postgres)


def _lower(text: str, postgres: bool) -> str:
    return f'lower({text} collate "C")' if postgres else f"lower({text})"


def lower(text: str) -> str:
    """A to Z as a to z, and nothing else: as the databases do it.

    >>> lower("ÄRGER")
    'Ärger'
    """
    return "".join(char.lower() if char.isascii() else char for char in text)
