"""What names may look like in MLflow's protocol, refused in the words that its clients and tests know."""

from __future__ import annotations

import json
import posixpath
import re
from functools import lru_cache
from typing import Any

from homeostat.core.foreign import ForeignError, invalid

_NAME = re.compile(r"[/\w.\- :]*\Z")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:)"
    " and slashes (/)."
)


def may_name(name: str) -> bool:
    """Whether `name` may name a metric, a parameter or a tag.

    >>> may_name("loss/train"), may_name("../loss")
    (True, False)
    """
    return not _problem(name)


def check_name(name: str, path: str) -> str:
    """`name` if it may name a metric, a parameter or a tag; `path` says where it stood. Raises ForeignError."""
    if problem := _problem(name):
        raise invalid_value(path, name, problem)
    return name


def check_path(name: str, path: str) -> str:
    """`name` if it names the same thing as a file's path, whatever its characters. Raises ForeignError."""
    if problem := _not_a_path(name):
        raise invalid_value(path, name, problem)
    return name


def check_length(text: str, what: str, longest: int) -> str:
    """`text` if it is no longer; `what` names it in the error. Raises ForeignError."""
    if len(text) > longest:
        raise invalid(f"'{what}' exceeds the maximum length of {longest} characters")
    return text


def invalid_value(path: str, value: Any, why: str = "") -> ForeignError:
    """The error for a value at `path` that cannot be meant."""
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return invalid(f"Invalid value {shown[:500]} for parameter '{path}' supplied" + (f": {why}" if why else "."))


@lru_cache(16_384)
def _problem(name: str) -> str:
    return _not_a_path(name) if _NAME.match(name) else _CHARACTERS


def _not_a_path(name: str) -> str:
    path = posixpath.normpath(name)
    if path == name and path != "." and not path.startswith(("..", "/")):
        return ""
    return (
        "Names may be treated as files in certain cases, and must not resolve to other names"
        f" when treated as such. This name would resolve to {path[:300]!r}"
    )
