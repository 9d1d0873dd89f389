"""The graph around one version, walked over the facts that reading and writing inside runs left behind.

A pipeline counts as one run: what any of its steps read, the whole has read. Steps hand values to each other without
naming them, so a finer answer would be a guess.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import NotFound
from homeostat.core.lineage_facts import table as facts
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.lineage.model import Direction, Edge, Lineage, Node
from homeostat.tracking import parts_of, runs_by_id, wholes_of

Asset = tuple[str, str, str]  # kind, name, version

_AT_ONCE = 300


@verb(permission="lineage:read")
def of(
    ws: Workspace,
    kind: str,
    asset: str,
    version: str | int | None = None,
    direction: Direction = "both",
    limit: int = 500,
) -> Lineage:
    """What a version was made of, and what was made of it, through every run between.

    `kind` is table, tree, model, features, report or deployment (of a model, its version the generation); or "run",
    with the run's id as `asset` and no version. Both ends of the walk stop at about `limit` nodes. Raises: NotFound
    when nothing is known of it.

    >>> import homeostat as hs, tempfile
    >>> from homeostat.core.lineage_facts import record_read, record_write
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     with hs.run("train", ws=ws):
    ...         record_read(ws, "table", "flights", 3)
    ...         record_write(ws, "model", "delay", 1)
    ...     graph = ws.lineage.of("model", "delay", 1)
    >>> [(node.kind, node.label, node.version) for node in graph.nodes]
    [('table', 'flights', '3'), ('run', 'train', None), ('model', 'delay', '1')]
    """
    walk = _Walk(ws, limit)
    if kind == "run":
        walk.runs[wholes_of(ws, [asset])[asset]] = 0
    else:
        walk.assets[kind, asset, str(version)] = 0
    start_assets, start_runs = set(walk.assets), set(walk.runs)
    if direction != "down":
        walk.go(start_assets, start_runs, into="write", out="read")
    if direction != "up":
        walk.go(start_assets, start_runs, into="read", out="write")
    if not walk.edges:
        known = kind == "run" and runs_by_id(ws, [asset])
        if not known:
            raise NotFound(
                f"nothing is recorded of {kind} '{asset[:128]}'{'' if version is None else f' version {version}'}",
                hint="lineage comes of reading and writing inside a run: `with hs.run(): …`",
            )
    return walk.answer()


class _Walk:
    """What was found so far: assets and whole runs with the time of their first fact, and the edges between them."""

    def __init__(self, ws: Workspace, limit: int) -> None:
        self.ws = ws
        self.limit = limit
        self.assets: dict[Asset, int] = {}
        self.runs: dict[str, int] = {}
        self.edges: dict[tuple[str, str], None] = {}
        self.truncated = False

    def go(self, assets: set[Asset], runs: set[str], into: str, out: str) -> None:
        """From assets to the runs that did `into` with them, on to what those did `out` with, and so forth."""
        seen, done = set(assets), set[str]()
        while assets or runs:
            runs = (runs | self._runs_at(assets, into)) - done
            done |= runs
            assets = self._assets_of(runs, out) - seen
            seen |= assets
            runs = set()
            if len(self.assets) + len(self.runs) > self.limit:
                self.truncated |= bool(assets)
                return

    def answer(self) -> Lineage:
        runs = runs_by_id(self.ws, list(self.runs))
        nodes = [
            Node(id=_asset_id(a), kind=a[0], label=a[1], version=a[2], run_id=None, at_ms=at)
            for a, at in self.assets.items()
        ]
        for run_id, at in self.runs.items():
            run = runs.get(run_id)
            label = run.name if run else run_id
            began = run.start_ms if run else at
            nodes.append(Node(id=f"run:{run_id}", kind="run", label=label, version=None, run_id=run_id, at_ms=began))
        order = _in_order([node.id for node in nodes], list(self.edges), {node.id: node.at_ms for node in nodes})
        nodes.sort(key=lambda node: order[node.id])
        edges = [Edge(source=source, target=target) for source, target in self.edges]
        return Lineage(nodes=nodes, edges=edges, truncated=self.truncated)

    def _runs_at(self, assets: set[Asset], direction: str) -> set[str]:
        columns = sa.tuple_(facts.c.kind, facts.c.asset, facts.c.version)
        rows = self._facts(columns, sorted(assets), direction)
        wholes = wholes_of(self.ws, sorted({row.run_id for row in rows}))
        return {self._add(row, wholes[row.run_id])[0] for row in rows}

    def _assets_of(self, runs: set[str], direction: str) -> set[Asset]:
        wholes = parts_of(self.ws, sorted(runs))
        rows = self._facts(facts.c.run_id, sorted(wholes), direction)
        return {self._add(row, wholes[row.run_id])[1] for row in rows}

    def _facts(self, column: Any, values: list[Any], direction: str) -> list[Any]:
        def read(c: sa.Connection) -> list[Any]:
            rows: list[Any] = []
            for start in range(0, len(values), _AT_ONCE):
                part = values[start : start + _AT_ONCE]
                query = sa.select(facts).where(column.in_(part), facts.c.direction == direction)
                rows += c.execute(query.order_by(facts.c.at_ms, facts.c.run_id).limit(self.limit)).all()
            return rows

        return self.ws.db.read(read) if values else []

    def _add(self, row: Any, whole: str) -> tuple[str, Asset]:
        asset = (row.kind, row.asset, row.version)
        self.assets[asset] = min(self.assets.get(asset) or row.at_ms, row.at_ms)
        self.runs[whole] = min(self.runs.get(whole) or row.at_ms, row.at_ms)
        kept, run = _asset_id(asset), f"run:{whole}"
        self.edges[(kept, run) if row.direction == "read" else (run, kept)] = None
        return whole, asset


def _asset_id(asset: Asset) -> str:
    return f"{asset[0]}:{asset[1]}@{asset[2]}"


def _in_order(ids: list[str], edges: list[tuple[str, str]], at_ms: dict[str, int]) -> dict[str, tuple[int, int, str]]:
    """Sources before targets, then by time: the longest way to a node is its rank. Loops are cut where they close."""
    sources: dict[str, list[str]] = {node: [] for node in ids}
    for source, target in edges:
        sources[target].append(source)
    rank: dict[str, int] = {}
    for node in ids:
        waiting: list[tuple[str, bool]] = [(node, False)]
        open_nodes: set[str] = set()
        while waiting:
            at, done = waiting.pop()
            if done:
                rank[at] = max((rank[s] + 1 for s in sources[at] if s in rank), default=0)
                open_nodes.discard(at)
            elif at not in rank and at not in open_nodes:
                open_nodes.add(at)
                waiting.append((at, True))
                waiting += [(s, False) for s in sources[at] if s not in rank and s not in open_nodes]
    return {node: (rank[node], at_ms[node], node) for node in ids}
