"""From a spool to its workspace: in order, each thing at least once, where once more changes nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeostat.core.errors import Conflict, InvalidInput, NotFound, Refused, TooLarge
from homeostat.core.records import Record, from_json, to_json
from homeostat.tracking.model import Metric
from homeostat.tracking.spool import Frame, address, begun, left_behind, read_frames, read_sent, write_sent

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

FINAL = (InvalidInput, NotFound, Conflict, TooLarge, Refused)
"""Answers that asking again does not change. Everything else is tried again."""

_POINTS = 10_000
CONSOLE = "console.txt"
_CONSOLE_TAIL = 64 << 10
MEDIA_INDEX = "media/index.json"


class Delivered(Record):
    """What `sync` did with one spool: how its run stands, the frames sent and refused."""

    run_id: str
    status: str
    sent: int
    refused: int


class Delivery:
    """Delivers one spool to `ws`, as much as is there each time it is asked."""

    def __init__(self, ws: Workspace, folder: Path) -> None:
        self._ws = ws
        self._folder = folder
        self._indexed = 0
        self._console_seen = 0
        self.run_id = folder.name.rpartition(".")[0]
        self.offset = read_sent(folder)
        self.sent = 0
        self.refused: list[str] = []
        self.status = "running"
        self.last_ms = 0

    def some(self) -> bool:
        """Deliver the next part; whether there was any. Raises what the workspace answered when it may change yet."""
        frames = read_frames(self._folder, self.offset)
        group: list[tuple[Frame, int]] = []
        points = 0
        for frame, end in frames:
            joins = frame[0] in ("m", "params", "tags")
            if group and (not joins or points >= _POINTS):
                self._group(group)
                group, points = [], 0
            if joins:
                group.append((frame, end))
                points += len(frame[2]) if frame[0] == "m" else 0
            else:
                self._one(frame, end)
        if group:
            self._group(group)
        return bool(frames)

    def everything(self) -> None:
        """Deliver until nothing is left."""
        while self.some():
            pass
        self.attachments()

    def attachments(self) -> None:
        """Keep what the spool has beside its frames: the console's text, and the index of images, tables and so on."""
        console = self._folder / "console"
        if console.exists() and console.stat().st_size:
            self._ws.tracking.log_artifact(self.run_id, CONSOLE, settled(console.read_bytes()))
        self.index_media()

    def console_so_far(self) -> None:
        """Keep the end of the console while it still grows, so that one can read along; the whole comes at the end."""
        console = self._folder / "console"
        size = console.stat().st_size if console.exists() else 0
        if size == self._console_seen:
            return
        with open(console, "rb") as file:
            file.seek(max(0, size - _CONSOLE_TAIL))
            told = file.read(_CONSOLE_TAIL)
        if size > _CONSOLE_TAIL:
            told = b"[earlier lines come when the run ends]\n" + told[told.find(b"\n") + 1 :]
        self._ws.tracking.log_artifact(self.run_id, CONSOLE, settled(told))
        self._console_seen = size

    def index_media(self) -> None:
        """Add the images, tables and so on of this spool to the run's index of them."""
        try:
            told = (self._folder / "media").read_bytes()
        except FileNotFoundError:
            return
        lines = told[: told.rfind(b"\n") + 1].splitlines()
        if len(lines) == self._indexed:
            return
        entries = [from_json(line, dict[str, Any]) for line in lines]
        try:
            known = from_json(self._ws.tracking.read_artifact(self.run_id, MEDIA_INDEX), list[dict[str, Any]])
        except NotFound:
            known = []
        by_path = {entry["path"]: entry for entry in [*known, *entries]}
        self._ws.tracking.log_artifact(self.run_id, MEDIA_INDEX, to_json(list(by_path.values())).encode())
        self._indexed = len(lines)

    def _group(self, group: list[tuple[Frame, int]]) -> None:
        try:
            self._ws.tracking.log_batch(self.run_id, **_batch([frame for frame, _ in group]))
        except FINAL as error:
            if len(group) > 1:  # one of them is wrong: the others must not suffer from it
                for one in group:
                    self._group([one])
                return
            self._refuse(group[0][0], error)
        self.last_ms = max([self.last_ms, *(frame[1] for frame, _ in group if frame[0] == "m")])
        self._done(group[-1][1], len(group))

    def _one(self, frame: Frame, end: int) -> None:
        kind, ws = frame[0], self._ws
        try:
            if kind == "begin":
                self._begin(frame[1])
            elif kind == "file":
                ws.tracking.log_artifact(self.run_id, frame[1], (self._folder / frame[2]).read_bytes())
            elif kind == "end":
                self.attachments()
                ws.tracking.finish_run(self.run_id, status=frame[1], error=frame[2], end_ms=frame[3])
                self.status, self.last_ms = frame[1], frame[3]
        except (*FINAL, FileNotFoundError) as error:
            self._refuse(frame, error)
        self._done(end, 1)
        if kind == "file":
            (self._folder / frame[2]).unlink(missing_ok=True)

    def _begin(self, given: dict[str, Any]) -> None:
        given = {name: value for name, value in given.items() if name != "to"}
        self.last_ms = given["start_ms"]
        try:
            self._ws.tracking.create_run(**given)
        except NotFound:  # the run around it never came here
            self._ws.tracking.create_run(**{**given, "parent_id": None})

    def _refuse(self, frame: Frame, error: Exception) -> None:
        self.refused.append(f"{frame[0]}: {error}")

    def _done(self, end: int, frames: int) -> None:
        self.offset = end
        self.sent += frames
        write_sent(self._folder, end)


