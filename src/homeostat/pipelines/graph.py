"""The graph of a pipeline: which steps there are, with what they are called, and what they wait for.

A graph is data: it is built once in a child process (where the user's code may run) and then handed to the supervisor,
which never sees that code. Values not known yet stand in it as `Value(codec="step", …)`.
"""

from __future__ import annotations

from homeostat.core.records import Record
from homeostat.pipelines.model import Value

STEP = "step"  # codec of a value that a step is still to give: `note` names the step, `keys` the parts to take of it
WORKSPACE = "workspace"  # codec of the workspace itself, opened where the step runs


class Options(Record):
    """What `@step` was told. `version` is part of the cache key; the rest says how to run."""

    cache: bool = True
    retries: int = 0
    retry_wait_s: float = 1.0
    timeout_s: float | None = None
    version: str = ""
    isolation: str = "fork"


class Node(Record):
    """One call of a step. `function` is "module:name"; `code` and `libraries` come from its source."""

    name: str
    function: str
    arguments: dict[str, Value]
    options: Options
    code: dict[str, str] = {}
    libraries: dict[str, str] = {}


class Graph(Record):
    """A pipeline ready to run: steps in an order in which they may run, and what it gives.

    `sources` are the project's files that the steps' code comes from, with their digests, so that a step can see
    whether it still runs the code that its key was made of.
    """

    pipeline: str
    steps: list[Node]
    outputs: dict[str, Value]
    sources: dict[str, str] = {}
    python: str = ""


def awaited(value: Value) -> list[str]:
    """Names of the steps that `value` waits for, each once, in order."""
    found = [value.note] if value.codec == STEP else []
    for item in value.items:
        found += awaited(item)
    return list(dict.fromkeys(found))


def predecessors(node: Node) -> list[str]:
    """Names of the steps that must be done before `node` can run."""
    return list(dict.fromkeys(name for value in node.arguments.values() for name in awaited(value)))


def resolve(value: Value, outputs: dict[str, Value]) -> Value:
    """`value` with every awaited step replaced by what that step gave."""
    if value.codec == STEP:
        found = outputs[value.note]
        for part in value.keys:
            found = take(found, part, value.note)
        return found
    if not value.items:
        return value
    return Value(
        codec=value.codec,
        items=[resolve(item, outputs) for item in value.items],
        keys=value.keys,
        note=value.note,
    )


def take(value: Value, part: str, step: str) -> Value:
    """The part of a container at rest: a key of a dict, a position in a list or tuple.

    Raises: LookupError naming the step, the part, and which parts there are.
    """
    if value.codec == "dict" and part in value.keys:
        return value.items[value.keys.index(part)]
    if (
        value.codec in ("list", "tuple")
        and part.lstrip("-").isdigit()
        and -len(value.items) <= int(part) < len(value.items)
    ):
        return value.items[int(part)]
    if value.codec == "json" and not value.digest:
        data = value.data
        if isinstance(data, dict) and part in data:
            return Value(codec="json", data=data[part])
        if isinstance(data, list) and part.lstrip("-").isdigit() and -len(data) <= int(part) < len(data):
            return Value(codec="json", data=data[int(part)])
    there = value.keys or ([str(key) for key in value.data] if isinstance(value.data, dict) else [])
    raise LookupError(f"step '{step}' gave no part '{part}'" + (f"; it gave {', '.join(there)}" if there else ""))
