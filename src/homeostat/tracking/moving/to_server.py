"""Moving out: every run of this workspace into a running MLflow server, over its REST protocol.

The server names runs itself, so a run carries the id it has here as the tag `homeostat.run`. The tag
`homeostat.exported` is written last, when everything was read back and compared: exporting again passes such a run by.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import blake3

from homeostat.core.errors import AlreadyExists, Corrupt, HomeostatError, InvalidInput
from homeostat.core.foreign_names import may_name
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.artifacts import list_artifacts
from homeostat.tracking.metrics import points_of
from homeostat.tracking.model import Artifact, Run
from homeostat.tracking.moving.adopt import packed
from homeostat.tracking.moving.calls import Calls
from homeostat.tracking.moving.records import Point
from homeostat.tracking.search import list_experiments, search_runs

ID, DONE = "homeostat.run", "homeostat.exported"
_POINTS, _PAIRS, _HISTORY, _PIECE = 1000, 100, 25_000, 1 << 20
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED", "lost": "KILLED"}


class RunsExported(Record):
    """`copied` runs went now, `already` were there from an earlier export; `left` says which were not, and why."""

    experiments: int
    copied: int
    already: int
    points: int
    files: int
    left: dict[str, str] = {}


class Target:
    """A running server that runs and models go to. Raises as `Calls` does."""

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise InvalidInput(
                f"runs are exported into a running server, and {url[:200]!r} names none",
                hint="start one on your database or folder, `mlflow server --backend-store-uri …`, and name it",
            )
        self.calls = Calls(url)
        self.runs: dict[str, dict[str, Any]] = {}

    def experiment(self, name: str, tags: dict[str, str]) -> str:
        """The id there of the experiment of this name, made if need be; what it holds from before is remembered."""
        try:
            asked = {"name": name, "tags": pairs(tags)}
            return str(self.calls.json("POST", "experiments/create", asked)["experiment_id"])
        except AlreadyExists:
            found = self.calls.json("GET", "experiments/get-by-name", {"experiment_name": name})["experiment"]
        if found.get("lifecycle_stage") == "deleted":
            raise InvalidInput(f"experiment '{name}' is deleted there", hint="restore it there, or rename it here")
        identity = str(found["experiment_id"])
        for run in self.calls.pages("POST", "runs/search", "runs", {"experiment_ids": [identity]}):
            tags = {tag["key"]: tag["value"] for tag in run.get("data", {}).get("tags", [])}
            if ID in tags:
                self.runs[tags[ID]] = {**run["info"], "done": DONE in tags}
        return identity

    def send(self, root: str, path: str, digest: str, size: int, source: BinaryIO) -> str:
        """Put a file below the artifact address `root`, read it back and compare; where it lies.

        Raises: InvalidInput where the server does not take files itself; Corrupt when it gives others back.
        """
        parts = urlsplit(root)
        if parts.scheme != "mlflow-artifacts":
            raise InvalidInput(
                f"its server keeps files at {root[:200]}, out of reach",
                hint="start that server with --artifacts-destination, so that it takes files itself",
            )
        target = "/api/2.0/mlflow-artifacts/artifacts/" + quote(f"{parts.path.strip('/')}/{path}")
        self.calls.put(target, source, size)
        hasher = blake3.blake3()
        with self.calls.file(target) as back:
            while piece := back.read(_PIECE):
                hasher.update(piece)
        if hasher.hexdigest() != digest:
            raise Corrupt(f"'{path}' did not arrive as it was sent", hint="export again")
        return f"{root.rstrip('/')}/{path}"


def export_runs(
    ws: Workspace, target: Target, told: Callable[[int, str], None] = lambda _number, _name: None
) -> RunsExported:
    """Copy every experiment and run that is not deleted, comparing each by count and hash; `told(number, name)` after
    each. Exporting again goes on with what is missing."""
    copied = already = points = files = 0
    left: dict[str, str] = {}
    experiments = [one for one in list_experiments(ws) if one.lifecycle == "active"]
    for experiment in experiments:
        try:
            identity = target.experiment(experiment.name, experiment.tags)
        except HomeostatError as error:
            left[f"experiment {experiment.name}"] = error.message
            continue
        for run in _runs(ws, experiment.name):
            try:
                done = _export(ws, target, identity, run)
            except HomeostatError as error:
                left[run.id] = error.message
            else:
                copied, already = copied + (done is not None), already + (done is None)
                points, files = points + (done or (0, 0))[0], files + (done or (0, 0))[1]
            told(copied + already + len(left), run.name)
    return RunsExported(
        experiments=len(experiments), copied=copied, already=already, points=points, files=files, left=left
    )


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    """Tags or parameters as the protocol has them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def _runs(ws: Workspace, experiment: str) -> Iterator[Run]:
    after = None
    while True:
        page = search_runs(ws, experiment, order_by="start", limit=500, after=after)
        yield from page.runs
        after = page.next
        if after is None:
            return


