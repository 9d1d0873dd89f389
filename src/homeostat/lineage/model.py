"""What lineage answers with. No I/O."""

from __future__ import annotations

from typing import Literal

from homeostat.core.records import Record

Direction = Literal["both", "up", "down"]


class Node(Record):
    """A version of an asset, or a run. `id` is unique in the answer; `run_id` is set on runs."""

    id: str
    kind: str
    label: str
    version: str | None
    run_id: str | None
    at_ms: int


class Edge(Record):
    """`target` came of `source`: a run of what it read, a version of the run that wrote it."""

    source: str
    target: str


class Lineage(Record):
    """A graph in the order of time. `truncated` says that it goes on beyond the limit."""

    nodes: list[Node]
    edges: list[Edge]
    truncated: bool = False
