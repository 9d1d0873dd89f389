"""Copying one run into this workspace, and comparing what arrived with what was sent.

A run keeps its id, so that copying it again adds nothing. The tag `homeostat.imported` is written last: it says that
everything is here and was compared, and with it a second import passes the run by.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Iterator
from itertools import islice

from homeostat.core.errors import Corrupt, NotFound
from homeostat.core.records import Record, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.artifacts import copy_artifact, list_artifacts
from homeostat.tracking.metrics import log_batch, points_of
from homeostat.tracking.model import EndStatus, Metric
from homeostat.tracking.moving.records import MovedRun, Point, Source
from homeostat.tracking.runs import create_run, delete_run, finish_run, get_run, set_tags

DONE = "homeostat.imported"
_BATCH = 1000
_ENDED: dict[str, EndStatus] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_POINT = struct.Struct("<qqd")
_NAN = struct.pack("<d", math.nan)


class Copied(Record):
    """What was copied of a run. `digest` names its points and files together: the same on both sides."""

    origin: str
    points: int
    files: int
    digest: str


class _Tally:
    """What one side has, as one hash."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self._hash.update(data)

    def whole(self) -> str:
        return self._hash.hexdigest()


def is_here(ws: Workspace, run_id: str) -> bool:
    """Whether an earlier import has brought this run whole."""
    try:
        return DONE in get_run(ws, run_id).tags
    except NotFound:
        return False


def adopt_run(ws: Workspace, source: Source, origin: str, experiment: str, run: MovedRun) -> Copied:
    """Copy `run` with every point and file, compare, and mark it as whole if it has ended.

    Raises: Corrupt when what arrived is not what was sent; whatever reading the source raises.
    """
    begin(ws, experiment, run)
    sent, here = _Tally(), _Tally()
    points = 0
    for key in run.keys:
        points += _copy_points(ws, run.id, key, source.history(run, key), sent)
        # All of them, also where several share a step.
        arrived = ws.db.read(lambda c, key=key: points_of(c, store.seq_of(c, run.id), key))
        _add(here, key, (Point(value=_number(one.value), at_ms=one.at_ms, step=one.step) for one in arrived))
    files = _copy_files(ws, source, run, sent) if run.files else 0
    for kept in list_artifacts(ws, run.id) if run.files else []:
        here.add(f"{kept.path}\0{kept.digest}\n".encode())
    if sent.whole() != here.whole():
        raise Corrupt(
            f"run {run.id} is not here as it was sent: {points} points, {files} files",
            hint="does somebody still write to it? Import it again",
            run=run.id,
        )
    copied = Copied(origin=origin, points=points, files=files, digest=here.whole())
    ended = _ENDED.get(run.status)
    if ended is not None:
        finish_run(ws, run.id, ended, end_ms=run.end_ms if run.end_ms is not None else run.start_ms)
        set_tags(ws, run.id, {DONE: to_json(copied)})
    if run.lifecycle == "deleted":
        delete_run(ws, run.id)
    return copied


def begin(ws: Workspace, experiment: str, run: MovedRun) -> None:
    """The run itself with its parameters and tags."""
    parent = run.tags.get("mlflow.parentRunId")
    try:
        known = get_run(ws, parent).id if parent else None
    except NotFound:  # a parent that was deleted for good, or that comes later: the tag still tells
        known = None
    create_run(
        ws, experiment, run.name or None, params=run.params, tags=run.tags, id=run.id, parent_id=known,
        start_ms=run.start_ms, source=run.tags.get("mlflow.source.name", ""),
        code_version=run.tags.get("mlflow.source.git.commit", ""),
    )  # fmt: skip


def _copy_points(ws: Workspace, run: str, key: str, points: Iterator[Point], sent: _Tally) -> int:
    whole: list[Point] = []
    while part := list(islice(points, _BATCH)):
        log_batch(ws, run, metrics=[Metric(key=key, value=p.value, step=p.step, at_ms=p.at_ms) for p in part])
        whole += part
    return _add(sent, key, whole)


def _add(digest: _Tally, key: str, points: Iterable[Point]) -> int:
    each = packed(points)
    digest.add(f"{key}\0{len(each)}\n".encode() + b"".join(each))
    return len(each)


def packed(points: Iterable[Point]) -> list[bytes]:
    """Points as bytes, in one order and each once: a point that was logged twice is one point."""
    return sorted({
        _POINT.pack(p.at_ms, p.step, p.value) if p.value == p.value else _POINT.pack(p.at_ms, p.step, 0.0)[:16] + _NAN
        for p in points
    })  # fmt: skip


def _copy_files(ws: Workspace, source: Source, run: MovedRun, sent: _Tally) -> int:
    lines: list[tuple[str, str]] = []
    for path in source.list_files(run.files):
        with source.open_file(run.files, path) as file:
            kept = copy_artifact(ws, run.id, path, file)
        lines.append((path, kept.digest))
    for path, digest in sorted(lines):
        sent.add(f"{path}\0{digest}\n".encode())
    return len(lines)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
