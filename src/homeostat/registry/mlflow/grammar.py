"""The filters, orders and page tokens of MLflow's searches in the registry: comparisons joined by AND."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, NamedTuple

from homeostat.core.foreign import ForeignError, invalid

_LONGEST = 16_384
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'[^']*'|"[^"]*"(?!\s*(?:=|!=|<|>|like\b|ilike\b|in\b|not\b)))
    | (?P<name>[A-Za-z_]\w*(?:\s*\.\s*(?:`[^`]*`|"[^"]*"|[\w.\-/]+))?|`[^`]*`|"[^"]*")
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<operator>!=|<>|>=|<=|=|>|<)
    | (?P<bracket>[(),])
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_WORDS = ("and", "like", "ilike", "in", "not")


class Comparison(NamedTuple):
    """`kind` is "attribute" or "tag"; `value` a text, a number, or the texts of a list."""

    kind: str
    key: str
    operator: str
    value: Any


class _Token(NamedTuple):
    kind: str
    text: str


def parse(text: str, attributes: tuple[str, ...], lists: tuple[str, ...]) -> list[Comparison]:
    """The comparisons of a filter. `attributes` are the keys there are, `lists` those that take IN.

    >>> [tuple(one) for one in parse("name LIKE 'a%' AND tags.`b c` = 'd'", ("name",), ())]
    [('attribute', 'name', 'LIKE', 'a%'), ('tag', 'b c', '=', 'd')]
    """
    if len(text) > _LONGEST:
        raise invalid(f"Invalid filter string: it has {len(text)} characters, at most {_LONGEST} are read")
    tokens = _tokens(text)
    found: list[Comparison] = []
    at = 0
    while at < len(tokens):
        if found:
            if tokens[at] != _Token("word", "AND"):
                raise _clauses(tokens[at:])
            at += 1
        comparison, at = _comparison(tokens, at, attributes, lists)
        found.append(comparison)
    return found


def parse_order(clauses: list[str], keys: dict[str, str]) -> list[tuple[str, bool]]:
    """`(column, ascending)` of each clause; `keys` maps what may be written to columns. Each column once."""
    found: list[tuple[str, bool]] = []
    for clause in clauses:
        match = re.fullmatch(r"\s*(?:attributes?\.)?([\w.`\"]+)(?:\s+(\w+))?\s*", clause[:_LONGEST])
        if match is None:
            raise invalid(f"Invalid order_by clause '{clause[:300]}'. Could not be parsed.")
        direction = (match[2] or "asc").lower()
        if direction not in ("asc", "desc"):
            raise invalid(f"Invalid ordering key in order_by clause '{clause[:300]}'.")
        key = match[1].strip('`"')
        if key not in keys:
            raise invalid(f"Invalid order by key '{key[:300]}' specified. Valid keys are {sorted(keys)}")
        if keys[key] in [column for column, _ in found]:
            raise invalid(f"`order_by` contains duplicate fields: {clauses}"[:500])
        found.append((keys[key], direction == "asc"))
    return found


def offset_of(token: str) -> int:
    """Where the page that `token` names begins; 0 without one."""
    if not token:
        return 0
    try:
        said = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise invalid("Invalid page token, could not base64-decode") from None
    offset = said.get("offset") if isinstance(said, dict) else None
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset < 2**31:
        raise invalid(f"Invalid page token, parsed value={str(said)[:100]}")
    return offset


def token_of(offset: int) -> str:
    """The token of the page that begins at `offset`."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise invalid(f"Invalid clause(s) in filter string: {text[at:].strip()[:300]}")
        kind, said = match.lastgroup, match[match.lastgroup]
        word = said.lower() in _WORDS
        tokens.append(_Token("word" if word else kind, said.upper() if word else said))
        at = match.end()
    return tokens


def _comparison(
    tokens: list[_Token], at: int, attributes: tuple[str, ...], lists: tuple[str, ...]
) -> tuple[Comparison, int]:
    if at >= len(tokens) or tokens[at].kind != "name":
        raise _clauses(tokens[at:] or tokens)
    kind, key = _identifier(tokens[at].text, attributes)
    operator, after = _operator(tokens, at + 1)
    if after >= len(tokens):
        raise _clauses(tokens[at:])
    if tokens[after] == _Token("bracket", "("):
        if kind == "tag":
            raise invalid(
                f"Expected a quoted string value for tag (e.g. 'my-value'). Got value {_text(tokens[after:])}"
            )
        if key not in lists:
            raise invalid(f"Only {sorted(lists)} attributes support comparison with a list of quoted string values.")
        value, end = _list(tokens, after + 1)
    else:
        value, end = _value(tokens[after], kind), after + 1
    if (operator in ("IN", "NOT IN")) != isinstance(value, tuple):
        raise invalid(f"Invalid comparator for {kind}: {operator}")
    return Comparison(kind, key, operator, value), end


def _identifier(text: str, attributes: tuple[str, ...]) -> tuple[str, str]:
    entity, dot, rest = text.partition(".")
    if not dot or text[0] in '`"':
        kind, key = "attribute", _bare(text)
    else:
        kind, key = entity.strip(), _bare(rest.strip())
        if kind not in ("attribute", "tag", "tags"):
            raise invalid(f"Invalid entity type '{kind[:100]}'. Valid entity types are ('attribute', 'tag', 'tags')")
        kind = "attribute" if kind == "attribute" else "tag"
    if kind == "attribute" and key not in attributes:
        raise invalid(f"Invalid attribute key '{key[:300]}' specified. Valid keys are '{set(attributes)}'")
    return kind, key


def _operator(tokens: list[_Token], at: int) -> tuple[str, int]:
    if at < len(tokens) and tokens[at].kind == "operator":
        return ("!=" if tokens[at].text == "<>" else tokens[at].text), at + 1
    words = [token.text for token in tokens[at : at + 2] if token.kind == "word"]
    if words[:2] == ["NOT", "IN"]:
        return "NOT IN", at + 2
    if words[:1] and words[0] in ("LIKE", "ILIKE", "IN"):
        return words[0], at + 1
    raise _clauses(tokens[at - 1 :])


def _value(token: _Token, kind: str) -> Any:
    if token.kind == "string" or (token.kind == "name" and token.text[0] == '"'):
        return token.text[1:-1]
    if token.kind == "number" and kind == "attribute":
        return float(token.text) if "." in token.text else int(token.text)
    if token.kind == "name":
        raise invalid(
            "Parameter value is either not quoted or unidentified quote types used for string value"
            f" {token.text[:300]}. Use either single or double quotes."
        )
    raise invalid(f"Expected a quoted string value for {kind} (e.g. 'my-value'). Got value {token.text[:300]}")


def _list(tokens: list[_Token], at: int) -> tuple[tuple[str, ...], int]:
    values: list[str] = []
    while at < len(tokens) and tokens[at] != _Token("bracket", ")"):
        if tokens[at] != _Token("bracket", ","):
            if tokens[at].kind != "string":
                break
            values.append(tokens[at].text[1:-1])
        at += 1
    if at >= len(tokens) or tokens[at] != _Token("bracket", ")") or not values:
        raise invalid(
            "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list."
        )
    return tuple(values), at + 1


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "`\"'" and text[-1] == text[0] else text


def _text(tokens: list[_Token]) -> str:
    return " ".join(token.text for token in tokens)[:300]


def _clauses(tokens: list[_Token]) -> ForeignError:
    return invalid(f"Invalid clause(s) in filter string: {_text(tokens)}")
