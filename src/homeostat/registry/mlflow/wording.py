"""What names, versions and tags may look like, refused in the words that MLflow's clients and tests know."""

from __future__ import annotations

import posixpath
import re
from typing import Any

from homeostat.core.foreign import Args, ForeignError, invalid
from homeostat.registry.names import LONGEST_ALIAS, LONGEST_KEY, LONGEST_NAME, LONGEST_VALUE

_TAG = re.compile(r"[/\w.\- :]*\Z")
_ALIAS = re.compile(r"[\w\-]*\Z")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:)"
    " and slashes (/)."
)
PROMPT_TEXT = "mlflow.prompt.text"


def model_name(args: Args, key: str = "name") -> str:
    """The argument that names a model."""
    name = args.text(key, required=True)
    if not name.strip():
        raise invalid(f"Missing value for required parameter '{key}'.")
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name[:300]}'. Names cannot contain '/' or ':'.")
    if why := _not_a_path(name):
        raise _invalid_value("name", name, why)
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise invalid(f"Invalid model name '{name[:300]}'. Names have at most {LONGEST_NAME} printable characters.")
    return name


def version_number(args: Args) -> int:
    """The argument that names a version."""
    value = args.values.get("version")
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else args.text("version", required=True)
    if not re.fullmatch(r"\s*[+-]?\d{1,9}\s*", text):
        raise invalid(f"Parameter 'version' must be an integer, got '{text[:100]}'.")
    return int(text)


def alias_name(args: Args, writing: bool = False) -> str:
    """The argument that names an alias; `writing` refuses those that have a meaning already."""
    alias = args.text("alias", required=True)
    if not _ALIAS.match(alias):
        raise invalid(
            f"Invalid alias name: '{alias[:300]}'. Names may only contain alphanumerics, underscores (_),"
            " and dashes (-)."
        )
    if len(alias) > LONGEST_ALIAS:
        raise _too_long("Registered model alias name", LONGEST_ALIAS)
    if writing and alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if writing and re.fullmatch(r"[vV]\d+", alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")
    return alias


def tag_key(args: Args) -> str:
    """The argument that names a tag."""
    return _checked_key(args.text("key", required=True))


def tags(args: Args) -> dict[str, str]:
    """The tags given with a new model or version; of a repeated key the last value."""
    found: dict[str, str] = {}
    for one in args.items("tags"):
        tag = Args(one)
        found[_checked_key(tag.text("key", required=True))] = tag_value(tag)
    return found


def tag_value(args: Args) -> str:
    """The value that goes with a tag's key."""
    value = args.text("value")
    if len(value) > LONGEST_VALUE:
        if args.values.get("key") == PROMPT_TEXT:
            raise invalid(f"Prompt text exceeds max length of {LONGEST_VALUE} characters.")
        raise _too_long("value", LONGEST_VALUE)
    return value


def no_model(name: str) -> ForeignError:
    """The error for a model that does not exist."""
    return ForeignError("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found", 404)


def no_version(name: str, version: int | str) -> ForeignError:
    """The error for a version that does not exist."""
    return ForeignError("RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version={version}) not found", 404)


def _checked_key(key: str) -> str:
    if not _TAG.match(key):
        raise _invalid_value("key", key, _CHARACTERS)
    if why := _not_a_path(key):
        raise _invalid_value("key", key, why)
    if len(key) > LONGEST_KEY:
        raise _too_long("key", LONGEST_KEY)
    return key


def _not_a_path(name: str) -> str:
    path = posixpath.normpath(name)
    if path == name and path != "." and not path.startswith(("..", "/")):
        return ""
    return (
        "Names may be treated as files in certain cases, and must not resolve to other names"
        f" when treated as such. This name would resolve to {path[:300]!r}"
    )


def _invalid_value(path: str, value: Any, why: str) -> ForeignError:
    return invalid(f"Invalid value \"{str(value)[:300]}\" for parameter '{path}' supplied: {why}")


def _too_long(what: str, limit: int) -> ForeignError:
    return invalid(f"'{what}' exceeds the maximum length of {limit} characters")
