"""What the mock server answers of runs, with the server's own reading of what was typed and its own thinning."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.records import from_json, to_json
from homeostat.server import preview
from homeostat.tracking import media
from homeostat.tracking.curves import thin
from homeostat.tracking.model import Metric
from homeostat.tracking.query.parsing import parse, parse_order
from tests.tracking.slow_query import Seen, holds, ordered
from tests.web.figures_models import metric_history

Json = Any


def _seen(run: Json) -> Seen:
    facts = {name: run[name] for name in ("id", "name", "status", "experiment", "kind", "source")}
    facts |= {"start": run["start_ms"], "end": run["end_ms"], "parent": run["parent_id"]}
    facts["duration"] = None if run["end_ms"] is None else (run["end_ms"] - run["start_ms"]) / 1000
    points = {key: [(0, 0, value)] for key, value in run["metrics"].items() if value is not None}
    return Seen(facts, run["params"], run["tags"], points)


def _found(runs: list[Json], asked: dict[str, str]) -> list[Json]:
    named = {name: asked[name] for name in ("kind", "status", "experiment", "parent_id") if name in asked}
    tree = parse(asked.get("query"))
    return [
        run
        for run in runs
        if run.get("lifecycle", "active") == asked.get("lifecycle", "active")
        and all(run[name] == value for name, value in named.items())
        and holds(tree, _seen(run))
    ]


def page(runs: list[Json], asked: dict[str, str]) -> Json:
    found = {run["id"]: run for run in reversed(_found(runs, asked))}
    order = ordered([_seen(run) for run in found.values()], parse_order(asked.get("order_by", "-run.start")))
    found = [found[seen.facts["id"]] for seen in order]
    first, limit = int(asked.get("after", "0")), int(asked["limit"])
    last = first + limit
    shown = found[first:last]
    if "columns" in asked:
        columns = set(json.loads(asked["columns"]))
        shown = [
            {**run, **{g: {k: v for k, v in run[g].items() if f"{g}.{k}" in columns} for g in ("params", "metrics", "tags")}}
            for run in shown
        ]  # fmt: skip
    return {"runs": shown, "next": str(last) if last < len(found) else None}


def facets(runs: list[Json], asked: dict[str, str]) -> Json:
    found = _found(runs, asked)

    def keys(group: str) -> Json:
        return dict(Counter(key for run in found[:200] for key in run[group]).most_common())

    return {
        "runs": len(found),
        **{f"{name}s" if name != "status" else "statuses": dict(Counter(run[name] for run in found).most_common())
           for name in ("status", "kind", "experiment")},
        **{group: keys(group) for group in ("metrics", "params", "tags")},
    }  # fmt: skip


def _curve(run: Json, key: str) -> list[Metric]:
    return [Metric(**point) for point in metric_history(run, key)]


def ranges(runs: list[Json], asked: dict[str, str]) -> Json:
    found: Json = {}
    for ident in json.loads(asked["ids"]):
        run = next(run for run in runs if run["id"] == ident)
        found[ident] = {}
        for key in json.loads(asked["keys"]):
            values = [point.value for point in _curve(run, key)]
            if values:
                found[ident][key] = {"min": min(values), "max": max(values), "last": values[-1], "points": len(values),
                                     "last_step": len(values) - 1}  # fmt: skip
    return found


def _columns(points: list[Metric]) -> Any:
    return (
        array("q", [point.step for point in points]),
        array("q", [point.at_ms for point in points]),
        array("d", [math.nan if point.value is None else point.value for point in points]),
    )


def curves(runs: list[Json], asked: dict[str, str]) -> Json:
    known = {run["id"]: run for run in runs}
    pairs = [(ident, key) for ident in json.loads(asked["ids"]) for key in json.loads(asked["keys"])]
    from_step, to_step = (int(asked[name]) if name in asked else None for name in ("from_step", "to_step"))
    logged = [(ident, key, _curve(known[ident], key)) for ident, key in pairs]
    return [
        from_json(to_json(thin(ident, key, _columns(points), int(asked["points"]), from_step, to_step)), dict)
        for ident, key, points in logged
        if points
    ]


def _png(shade: int) -> bytes:
    return media.image([[[shade, 90, 200]] * 4] * 4).data


def _logged() -> list[tuple[media.Media, bytes]]:
    """What run-train-4 logged to be looked at."""
    entries: list[tuple[media.Media, bytes]] = []

    def add(kind: media.Kind, key: str, step: int, made: media.Encoded, caption: str = "") -> None:
        path = media.media_path(kind, key, step, made.suffix)
        entries.append(
            (media.Media(path=path, kind=kind, key=key, step=step, at_ms=step, caption=caption, facts=made.facts), made.data)
        )

    for step in (0, 10, 20):
        add("image", "samples/first", step, media.Encoded(data=_png(step * 10), suffix=".png"), f"after {step}")
    add("histogram", "delays", 10, media.histogram([1, 2, 2, 3, 9], bins=8))
    add("table", "worst", 20, media.table([{"flight": n, "carrier": "UA" if n % 2 else "AA"} for n in range(300)]))
    add("text", "summary", 20, media.text("Late in the evening.\nOn time at noon."))
    add("audio", "alarm", 0, media.audio([0.0] * 80, rate=8000))
    return entries


LOGGED = _logged()
CONSOLE = "".join(f"epoch {n} loss={1 / (n + 1):.3f}\n" for n in range(400))
FILES = {
    "config.json": b'{"objective": "binary", "seed": 7}',
    "console.txt": CONSOLE.encode(),
    "model.pkl": b"\x80",
    "notes/report.md": b"# Report\n\nLate **evenings**.\n\n<script>parent.document.title = 'taken'</script>\n",
    "predictions.parquet": b"PAR1",
    "report.csv": b'carrier,auc\nYV,0.681\n"Delta, Inc.",0.77\n',
    "report.html": b"<h1>Report</h1><script>parent.document.title = 'taken'</script>",
    **{entry.path: data for entry, data in LOGGED},
}


def artifacts(run: str) -> list[Json]:
    files = FILES if run == "run-train-4" else {}
    return [{"path": path, "digest": "d", "size": len(data), "at_ms": 0} for path, data in sorted(files.items())]


def logged(asked: dict[str, str]) -> Json:
    """What `list_media` answers."""
    entries = json.loads(to_json([entry for entry, _ in LOGGED]))
    return {run: entries for run in json.loads(asked["ids"]) if run == "run-train-4"}


def table_of(asked: dict[str, str]) -> Json:
    """What `preview_table` answers."""
    rows = [[str(n), f"{n / 7:.4f}"] for n in range(20)]
    return {"columns": ["flight", "score"], "types": ["Int64", "Float64"], "rows": rows, "total": 5000, "all_columns": 2}


async def preview_of(request: Request) -> Response:
    path = request.path_params["path"]
    return preview.shown(path, FILES[path])