def _export(ws: Workspace, target: Target, experiment: str, run: Run) -> tuple[int, int] | None:
    """Points and files of a run that went now; None for one that was there."""
    known = target.runs.get(run.id)
    if known and known["done"]:
        return None
    tags = _tags(target, run)
    there = known or _begin(target, experiment, run, tags)
    identity = there["run_id"]
    _log(target, identity, "tags", pairs({key: value for key, value in tags.items() if may_name(key)}), _PAIRS)
    _log(target, identity, "params", pairs(run.params), _PAIRS)
    points = 0
    seq = ws.db.read(lambda c: store.seq_of(c, run.id))
    for key in run.metrics:
        ours = [
            Point(value=one.value, at_ms=one.at_ms, step=one.step)
            for one in ws.db.read(lambda c, key=key: points_of(c, seq, key))
        ]
        sent = [{"key": key, "value": _said(p.value), "timestamp": p.at_ms, "step": p.step} for p in ours]
        if _as_kept(ours) != _as_kept(_history(target, identity, key)):
            _log(target, identity, "metrics", sent, _POINTS)
            if _as_kept(ours) != _as_kept(_history(target, identity, key)):
                raise Corrupt(f"metric '{key}' is not there as it is here", hint="does somebody still write to it?")
        points += len(ours)
    kept = list_artifacts(ws, run.id)
    for artifact in kept:
        _send(ws, target, there["artifact_uri"], artifact)
    if run.status in _STATUS:
        ended = {"run_id": identity, "status": _STATUS[run.status], "end_time": run.end_ms or run.start_ms}
        target.calls.json("POST", "runs/update", ended)
        done = {"run_id": identity, "key": DONE, "value": f"{points} points, {len(kept)} files"}
        target.calls.json("POST", "runs/set-tag", done)
    target.runs[run.id] = {**there, "done": run.status in _STATUS}
    return points, len(kept)


def _tags(target: Target, run: Run) -> dict[str, str]:
    tags = {**run.tags, ID: run.id, "mlflow.runName": run.name}
    if run.parent_id is not None:
        parent = target.runs.get(run.parent_id)  # started before it, and so is there
        tags.pop("mlflow.parentRunId", None)
        tags |= {"mlflow.parentRunId": parent["run_id"]} if parent else {"homeostat.parent": run.parent_id}
    for key, value in (("mlflow.source.name", run.source), ("mlflow.source.git.commit", run.code_version)):
        if value:
            tags.setdefault(key, value)
    return tags


def _begin(target: Target, experiment: str, run: Run, tags: dict[str, str]) -> dict[str, Any]:
    asked = {"experiment_id": experiment, "start_time": run.start_ms, "run_name": run.name, "user_id": run.owner}
    # Tags of any name are taken when a run begins, and only then.
    first = {key: value for key, value in tags.items() if key in (ID, "mlflow.parentRunId") or not may_name(key)}
    made = target.calls.json("POST", "runs/create", {**asked, "tags": pairs(first)})["run"]["info"]
    target.runs[run.id] = {**made, "done": False}
    return made


def _log(target: Target, run: str, what: str, items: list[dict[str, Any]], most: int) -> None:
    for start in range(0, len(items), most):
        target.calls.json("POST", "runs/log-batch", {"run_id": run, what: items[start : start + most]})


def _history(target: Target, run: str, key: str) -> list[Point]:
    asked = {"run_id": run, "metric_key": key, "max_results": _HISTORY}
    return [
        Point(value=float(one["value"]), at_ms=int(one["timestamp"]), step=int(one.get("step", 0)))
        for one in target.calls.pages("GET", "metrics/get-history", "metrics", asked)
    ]


def _as_kept(points: list[Point]) -> list[bytes]:
    """Points to be compared: MLflow's database keeps an infinity as the largest number there is."""
    most = sys.float_info.max
    return packed(
        Point(value=p.value if math.isnan(p.value) else max(-most, min(most, p.value)), at_ms=p.at_ms, step=p.step)
        for p in points
    )


def _said(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _send(ws: Workspace, target: Target, root: str, artifact: Artifact) -> None:
    with open(ws.blobs.local_path(artifact.digest), "rb") as file:
        target.send(root, artifact.path, artifact.digest, artifact.size, file)
