"""Cache keys: what a step's output depends on, kept in parts so that a difference can be named."""

from __future__ import annotations

from homeostat.core.blobs import digest_of
from homeostat.core.records import canonical_json, plain
from homeostat.pipelines.codecs import identity
from homeostat.pipelines.graph import WORKSPACE, Graph, Node, awaited, resolve
from homeostat.pipelines.model import Argument, Change, KeyParts, Value

_TEXT = 120


def key_parts(node: Node, graph: Graph, outputs: dict[str, Value]) -> KeyParts:
    """What the output of `node` depends on, now that everything it waits for is in `outputs`.

    Raises: LookupError when a part is taken of an output that has no such part.
    """
    arguments: dict[str, Argument] = {}
    for name, value in node.arguments.items():
        if value.codec == WORKSPACE:
            continue  # what a step reads of it is checked against lineage, see `freshness`
        source = ", ".join(awaited(value))
        resolved = resolve(value, outputs)
        arguments[name] = Argument(digest=identity(resolved), source=source, text=_short(resolved))
    return KeyParts(
        code=node.code,
        arguments=arguments,
        libraries=node.libraries,
        version=node.options.version,
        python=graph.python,
    )


def key_of(function: str, parts: KeyParts) -> str:
    """The cache key: 64 digits. Names of the steps that made the arguments do not count, their content does."""
    digests = {name: argument.digest for name, argument in parts.arguments.items()}
    rest = [function, parts.code, digests, parts.libraries, parts.version, parts.python]
    return digest_of(canonical_json(plain(rest)).encode())


def changes(before: KeyParts, after: KeyParts) -> list[Change]:
    """How two keys of one step differ, the likeliest cause first."""
    found: list[Change] = []
    for part, old, new in (
        ("code", before.code, after.code),
        ("library", before.libraries, after.libraries),
    ):
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                brief = 12 if part == "code" else 40
                found.append(
                    Change(part=part, name=name, before=old.get(name, "")[:brief], after=new.get(name, "")[:brief])
                )
    nothing = Argument(digest="")
    for name in sorted({*before.arguments, *after.arguments}):
        old, new = before.arguments.get(name, nothing), after.arguments.get(name, nothing)
        if old.digest != new.digest:
            part = "input" if new.source else "parameter"
            found.append(Change(part=part, name=name, before=_told(old), after=_told(new)))
    for name in ("version", "python"):
        old_text, new_text = getattr(before, name), getattr(after, name)
        if old_text != new_text:
            found.append(Change(part=name, name=name, before=old_text, after=new_text))
    return found


def sentence(found: list[Change]) -> str:
    """The differences in words.

    >>> sentence([Change(part="parameter", name="depth", before="3", after="5")])
    'parameter depth is 5, was 3'
    """
    return "; ".join(_phrase(change) for change in found)


def _phrase(change: Change) -> str:
    if change.part == "code":
        if not change.before:
            return f"{change.name} is new to it"
        return f"{change.name} is no longer used" if not change.after else f"{change.name} was edited"
    if change.part == "input":
        return f"input {change.name} (from {change.after.split(' ')[0]}) is different"
    if change.part == "library":
        return f"{change.name} is {change.after or 'no longer used'}, was {change.before or 'not used'}"
    if change.part == "data":
        return f"{change.name} is at version {change.after}, was {change.before}"
    label = change.part if change.part == change.name else f"{change.part} {change.name}"
    return f"{label} is {change.after or 'not given'}, was {change.before or 'not given'}"


def _told(argument: Argument) -> str:
    return f"{argument.source} {argument.digest[:12]}" if argument.source else argument.text


def _short(value: Value) -> str:
    if value.codec == "json" and not value.digest:
        text = canonical_json(value.data)
        return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
    return f"{value.note or value.codec} {identity(value)[:12]}"
