"""The language of MLflow's filters and orders, read by recursive descent.

    filter     := either
    either     := both (OR both)*
    both       := AND* one (AND+ one)* AND*
    one        := NOT one | "(" either ")" | comparison
    comparison := name (= | != | < | <= | > | >= | LIKE | ILIKE) value
                | name [NOT] IN "(" value ("," value)* ")"
                | name IS [NOT] NULL
    name       := [entity "."] key        a key with other characters is in "double" or `back` quotes
    order      := name [ASC | DESC]

MLflow itself knows AND only; OR, NOT and parentheses are ours. What a name may be is for a `Language` to say; the
errors follow the wording that MLflow has for each of its searches.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple

import msgspec

from homeostat.core.foreign import ForeignError, invalid

MOST_CHARS, MOST_TERMS, _DEEPEST = 20_000, 200, 30

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>'(?:''|[^'])*'|"(?:""|[^"])*"(?!\s*\.))
    | (?P<name>(?:[A-Za-z_][\w\-]*|`[^`]*`)(?:\.(?:[\w\-/:.]+(?<=\.)(?:"[^"]*"|`[^`]*`)|"[^"]*"|`[^`]*`|[\w\-/:.]+))?)
    | (?P<sign><=|>=|!=|<>|=|<|>)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_WORDS = {"AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE", "RLIKE", "ASC", "DESC"}
NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
TEXTUAL = ("=", "!=", "LIKE", "ILIKE")


class Comparison(NamedTuple):
    """`entity.key operator value`; the value is a float, an int, a text, a tuple of texts, or None for IS NULL."""

    entity: str
    key: str
    operator: str
    value: Any


class Group(NamedTuple):
    """Several nodes: "and", "or", or "not" of one."""

    kind: str
    members: tuple[Any, ...]


class Language(NamedTuple):
    """What may be named: entities by every word for them, attributes of the bare kind by whether they are numeric."""

    entities: dict[str, str]
    attributes: dict[str, bool]
    aliases: dict[str, str] = {}
    lists: tuple[str, ...] = ()  # attributes that may be compared with a list
    registry: bool = False  # numbers may stand in quotes, and errors are worded as the model registry's
    unknown: str = "Invalid attribute key"  # how the error for an attribute that there is not begins


class Token(NamedTuple):
    """A piece of a filter: "number", "text", "name", "word", "sign" or "mark"."""

    kind: str
    text: str


def parse_filter(text: str, language: Language) -> Any | None:
    """The tree of a filter; None when it is empty. Raises ForeignError, naming the clause."""
    return Parser(text, language).whole()


def parse_order(text: str, language: Language) -> tuple[str, str, bool]:
    """(entity, key, ascending) of one order clause. Raises ForeignError."""
    tokens = _tokens(text)
    if not tokens or len(tokens) > 2 or tokens[0].kind not in ("name", "text"):
        raise invalid(f"Invalid order_by clause '{text[:200]}'. Could not be parsed.")
    direction = tokens[1].text.upper() if len(tokens) == 2 else "ASC"
    if direction not in ("ASC", "DESC"):
        raise invalid(f"Invalid ordering key in order_by clause '{text[:200]}'.")
    return *resolve(tokens[0].text, language), direction == "ASC"


def resolve(name: str, language: Language) -> tuple[str, str]:
    """(entity, key) that a name means. Raises ForeignError."""
    quoted = name.find("`.", 1) + 1 if name[0] == "`" else 0
    entity, dot, key = (name[:quoted], ".", name[quoted + 1 :]) if quoted else name.partition(".")
    if not dot or (name[0] in "`\"'" and not quoted):
        entity, key = "attribute", name
    entity = _bare(entity)
    if entity not in language.entities:
        raise invalid(f"Invalid entity type '{entity[:100]}'. {_entities(language)}")
    entity, key = language.entities[entity], _bare(key)
    if entity == "attribute":
        key = language.aliases.get(key, key)
        if key not in language.attributes:
            raise invalid(f"{language.unknown} '{key[:100]}' specified. {_valid_keys(language)}")
    if entity == "dataset" and key not in ("name", "digest", "context"):
        raise invalid(f"Invalid dataset key '{key[:100]}' specified. Valid keys are 'name', 'digest', 'context'")
    return entity, key


def offset_of(token: str) -> int:
    """Where the page that `token` names begins; 0 without one. Raises ForeignError."""
    if not token:
        return 0
    try:
        offset = msgspec.json.decode(base64.b64decode(token, validate=True), type=dict[str, int])["offset"]
    except (binascii.Error, ValueError, KeyError, msgspec.DecodeError):
        raise invalid("Invalid page token, could not base64-decode") from None
    if not 0 <= offset < 2**31:
        raise invalid(f"Invalid page token, parsed value={offset}")
    return offset


def token_of(offset: int) -> str:
    """The token of the page that begins at `offset`.

    >>> offset_of(token_of(20))
    20
    """
    return base64.b64encode(msgspec.json.encode({"offset": offset})).decode()


def _valid_keys(language: Language) -> str:
    return f"Valid keys are '{{{', '.join(repr(key) for key in sorted(language.attributes))}}}'"


def _entities(language: Language) -> str:
    if "metric" in language.entities:
        return f"Valid values are {sorted(set(language.entities.values()))}"
    return f"Valid entity types are {tuple(language.entities)}"


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "`\"'" else text


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise invalid(f"Invalid clause(s) in filter string: '{text[at : at + 100].strip()}'")
        value = match[match.lastgroup]
        kind = "word" if match.lastgroup == "name" and value.upper() in _WORDS else match.lastgroup
        found.append(Token(kind, value.upper() if kind == "word" else value))
        at = match.end()
    return found


class Parser:
    """Reads one filter. What a comparison is can be said anew in a class that comes of this one."""

    def __init__(self, text: str, language: Language) -> None:
        if len(text) > MOST_CHARS:
            raise invalid(f"The filter has {len(text)} characters; {MOST_CHARS} is the most")
        self._tokens = _tokens(text)
        self._language = language
        self._text = text
        self._at = 0
        self._depth = 0
        self._terms = 0

    def whole(self) -> Any | None:
        """The tree; None when there is nothing. Raises ForeignError, naming the clause."""
        if not self._tokens:
            return None
        tree = self._either()
        if self._at < len(self._tokens):
            raise self._unexpected()
        return tree

    def _either(self) -> Any:
        members = [self._both()]
        while self._take("word", "OR"):
            members.append(self._both())
        return members[0] if len(members) == 1 else Group("or", tuple(members))

    def _both(self) -> Any:
        # MLflow takes the words between the comparisons as they come: one too many at an end is no mistake.
        self._skip("AND")
        members = [self._one()]
        while self._skip("AND"):
            if self._at == len(self._tokens) or self._tokens[self._at].text == ")":
                break
            members.append(self._one())
        return members[0] if len(members) == 1 else Group("and", tuple(members))

    def _skip(self, word: str) -> bool:
        found = False
        while self._take("word", word):
            found = True
        return found

    def _one(self) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise invalid(f"The filter is nested deeper than {_DEEPEST} levels")
        try:
            if self._take("word", "NOT"):
                return Group("not", (self._one(),))
            if self._take("mark", "("):
                tree = self._either()
                self._need("mark", ")")
                return tree
            self._terms += 1
            if self._terms > MOST_TERMS:
                raise invalid(f"The filter has more than {MOST_TERMS} comparisons")
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Comparison:
        token = self._next()
        if token.kind not in ("name", "text") or token.text[0] == "'":
            raise invalid(f"Invalid comparison clause. Expected 'Identifier' found '{token.text[:100]}'")
        entity, key = resolve(token.text, self._language)
        if self._take("word", "IS"):
            negated = self._take("word", "NOT")
            self._need("word", "NULL")
            if entity not in ("tag", "parameter"):
                raise invalid(
                    f"IS NULL / IS NOT NULL is only supported for tags and params, not for '{entity}' '{key}'"
                )
            return Comparison(entity, key, "IS NOT NULL" if negated else "IS NULL", None)
        negated = self._take("word", "NOT")
        if self._take("word", "IN"):
            return Comparison(entity, key, "NOT IN" if negated else "IN", self._list(entity, key))
        operator = self._next()
        if negated or not (operator.kind == "sign" or operator.text in ("LIKE", "ILIKE")):
            raise invalid(f"Invalid comparison clause. Expected comparison found '{operator.text[:100]}'")
        sign = "!=" if operator.text == "<>" else operator.text
        return Comparison(entity, key, sign, self._value(entity, key, sign))

    def _list(self, entity: str, key: str) -> tuple[str, ...]:
        if entity in ("tag", "parameter"):
            raise self._unquoted_value(entity)
        if not (entity == "dataset" or (entity == "attribute" and key in self._language.lists)):
            raise invalid(
                f"Only {sorted(self._language.lists)} attributes support comparison with a list of quoted string"
                " values."
            )
        return self._texts()

    def _texts(self) -> tuple[str, ...]:
        self._need("mark", "(")
        values: list[str] = []
        if self._take("mark", ")"):
            raise invalid(
                "While parsing a list in the query, expected a non-empty list of string values, but got empty list"
            )
        while True:
            token = self._next()
            if token.kind != "text":
                raise invalid(
                    "While parsing a list in the query, expected string value, punctuation, or whitespace,"
                    f" but got different type in list: {token.text[:100]}"
                )
            values.append(unquoted(token.text))
            if not self._take("mark", ","):
                break
            if self._take("mark", ")"):  # a comma at the end, as Python's tuples have it
                return tuple(values)
        self._need("mark", ")")
        return tuple(values)

    def _value(self, entity: str, key: str, operator: str) -> Any:
        numeric = entity == "metric" or (entity == "attribute" and self._language.attributes[key])
        allowed = NUMERIC if numeric else TEXTUAL
        if operator not in allowed:
            if self._language.registry:
                raise invalid(f"Invalid comparator for {entity}{f' {key}' if numeric else ''}: {operator}")
            raise invalid(f"Invalid comparator '{operator}' not one of '{list(allowed)}'")
        if numeric:
            return self._number(entity, key)
        if self._at < len(self._tokens) and self._tokens[self._at].kind != "text":
            raise self._unquoted_value(entity)
        return unquoted(self._next().text)

    def _number(self, entity: str, key: str) -> float:
        token = self._next()
        text = token.text
        if self._language.registry:
            text = unquoted(text) if token.kind == "text" else text
            if token.kind not in ("number", "text") or not re.fullmatch(r"[+-]?\d{1,9}", text):
                raise invalid(f"Invalid value for numeric attribute '{key}': {text[:100]!r}")
        elif token.kind != "number":
            what = "metric" if entity == "metric" else f"numeric attribute: {key}"
            raise invalid(f"Expected numeric value type for {what}. Found {text[:100]}")
        return int(text) if entity != "metric" and text.lstrip("+-").isdigit() else float(text)

    def _unquoted_value(self, entity: str) -> ForeignError:
        """The error for a value that is not a text in quotes, as the next token."""
        token = self._next()
        if token.kind == "name":
            return invalid(
                "Parameter value is either not quoted or unidentified quote types used for string value"
                f" {token.text[:100]}. Use either single or double quotes."
            )
        if entity == "attribute":
            listed = " or a list of quoted string values" if self._language.registry else ""
            return invalid(f"Expected a quoted string value{listed} for attributes. Got value {token.text[:100]}")
        return invalid(f"Expected a quoted string value for {entity} (e.g. 'my-value'). Got value {token.text[:100]}")

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise invalid(f"Invalid clause(s) in filter string: it ends early: {self._text[-100:]!r}")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _need(self, kind: str, text: str) -> None:
        if not self._take(kind, text):
            raise (
                self._unexpected()
                if self._at < len(self._tokens)
                else invalid(f"Invalid clause(s) in filter string: '{text}' is missing at the end")
            )

    def _unexpected(self) -> ForeignError:
        return invalid(f"Invalid clause(s) in filter string: '{self._tokens[self._at].text[:100]}'")


def unquoted(text: str) -> str:
    """A text without its quotes.

    >>> unquoted("'it''s'")
    "it's"
    """
    return text[1:-1].replace(text[0] * 2, text[0])
