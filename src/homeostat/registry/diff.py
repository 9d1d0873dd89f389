"""What differs between two versions, of one model or of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry.model import Change, ModelVersion, VersionDiff
from homeostat.registry.versions import get_version


@verb(permission="registry:read")
def diff_versions(ws: Workspace, model: str, first: int, second: int, other_model: str | None = None) -> VersionDiff:
    """Compare two versions: parameters, metrics, signature, files by digest, environment, data, tags.

    `second` is a version of `other_model` when that is given. Raises: NotFound.
    """
    a, b = get_version(ws, model, first), get_version(ws, other_model or model, second)
    return VersionDiff(
        first=f"{a.model}/{a.version}",
        second=f"{b.model}/{b.version}",
        same_package=a.digest == b.digest and a.source == b.source,
        params=changes(a.params, b.params),
        metrics=changes(a.metrics, b.metrics),
        signature=changes(_signature(a), _signature(b)),
        files=changes(a.files, b.files),
        environment=changes(_environment(a), _environment(b)),
        data=changes({d.table: d.version for d in a.data}, {d.table: d.version for d in b.data}),
        tags=changes(a.tags, b.tags),
    )


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Change]:
    """The names whose values differ, in their order.

    >>> [(c.name, c.first, c.second) for c in changes({"a": 1, "b": 2}, {"b": 3, "c": 4})]
    [('a', 1, None), ('b', 2, 3), ('c', None, 4)]
    """
    names = sorted({*first, *second})
    return [
        Change(name=name, first=first.get(name), second=second.get(name))
        for name in names
        if first.get(name) != second.get(name)
    ]


def _signature(version: ModelVersion) -> dict[str, str]:
    fields = [("input", version.signature.inputs), ("output", version.signature.outputs)]
    named = {f"{side} {field.name}": f"{field.dtype} {field.shape}" for side, found in fields for field in found}
    # The order of the columns is part of what a tensor means.
    order = ", ".join(field.name for field in version.signature.inputs)
    return {**named, "inputs in order": order} if version.signature.tensor else named


def _environment(version: ModelVersion) -> dict[str, str]:
    split = (line.partition("==") for line in version.environment)
    return {name.strip(): number.strip() or "any" for name, _, number in split}
