"""Filters of logged models and traces, taken apart: comparisons joined by AND."""

from __future__ import annotations

import re

from homeostat.core.errors import InvalidInput

_LONGEST = 10_000

_CONDITION = re.compile(
    r"""\s*(?:(?P<entity>[A-Za-z_]+)\.)?(?P<name>`[^`]+`|"[^"]+"|[^\s=!<>()'"`]+)
        \s*(?P<op><=|>=|!=|=|<|>|(?i:NOT\s+IN|IN|NOT\s+LIKE|LIKE|ILIKE|RLIKE|IS\s+NOT|IS)(?=[\s('"]))
        \s*(?P<value>'(?:[^']|'')*'|"[^"]*"|\([^()]*\)|[^\s'"()]+)\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"\s*(?i:AND)(?=\s)")
_TEXT = re.compile(r"""\s*(?:'((?:[^']|'')*)'|"([^"]*)")\s*(,|$)""")


def parse(text: str) -> list[tuple[str, str, str, str]]:
    """The comparisons of a filter as (entity, name, operator, value as written); no entity is "".

    >>> parse("name = 'a' AND metrics.`my auc` >= 0.5")
    [('', 'name', '=', "'a'"), ('metrics', 'my auc', '>=', '0.5')]
    """
    if len(text) > _LONGEST:
        raise InvalidInput(f"the filter has {len(text)} characters", hint=f"at most {_LONGEST}")
    found: list[tuple[str, str, str, str]] = []
    at = 0
    while text[at:].strip():
        if found:
            joined = _AND.match(text, at)
            if joined is None:
                raise malformed(text, "a list of comparisons separated by 'AND'")
            at = joined.end()
        match = _CONDITION.match(text, at)
        if match is None:
            raise malformed(text, "a list of comparisons such as name = 'a' AND tags.team = 'red'")
        name = match["name"]
        name = name[1:-1] if name[0] in '`"' else name
        found.append((match["entity"] or "", name, re.sub(r"\s+", " ", match["op"].upper()), match["value"]))
        at = match.end()
    return found


def unquoted(value: str) -> str:
    """A value without its quotes; two single quotes within stand for one.

    >>> unquoted("'it''s'"), unquoted("7")
    ("it's", '7')
    """
    if value[:1] == value[-1:] == '"' and len(value) > 1:
        return value[1:-1]
    return value[1:-1].replace("''", "'") if value[:1] == "'" else value


def texts(value: str) -> list[str]:
    """The texts of a list such as ('a', 'b').

    >>> texts("('a', 'b')")
    ['a', 'b']
    """
    inner, at = value[1:-1], 0
    if not value.startswith("("):
        raise InvalidInput(f"Invalid value {value[:80]}: IN takes a list such as ('a', 'b')")
    found: list[str] = []
    while at < len(inner):
        match = _TEXT.match(inner, at)
        if match is None:
            raise InvalidInput(f"Invalid list {value[:80]}: IN takes texts in quotes, such as ('a', 'b')")
        found.append(match[1].replace("''", "'") if match[1] is not None else match[2])
        at = match.end()
    return found


def malformed(text: str, expected: str) -> InvalidInput:
    """The error for a filter that cannot be read."""
    return InvalidInput(f"Invalid filter string: {text[:200]!r}. Expected {expected}.")
