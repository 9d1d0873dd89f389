"""What names and values may look like, refused in the words that MLflow's clients and tests know."""

from __future__ import annotations

from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.foreign import Args, ForeignError, invalid, number_of
from homeostat.core.foreign_names import check_length, check_name, invalid_value
from homeostat.tracking.artifact_paths import check_path

KEY_CHARS, PARAM_CHARS, TAG_CHARS = 250, 6000, 8000
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

VIEWS = {
    "ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted"),
    1: ("active",), 2: ("deleted",), 3: ("active", "deleted"),
}  # fmt: skip
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")


def not_found(run_id: str) -> ForeignError:
    """The error for a run that does not exist."""
    return ForeignError("RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id[:256]} not found", 404)


def not_active(run_id: str, lifecycle: str) -> ForeignError:
    """The error for a change to a deleted run."""
    return invalid(f"The run {run_id} must be in the 'active' state. Current state is {lifecycle}.")


def run_id(args: Args) -> str:
    """The run that a call is about: `run_id`, or `run_uuid` of older clients."""
    return args.text("run_id") or args.text("run_uuid") or args.text("run_id", required=True)


def check_key(name: str, path: str, limit: str) -> str:
    """`name` if it may name something at `path` and is not too long; `limit` names it in that error."""
    return check_length(check_name(name, path), limit, KEY_CHARS)


def required(args: dict[str, Any], name: str, path: str) -> Any:
    """`args[name]`, which must be there and not empty."""
    value = args.get(name)
    if value is None or value == "":
        raise Args({}).missing(f"{path}.{name}")
    return value


def text_of(value: Any, path: str) -> str:
    """`value` if it is text."""
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise invalid_value(path, value, f"Hint: Value was of type '{type(value).__name__}'.")
    return value


def pairs(
    items: list[dict[str, Any]], path: str, longest: int = TAG_CHARS, named: bool = True
) -> list[tuple[str, str]]:
    """Tags or parameters as (key, value): keys checked, values cut at `longest`, the last of a repeated key counts.

    Where not `named`, a key may hold any character, as tags may that a run begins with.
    """
    found: dict[str, str] = {}
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        key = text_of(required(item, "key", at), f"{at}.key")
        check_length(
            check_name(key, f"{at}.key") if named else key, f"{at}.key" if path == "tags" else "Param key", KEY_CHARS
        )
        found[key] = text_of(item.get("value"), f"{at}.value")[:longest]
    return list(found.items())


def metric_number(value: Any, path: str) -> float:
    """The value of a point."""
    if isinstance(value, bool):
        raise invalid_value(path, value, "Please specify value as a valid double (64-bit floating point)")
    return number_of(value, path)


def status_of(args: Args) -> str | None:
    """The status that a call sets, in our words; None when it sets none."""
    given = args.values.get("status")
    if given is None:
        return None
    if isinstance(given, int) and 1 <= given <= len(STATUSES):
        given = STATUSES[given - 1]
    if given not in STATUSES:
        raise invalid_value("status", given, f"it is one of {', '.join(STATUSES)}")
    return str(given).lower()


def status_out(status: str) -> str:
    """Our status in MLflow's words; a run that fell silent counts as killed."""
    return "KILLED" if status == "lost" else status.upper()


def view_of(args: Args, name: str) -> tuple[str, ...]:
    """The lifecycle stages that a search looks at."""
    given = args.values.get(name) or "ACTIVE_ONLY"
    if isinstance(given, str) and given.isdecimal() and len(given) < 10:
        given = int(given)
    if not isinstance(given, str | int) or given not in VIEWS:
        raise invalid_value(name, given, "it is one of ACTIVE_ONLY, DELETED_ONLY, ALL")
    return VIEWS[given]


def safe_path(path: str, empty: bool = False) -> str:
    """The path of an artifact, checked, and refused in the words that clients compare to the letter."""
    try:
        return check_path(path, empty)
    except InvalidInput:
        raise invalid("Invalid path") from None


def experiment_id_of(given: str) -> int:
    """An experiment's id; empty text is the default one."""
    try:
        number = int(given or "0")
    except ValueError:
        number = INT_MAX + 1
    if number < 0:
        raise ForeignError("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={number} exists", 404)
    if number > INT_MAX:
        raise invalid(f"Invalid experiment ID '{given[:100]}'. Experiment ID must be a valid integer.")
    return number
