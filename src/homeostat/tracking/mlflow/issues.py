"""MLflow's calls on issues: what goes wrong in traces."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from homeostat.core.clock import now_ms
from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.foreign_search import Comparison, Group, Language, Parser, unquoted
from homeostat.core.ids import new_hex_id
from homeostat.core.workspace import Workspace
from homeostat.tracking import issues
from homeostat.tracking.issues import SEVERITIES, STATUSES, Issue
from homeostat.tracking.mlflow.traces import page_offset, page_token
from homeostat.tracking.mlflow.wording import experiment_id_of

_ROOT = "3.0/mlflow/issues"
_ID = re.compile(r"iss-[A-Za-z0-9_-]{1,32}\Z")
_MOST, _PAGE, _CHARS = 50_000, 100, 250
_LANGUAGE = Language(entities={"attribute": "attribute"}, attributes={"status": False, "source_run_id": False},
                     unknown="Invalid filter field")  # fmt: skip
_ORDERS: dict[str, Callable[[Issue], Any]] = {
    "name": lambda one: one.name.lower(), "status": lambda one: STATUSES.index(one.status),
    "severity": lambda one: SEVERITIES.index(one.severity) if one.severity else -1,
    "created_timestamp": lambda one: one.created_ms, "last_updated_timestamp": lambda one: one.updated_ms,
    "last_seen_timestamp": lambda one: one.last_seen_ms,
}  # fmt: skip


@rpc("POST", _ROOT, permission="tracking:write")
def create(ws: Workspace, args: Args) -> dict[str, Any]:
    """Keep an issue."""
    name, told = args.text("name", required=True), args.text("description", required=True, longest=100_000)
    given, by = args.text("issue_id"), args.text("created_by", longest=255)
    if given and not _ID.match(given):
        raise invalid("issue_id must be iss-* and at most 36 characters")
    times = issues.new_times()
    if args.has("last_seen_timestamp"):
        times["last_seen_ms"] = _seen(args)
    made = Issue(
        id=given or f"iss-{new_hex_id()}", name=_name(name), description=told, created_by=by, updated_by=by, **times,
        experiment_id=str(experiment_id_of(args.text("experiment_id", required=True))),
        status=_one_of(args.text("status") or "pending", "status", STATUSES),
        severity=_one_of(args.text("severity"), "severity", ("", *SEVERITIES)), root_causes=args.texts("root_causes"),
        categories=_categories(args), source_run_id=args.text("source_run_id"), metadata=_metadata(args),
    )  # fmt: skip
    return {"issue": _shape(issues.create_issue(ws, made))}


@rpc("GET", _ROOT + "/{issue_id}", permission="tracking:read")
def get(ws: Workspace, args: Args) -> dict[str, Any]:
    """An issue."""
    return {"issue": _shape(issues.get_issue(ws, args.text("issue_id")))}


@rpc("PATCH", _ROOT + "/{issue_id}", permission="tracking:write")
def update(ws: Workspace, args: Args) -> dict[str, Any]:
    """Change what is given of an issue; metadata key by key."""
    new: dict[str, Any] = {}
    if args.has("name"):
        new["name"] = _name(args.text("name"))
    if args.has("description"):
        new["description"] = args.text("description", longest=100_000)
    if args.has("status"):
        new["status"] = _one_of(args.text("status"), "status", STATUSES)
    if args.has("severity"):
        new["severity"] = _one_of(args.text("severity"), "severity", SEVERITIES)
    if args.has("categories"):
        new["categories"] = _categories(args)
    if args.has("last_updated_by"):
        new["updated_by"] = args.text("last_updated_by", longest=255)
    seen = _seen(args) if args.has("last_seen_timestamp") else 0
    more, fewer = _metadata(args), args.texts("delete_metadata_keys")
    if set(more) & set(fewer):
        raise invalid("Cannot update and delete the same key")

    def change(issue: Issue) -> Issue:
        metadata = {key: value for key, value in {**issue.metadata, **more}.items() if key not in fewer}
        _check_metadata(metadata)
        last = max(issue.last_seen_ms, seen)
        return replace(issue, **new, metadata=metadata, last_seen_ms=last, updated_ms=now_ms())

    return {"issue": _shape(issues.change_issue(ws, args.text("issue_id"), change))}


@rpc("POST", _ROOT + "/search", permission="tracking:read")
def search(ws: Workspace, args: Args) -> dict[str, Any]:
    """A page of the issues that meet a filter, the worst first or in another order."""
    limit = args.integer("max_results", default=_PAGE)
    if not 0 < limit <= _MOST:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be at most {_MOST}")
    view = args.text("view") or "full"
    if view not in ("basic", "full"):
        raise invalid("view must be basic or full")
    of = args.text("experiment_id")
    test, orders, asked = (
        _test(args),
        _orders(args),
        args.has("include_trace_count") and args.flag("include_trace_count"),
    )
    found = [one for one in issues.list_issues(ws, experiment_id_of(of) if of else None) if test(one)]
    counts = issues.traces_of_issues(ws, [one.id for one in found]) if asked else {}
    found.sort(key=lambda one: one.id, reverse=True)
    if not orders:
        found.sort(key=lambda one: (_ORDERS["severity"](one), counts.get(one.id, 0), one.created_ms), reverse=True)
    for key, descending in reversed(orders):
        found.sort(key=_ORDERS[key], reverse=descending)
    told = {key: value for key, value in args.values.items() if key not in ("page_token", "max_results")}
    question = hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()[:16]
    offset = page_offset(args.text("page_token"), question)
    page = found[offset : offset + limit]
    return present({
        "issues": [_shape(one, counts.get(one.id, 0) if asked else None, view == "basic") for one in page],
        "next_page_token": page_token(question, offset + limit) if len(found) > offset + limit else "",
        "total_count": len(found) if args.flag("include_total_count") else None,
    }, empty=("next_page_token",))  # fmt: skip


def _test(args: Args) -> Callable[[Issue], bool]:
    tree = _IssueParser(args.text("filter_string"), _LANGUAGE).whole()
    name = args.text("name", longest=_CHARS).lower()
    statuses = [_one_of(one, "status", STATUSES) for one in args.texts("statuses")]
    severities = [_one_of(one, "severity", SEVERITIES) for one in args.texts("severities")]
    categories = {one.strip().lower() for one in _categories(args)}

    def test(one: Issue) -> bool:
        return (
            name in one.name.lower()
            and (not statuses or one.status in statuses)
            and (not severities or one.severity in severities)
            and (not categories or bool(categories & {given.strip().lower() for given in one.categories}))
            and _meets(tree, one)
        )

    return test


def _meets(node: Any, one: Issue) -> bool:
    if isinstance(node, Group):
        if node.kind == "not":
            return not _meets(node.members[0], one)
        return (all if node.kind == "and" else any)(_meets(member, one) for member in node.members)
    return node is None or (getattr(one, node.key) == node.value) == (node.operator == "=")


class _IssueParser(Parser):
    def _comparison(self) -> Comparison:
        name = self._next()
        if name.text not in self._language.attributes:
            raise invalid(f"Invalid filter field '{name.text[:100]}'. Supported fields: {set(_LANGUAGE.attributes)}")
        sign = self._next().text
        if sign not in ("=", "!="):
            raise invalid(f"Invalid comparator '{sign[:20]}'. Supported comparators: {{'=', '!='}}")
        value = self._next()
        return Comparison("attribute", name.text, sign, unquoted(value.text) if value.kind == "text" else value.text)


def _orders(args: Args) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for clause in args.texts("order_by"):
        key, _, direction = clause.strip().partition(" ")
        if key not in _ORDERS or direction.strip().upper() not in ("", "ASC", "DESC"):
            raise invalid(f"Invalid issue order_by: {clause[:200]!r}")
        found.append((key, direction.strip().upper() == "DESC"))
    return found


def _shape(one: Issue, traces: int | None = None, basic: bool = False) -> dict[str, Any]:
    return present({
        "issue_id": one.id, "experiment_id": one.experiment_id, "name": one.name,
        "description": "" if basic else one.description, "status": one.status, "severity": one.severity,
        "root_causes": [] if basic else one.root_causes, "categories": one.categories,
        "source_run_id": one.source_run_id, "created_by": one.created_by, "last_updated_by": one.updated_by,
        "created_timestamp": one.created_ms, "last_updated_timestamp": one.updated_ms,
        "last_seen_timestamp": one.last_seen_ms, "metadata": {} if basic else one.metadata, "trace_count": traces,
    }, empty=["description"])  # fmt: skip


def _one_of(value: str, field: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise invalid(f"Invalid issue {field}: {value[:80]!r}")
    return value


def _name(name: str) -> str:
    if not 1 <= len(name) <= _CHARS:
        raise invalid("Issue name must contain 1 to 250 characters")
    return name


def _seen(args: Args) -> int:
    seen = args.integer("last_seen_timestamp")
    if seen < 0:
        raise invalid("last_seen_timestamp must be nonnegative milliseconds")
    return seen


def _categories(args: Args) -> list[str]:
    found = list(dict.fromkeys(args.texts("categories")))
    if len(found) > 100 or any(not 1 <= len(one) <= _CHARS for one in found):
        raise invalid("categories must contain at most 100 nonempty strings of at most 250 characters")
    return found


def _metadata(args: Args) -> dict[str, str]:
    given = args.object("metadata")
    found = {} if given is None else {key: given.text(key, longest=65_536) for key in given.values}
    _check_metadata(found)
    return found


def _check_metadata(metadata: dict[str, str]) -> None:
    if len(metadata) > 100 or any(not 1 <= len(key) <= _CHARS for key in metadata):
        raise invalid("metadata must be a string map with at most 100 entries")