def deliver_left_behind(ws: Workspace, root: Path, run_id: str | None = None, own: bool = False) -> list[Delivered]:
    """Deliver every spool below `root` whose process has gone, and remove those that are delivered.

    With `run_id` only that run's; with `own` only those that were meant for this workspace. A run whose process died
    without ending it is heard of for the last time when it last logged, and so becomes lost. What the workspace
    refuses for good is kept in the spool's folder as `log.refused`.
    """
    done: list[Delivered] = []
    held = left_behind(root)
    try:
        for folder, _ in held:
            first = begun(folder)
            if first is not None and run_id in (None, first["id"]) and (not own or first["to"] == address(ws)):
                done.append(_deliver(ws, folder))
    finally:
        for _, fd in held:
            os.close(fd)
    return done


def _deliver(ws: Workspace, folder: Path) -> Delivered:
    delivery = Delivery(ws, folder)
    try:
        delivery.everything()
        if delivery.status == "running":
            delivery.status = ws.tracking.get_run(delivery.run_id).status
            if delivery.status == "running" and delivery.last_ms:
                ws.tracking.heartbeat(delivery.run_id, at_ms=delivery.last_ms)
    except FINAL as error:
        delivery.refused.append(str(error))
        delivery.status = "refused"
    if delivery.refused:
        (folder / "log").rename(folder / "log.refused")
        (folder / "refused.txt").write_text("\n".join(delivery.refused))
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return Delivered(run_id=delivery.run_id, status=delivery.status, sent=delivery.sent, refused=len(delivery.refused))


def _batch(frames: list[Frame]) -> dict[str, Any]:
    metrics: list[Metric] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    for frame in frames:
        if frame[0] == "m":
            metrics += [Metric(key=key, value=value, step=step, at_ms=frame[1]) for key, step, value in frame[2]]
        else:
            (params if frame[0] == "params" else tags).update(frame[2])
    return {"metrics": metrics, "params": params, "tags": tags}


def settled(console: bytes) -> bytes:
    """A console's text as it looked in the end: of a line that was written over (a progress bar), the last state.

    >>> settled(b"10%\\r50%\\r100%\\ndone\\r\\n")
    b'100%\\ndone\\n'
    """
    return b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in console.split(b"\n"))
