"""What names, versions and tags may look like, refused in the words that MLflow's clients and tests know."""

from __future__ import annotations

import re

from homeostat.core.foreign import Args, ForeignError, invalid
from homeostat.core.foreign_names import check_length, check_name, check_path
from homeostat.registry.names import LONGEST_ALIAS, LONGEST_KEY, LONGEST_NAME, LONGEST_VALUE, printable

_ALIAS = re.compile(r"[\w\-]*\Z")
PROMPT_TEXT = "mlflow.prompt.text"


def model_name(args: Args, key: str = "name") -> str:
    """The argument that names a model."""
    name = args.text(key, required=True)
    if not name.strip():
        raise invalid(f"Missing value for required parameter '{key}'.")
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name[:300]}'. Names cannot contain '/' or ':'.")
    check_path(name, "name")
    if len(name) > LONGEST_NAME or not printable(name):
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
    check_length(alias, "Registered model alias name", LONGEST_ALIAS)
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
    if len(value) > LONGEST_VALUE and args.values.get("key") == PROMPT_TEXT:
        raise invalid(f"Prompt text exceeds max length of {LONGEST_VALUE} characters.")
    return check_length(value, "value", LONGEST_VALUE)


def no_model(name: str) -> ForeignError:
    """The error for a model that does not exist."""
    return ForeignError("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found", 404)


def no_version(name: str, version: int | str) -> ForeignError:
    """The error for a version that does not exist."""
    return ForeignError("RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version={version}) not found", 404)


def _checked_key(key: str) -> str:
    return check_length(check_name(key, "key"), "key", LONGEST_KEY)
