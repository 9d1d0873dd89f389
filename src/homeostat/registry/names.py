"""What models, aliases and tags may be called."""

from __future__ import annotations

import posixpath
import re

from homeostat.core.errors import InvalidInput

LONGEST_NAME = 256
LONGEST_ALIAS = 255
LONGEST_KEY = 250
LONGEST_VALUE = 100_000

# Marks the model of a prompt, a text with versions and aliases that MLflow's clients keep beside the models.
PROMPT_TAG = "mlflow.prompt.is_prompt"

# Between a deleted model's name and its id: never part of a name, so that the name is free at once.
GONE = ":deleted:"

_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")
_ALIAS = re.compile(r"[\w-]+(?:\.[\w-]+)*\Z")


def check_model_name(name: str) -> str:
    """`name` if it may name a model: 1 to 256 characters without `/` and `:`, not just blanks or dots.

    >>> check_model_name("Flight delay (2024)")
    'Flight delay (2024)'
    """
    plain = 0 < len(name) <= LONGEST_NAME and name.strip() and name not in (".", "..")
    if not plain or "/" in name or ":" in name or not printable(name):
        raise InvalidInput(
            f"{name[:200]!r} is not a valid model name",
            hint="1 to 256 characters without '/' and ':', such as 'flight-delay'",
            name=name[:200],
        )
    return name


def printable(text: str) -> bool:
    """Whether `text` has no control characters: spaces of any width and what joins emoji are fine.

    >>> printable("型号\u3000一"), printable("a\\nb")
    (True, False)
    """
    return not _CONTROL.search(text)


def check_alias(alias: str) -> str:
    """`alias` if it may point at a version.

    >>> check_alias("champion")
    'champion'
    """
    if not _ALIAS.match(alias) or len(alias) > LONGEST_ALIAS:
        raise InvalidInput(
            f"{alias[:200]!r} is not a valid alias", hint="letters, digits, '_', '-' and '.', at most 255 of them"
        )
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        raise InvalidInput(f"'{alias}' cannot be an alias", hint="'latest' and 'v1' have a meaning already")
    return alias


def check_tag(key: str, value: str = "") -> None:
    """Refuse a tag whose key is no path-like name of at most 250 characters, or whose value is over 100,000."""
    path = posixpath.normpath(key) if key else "."
    if path != key or path == "." or path.startswith(("..", "/")) or not printable(key) or len(key) > LONGEST_KEY:
        raise InvalidInput(f"{key[:200]!r} is not a valid tag key", hint="at most 250 printable characters, no '..'")
    if len(value) > LONGEST_VALUE:
        raise InvalidInput(f"the value of tag '{key}' has {len(value)} characters", hint="at most 100,000 are kept")


def is_prompt(tags: dict[str, str]) -> bool:
    """Whether these are the tags of a prompt."""
    return tags.get(PROMPT_TAG, "false").lower() == "true"
