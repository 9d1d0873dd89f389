"""A run around your code: `with hs.run("churn") as run: run.log(loss=0.1)`.

What is logged is gathered in memory and sent by a background thread, at the latest a second later; leaving the block
sends the rest, then ends the run. Reading and writing assets inside the block is recorded as the run's lineage.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeostat.core.clock import now_ms
from homeostat.core.context import RUN_VARIABLE, acting_run
from homeostat.core.errors import HomeostatError
from homeostat.core.workspace import open as open_workspace
from homeostat.tracking.heartbeat import BEAT_S
from homeostat.tracking.model import Metric, RunKind

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

_EVERY_S = 1.0
_SEND_AT = 1_000
_MOST = 50_000  # points kept in memory before `log` itself waits for the sending


class LiveRun:
    """The open run: log to it from any thread. `id` names it, `ws` is its workspace."""

    def __init__(self, ws: Workspace, id: str, resumed: bool) -> None:
        self.ws = ws
        self.id = id
        self._resumed = resumed
        self._points: list[Metric] = []
        self._next_step: dict[str, int] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=f"homeostat-run-{id[:8]}", daemon=True)
        self._thread.start()

    def log(self, values: dict[str, float] | None = None, /, *, step: int | None = None, **more: float) -> None:
        """Log one value of each metric: `run.log(loss=0.1)` or `run.log({"loss/train": 0.1}, step=3)`.

        Without `step`, each key counts its own from 0, and goes on after the last one in a resumed run. Returns at
        once; at most 50,000 points wait in memory.
        """
        at = now_ms()
        with self._lock:
            for key, value in {**(values or {}), **more}.items():
                at_step = self._step(key) if step is None else step
                self._next_step[key] = at_step + 1
                self._points.append(Metric(key=key, value=float(value), step=at_step, at_ms=at))
            waiting = len(self._points)
        if waiting >= _MOST:
            self.flush()
        elif waiting >= _SEND_AT:
            self._wake.set()

    def log_params(self, params: dict[str, Any] | None = None, /, **more: Any) -> None:
        """Record what the run was given; on disk when this returns."""
        self.ws.tracking.log_params(self.id, {**(params or {}), **more})

    def set_tags(self, tags: dict[str, Any] | None = None, /, **more: Any) -> None:
        """Set tags; on disk when this returns."""
        self.ws.tracking.set_tags(self.id, {**(tags or {}), **more})

    def log_artifact(self, content: str | os.PathLike[str] | bytes, path: str | None = None) -> None:
        """Keep a file (by its path), or bytes, under `path`; the file's own name when none is given."""
        if isinstance(content, bytes):
            self.ws.tracking.log_artifact(self.id, path or "data.bin", content)
        else:
            self.ws.tracking.log_artifact(self.id, path or Path(content).name, Path(content).read_bytes())

    def flush(self) -> None:
        """Send what waits; it is on disk when this returns. On an error it keeps waiting, and the error is raised."""
        with self._sending:
            with self._lock:
                batch = self._points[:_MOST]
            if batch:
                self.ws.tracking.log_batch(self.id, batch)
                with self._lock:
                    del self._points[: len(batch)]

    def close(self) -> None:
        """Stop the background thread and send everything."""
        self._stopped = True
        self._wake.set()
        self._thread.join()
        while self._points:
            self.flush()

    def _step(self, key: str) -> int:
        if key not in self._next_step and self._resumed:
            history = self.ws.tracking.metric_history(self.id, key)
            return history[-1].step + 1 if history else 0
        return self._next_step.get(key, 0)

    def _work(self) -> None:
        beaten = 0.0
        while not self._stopped:
            now = now_ms() / 1000
            try:
                if now - beaten >= BEAT_S:
                    self.ws.tracking.heartbeat(self.id)
                    beaten = now
                self.flush()
            except HomeostatError:
                pass  # the points are kept; the next round tries again, and close() raises if it never succeeds
            self._wake.wait(_EVERY_S)
            self._wake.clear()


@contextmanager
def run(
    name: str | None = None,
    *,
    experiment: str = "default",
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    ws: Workspace | None = None,
    kind: RunKind = "run",
    parent_id: str | None = None,
    id: str | None = None,
) -> Generator[LiveRun]:
    """A run around a `with` block: finished when the block ends, failed with the traceback when it raises.

    `ws` defaults to the workspace that HOMEOSTAT_HOME names, `./.homeostat`. With the `id` of an earlier run it goes
    on with that one. Runs inside runs are their children. Ctrl-C marks it killed.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     with hs.run("first", ws=ws, params={"lr": 0.1}) as run:
    ...         for loss in (0.9, 0.5):
    ...             run.log(loss=loss)
    ...     done = ws.tracking.get_run(run.id)
    >>> done.status, done.params, done.metrics
    ('finished', {'lr': '0.1'}, {'loss': 0.5})
    """
    own = open_workspace() if ws is None else None
    workspace = own or ws
    assert workspace is not None
    try:
        begun = workspace.tracking.create_run(
            experiment=experiment, name=name, kind=kind, params=params or {}, tags=tags or {}, parent_id=parent_id,
            id=id, source=_source(), code_version=_code_version(),
        )  # fmt: skip
        live = LiveRun(workspace, begun.id, resumed=id is not None)
        try:
            with acting_run(begun.id), _inherited(begun.id):
                yield live
            live.close()
        except BaseException as error:
            _fail(live, error)
            raise
        workspace.tracking.finish_run(begun.id)
    finally:
        if own is not None:
            own.close()


def _fail(live: LiveRun, error: BaseException) -> None:
    killed = isinstance(error, KeyboardInterrupt | SystemExit)
    text = "".join(traceback.format_exception(error))[-6000:]
    try:
        live.close()
    finally:
        live.ws.tracking.finish_run(live.id, status="killed" if killed else "failed", error=text)


@contextmanager
def _inherited(run_id: str) -> Generator[None]:
    """Child processes started in the block record their lineage under the same run."""
    before = os.environ.get(RUN_VARIABLE)
    os.environ[RUN_VARIABLE] = run_id
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(RUN_VARIABLE, None)
        else:
            os.environ[RUN_VARIABLE] = before


def _source() -> str:
    first = sys.argv[0] if sys.argv else ""
    return "" if first in ("", "-c", "-m") else Path(first).name


def _code_version() -> str:
    try:
        told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""
