"""A run around your code: `with hs.run("churn") as run: run.log(loss=0.1)`.

What is logged goes to a file on this machine's disk (`spool.py`) before `log` returns; a background thread reads it
there and sends it, at the latest a second later. Memory holds one part of that at a time, however slow the workspace
is. Leaving the block sends the rest, then ends the run. Reading and writing assets inside the block is recorded as the
run's lineage.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeostat.core.clock import now_ms
from homeostat.core.context import RUN_VARIABLE, acting_run, current_run
from homeostat.core.errors import Conflict, HomeostatError, NotFound, Unavailable
from homeostat.core.ids import new_hex_id
from homeostat.core.records import to_json
from homeostat.core.settings import Settings
from homeostat.core.workspace import open as open_workspace
from homeostat.tracking import media
from homeostat.tracking.console import captured
from homeostat.tracking.delivery import Delivery, deliver_left_behind
from homeostat.tracking.machine import Machine
from homeostat.tracking.model import RunKind
from homeostat.tracking.spool import (
    Spool,
    address,
    check_id,
    check_key,
    last_steps,
    new_spool,
    read_sent,
    spool_root,
    write_sent,
)
from homeostat.tracking.surroundings import code_version, environment, git_state, source

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

LastStep = Callable[[str], int | None]

_EVERY_S = 1.0
_BEAT_S = 15
_SEND_AT = 1_000  # points before the sending is woken early
_PATIENCE_S = 20.0  # how long the end of the block waits for a workspace that does not answer
_SPOOL_BYTES = 64 << 20


class LiveRun:
    """The open run: log to it from any thread. `id` names it; `ws` is its workspace, None for an offline run."""

    def __init__(
        self,
        spool: Spool,
        id: str,
        ws: Workspace | None,
        last_step: LastStep,
        machine: bool = False,
        surroundings: bool = False,
    ) -> None:
        self.ws = ws
        self.id = id
        self._spool = spool
        self._last_step = last_step
        self._next_step: dict[str, int] = {}
        self._params: dict[str, str] = {}
        self._lock = threading.Lock()
        self._waiting = 0
        self._surroundings = surroundings
        self._problem: Exception | None = None
        self._delivery = Delivery(ws, spool.folder) if ws is not None else None
        self._sending = threading.Lock()
        self._machine = Machine() if machine else None
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=f"homeostat-run-{id[:8]}", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """Where the run's spool lies on this machine, until everything is sent."""
        return self._spool.folder

    def log(
        self,
        values: dict[str, float] | None = None,
        /,
        *,
        step: int | None = None,
        at_ms: int | None = None,
        **more: float,
    ) -> None:
        """Log one value of each metric: `run.log(loss=0.1)` or `run.log({"loss/train": 0.1}, step=3)`.

        Without `step`, each key counts its own from 0, and goes on after the last one in a resumed run; without
        `at_ms` it is logged now. The points
        are in a file on this machine when this returns: they survive this process, however it ends, and from a second
        later on the machine too.

        Raises: InvalidInput for a malformed key, value or step; StorageFull when this machine's disk is full.
        """
        points: list[tuple[str, int, float]] = []
        with self._lock:
            for key, value in {**(values or {}), **more}.items():
                next_step = self._next_step.get(key)
                if next_step is None:
                    next_step = self._first_step(key)
                at_step = next_step if step is None else step
                points.append((key, at_step, float(value)))
                self._next_step[key] = at_step + 1
            self._waiting += len(points)
            waiting = self._waiting
        self._spool.append("m", now_ms() if at_ms is None else at_ms, points)
        if waiting >= _SEND_AT and not self._wake.is_set():
            self._wake.set()

    def log_params(self, params: dict[str, Any] | None = None, /, **more: Any) -> None:
        """Record what the run was given; on disk when this returns. Raises Conflict when one has another value."""
        given = {key: str(value) for key, value in {**(params or {}), **more}.items()}
        if not self._directly(lambda ws: ws.tracking.log_params(self.id, given)):
            for key, value in given.items():
                check_key(key)
                if self._params.setdefault(key, value) != value:
                    raise Conflict(
                        f"parameter '{key}' of run {self.id} is {self._params[key]!r} and does not change",
                        hint="begin another run, or record what varies as a metric or a tag",
                    )
            self._spool.append("params", now_ms(), given)

    def set_tags(self, tags: dict[str, Any] | None = None, /, **more: Any) -> None:
        """Set tags; on disk when this returns."""
        given = {check_key(key): str(value) for key, value in {**(tags or {}), **more}.items()}
        if not self._directly(lambda ws: ws.tracking.set_tags(self.id, given)):
            self._spool.append("tags", now_ms(), given)

    def log_artifact(self, content: str | os.PathLike[str] | bytes, path: str | None = None) -> None:
        """Keep a file (by its path), or bytes, under `path`; the file's own name when none is given."""
        if isinstance(content, bytes):
            path = path or "data.bin"
        else:
            path, content = path or Path(content).name, Path(content)
        self._spool.append("file", path, self._spool.keep(content))
        self._wake.set()

    def log_image(self, key: str, content: Any, *, step: int | None = None, caption: str = "") -> str:
        """Keep an image: an array (height × width × channels), a Pillow image, or an image file's bytes."""
        return self._log_media("image", key, media.image(content), step, caption)

    def log_figure(self, key: str, content: Any, *, step: int | None = None, caption: str = "") -> str:
        """Keep a Matplotlib or Plotly figure as it looks now."""
        return self._log_media("figure", key, media.figure(content), step, caption)

    def log_histogram(
        self, key: str, values: Any, *, bins: int = 64, step: int | None = None, caption: str = ""
    ) -> str:
        """Keep how values are distributed: counts in `bins` equal bins."""
        return self._log_media("histogram", key, media.histogram(values, bins), step, caption)

    def log_table(self, key: str, rows: Any, *, step: int | None = None, caption: str = "") -> str:
        """Keep a small table: a list of mappings, a mapping of columns, or a frame; at most 100,000 rows."""
        return self._log_media("table", key, media.table(rows), step, caption)

    def log_text(self, key: str, content: str, *, step: int | None = None, caption: str = "") -> str:
        """Keep a text."""
        return self._log_media("text", key, media.text(content), step, caption)

    def log_audio(
        self, key: str, content: Any, *, rate: int = 16_000, step: int | None = None, caption: str = ""
    ) -> str:
        """Keep a sound: samples from -1 to 1 at `rate` a second, or a sound file's bytes."""
        return self._log_media("audio", key, media.audio(content, rate), step, caption)

    def measure(self, pid: int) -> None:
        """From now on measure another process of this machine than this one."""
        if self._machine is not None:
            self._machine = Machine(pid)

    def flush(self) -> None:
        """Send what was logged; the workspace has it when this returns. On an error it stays here, and this raises."""
        if self._delivery is None:
            self._spool.sync_disk()
            return
        with self._sending:
            while self._delivery.some():
                pass
            self._delivery.index_media()
            self._waiting = 0

    def _log_media(self, kind: media.Kind, key: str, encoded: media.Encoded, step: int | None, caption: str) -> str:
        check_key(key)
        counter = f"\0{kind}/{key}"  # counted apart from the metric of that name
        with self._lock:
            at_step = self._next_step.get(counter, 0) if step is None else step
            self._next_step[counter] = at_step + 1
        path = media.media_path(kind, key, at_step, encoded.suffix)
        entry = media.Media(
            path=path, kind=kind, key=key, step=at_step, at_ms=now_ms(), caption=caption, facts=encoded.facts
        )
        self.log_artifact(encoded.data, path)
        with self._lock, open(self._spool.folder / "media", "ab", buffering=0) as index:
            index.write(to_json(entry).encode() + b"\n")
        return path

    def _directly(self, ask: Callable[[Workspace], object]) -> bool:
        """Ask the workspace, so that its refusal is heard at once; False when it is not at hand."""
        if self.ws is None:
            return False
        try:
            ask(self.ws)
        except Unavailable:
            return False
        return True

    def _first_step(self, key: str) -> int:
        last = self._last_step(check_key(key))
        return 0 if last is None else last + 1

    def end(self, status: str, error: str | None) -> None:
        """Stop the background thread, send everything, end the run.

        A workspace that does not answer within 20 seconds costs the run nothing but a warning: what was logged stays
        here, and `homeostat sync` sends it.
        """
        self._stopped = True
        self._wake.set()
        self._thread.join()
        self._spool.append("end", status, error, now_ms())
        if self._delivery is None:
            self._spool.sync_disk()
            self._spool.close()
            return
        waited_until = time.monotonic() + _PATIENCE_S
        while (missing := self._try_everything(self._delivery)) is not None and time.monotonic() < waited_until:
            if not isinstance(missing, Unavailable):
                break
            time.sleep(0.5)
        if missing is None and not self._delivery.refused:
            self._spool.remove()
            return
        self._spool.sync_disk()
        self._spool.close()
        told = f"{missing}\n`homeostat sync` sends it." if missing else "; ".join(self._delivery.refused[:3])
        warnings.warn(f"run {self.id}: not everything was sent. {told} It lies in {self._spool.folder}", stacklevel=5)

    def _try_everything(self, delivery: Delivery) -> HomeostatError | None:
        try:
            with self._sending:
                delivery.everything()
        except HomeostatError as error:
            return error
        return None

    def _work(self) -> None:
        beaten = sampled = time.monotonic()
        on_disk = 0
        self._beat()
        self._record()
        while not self._stopped:
            now = time.monotonic()
            try:
                if self._machine is not None and now - sampled >= _BEAT_S:
                    sampled = now
                    self.log(self._machine.sample())
                if now - beaten >= _BEAT_S:
                    beaten = now
                    self._beat()
                self._send()
            except Exception as error:
                self._problem = error  # it stays in the spool: tried again in a second, and told of at the end
            size = self._spool.size()
            if size != on_disk and (self._delivery is None or self._delivery.offset < size):
                self._spool.sync_disk()
                on_disk = size
            self._wake.wait(_EVERY_S)
            self._wake.clear()

    def _beat(self) -> None:
        try:
            if self.ws is not None and self._delivery is not None:
                self.ws.tracking.heartbeat(self.id)
                with self._sending:
                    self._delivery.index_media()
                    self._delivery.console_so_far()
        except Exception as error:
            self._problem = error

    def _send(self) -> None:
        if self._delivery is None:
            return
        with self._sending:
            while self._delivery.some() and not self._stopped:
                self._waiting = 0
            if self._delivery.offset >= _SPOOL_BYTES and self._spool.start_again(self._delivery.offset):
                self._delivery.offset = read_sent(self._spool.folder)

    def _record(self) -> None:
        if not self._surroundings:
            return
        try:
            told, state = environment(), git_state()
            script = Path(sys.argv[0]) if source().endswith(".py") else None
            if state is not None:
                told["git"] = state[0]
                if state[1]:
                    self.log_artifact(state[1].encode(), "code/changes.diff")
            if script is not None and script.is_file() and script.stat().st_size <= 1 << 20:
                self.log_artifact(script, f"code/{script.name}")
            self.log_artifact(to_json(told).encode(), "environment.json")
        except (OSError, HomeostatError) as error:
            self._problem = error


@contextmanager
def run(
    name: str | None = None,
    *,
    experiment: str = "Default",
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    ws: Workspace | None = None,
    kind: RunKind = "run",
    parent_id: str | None = None,
    id: str | None = None,
    offline: bool | None = None,
    console: bool = False,
    machine: bool = True,
    surroundings: bool = True,
) -> Generator[LiveRun]:
    """A run around a `with` block: finished when the block ends, failed with the traceback when it raises.

    `ws` defaults to the workspace that HOMEOSTAT_HOME names, `./.homeostat`. With the `id` of an earlier run it goes
    on with that one. Runs inside runs are their children. Ctrl-C marks it killed.

    `offline` (by default HOMEOSTAT_OFFLINE) asks no workspace: `homeostat sync` delivers the run later. `console`
    keeps what Python prints. `machine` logs processor, memory and GPU every 15 seconds as `system/…`. `surroundings`
    keeps packages, the git state with the uncommitted changes, and the script.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     with hs.run("first", ws=ws, params={"lr": 0.1}) as run:
    ...         for loss in (0.9, 0.5):
    ...             run.log(loss=loss)
    ...     done = ws.tracking.get_run(run.id)
    >>> done.status, done.params, done.metrics
    ('finished', {'lr': '0.1'}, {'loss': 0.5})
    """
    offline = bool(Settings().offline) if offline is None else offline
    own = open_workspace() if ws is None and not offline else None
    given = {
        "experiment": experiment, "name": name, "kind": kind, "tags": tags or {}, "parent_id": parent_id,
        "params": {key: str(value) for key, value in (params or {}).items()}, "id": id or new_hex_id(),
        "source": source(), "code_version": code_version(), "start_ms": now_ms(),
    }  # fmt: skip
    try:
        begun = begin(own or ws, given, resumed=id is not None, offline=offline)
        live = LiveRun(*begun, machine=machine, surroundings=surroundings)
        try:
            with ExitStack() as around:
                around.enter_context(acting_run(live.id))
                around.enter_context(_inherited(live.id))
                if console:
                    around.enter_context(captured(live.folder / "console"))
                yield live
        except BaseException as error:
            live.end(*_ended_by(error))
            raise
        live.end("finished", None)
    finally:
        if own is not None:
            own.close()


def begin(
    ws: Workspace | None, given: dict[str, Any], resumed: bool, offline: bool
) -> tuple[Spool, str, Workspace | None, LastStep]:
    """Begin a run with a spool of its own: what a `LiveRun` is made of. `given` are the arguments of `create_run`.

    What an earlier process left behind of a resumed run is delivered first. A server that does not answer is waited
    for in the background: the run begins all the same.
    """
    run_id = given["id"]
    root = spool_root(ws)
    check_id(run_id)
    around = current_run()
    parent = given["parent_id"] or (around if around != run_id else None)
    spool = new_spool(root, run_id)
    to = "" if ws is None or offline else address(ws)
    spool.append("begin", {**given, "parent_id": parent, "to": to})
    if ws is None or offline:
        last = last_steps(root, run_id) if resumed else {}
        return spool, run_id, None, last.get
    try:
        if resumed:
            deliver_left_behind(ws, root, run_id=run_id)
        _create(ws, given, parent)
        write_sent(spool.folder, spool.size())
    except Unavailable as error:
        warnings.warn(f"run {run_id} begins without its workspace, and is sent when it answers: {error}", stacklevel=4)
        return spool, run_id, ws, lambda _: None
    except BaseException:
        spool.remove()
        raise

    def last_step(key: str) -> int | None:
        history = ws.tracking.metric_history(run_id, key)
        return history[-1].step if history else None

    return spool, run_id, ws, last_step if resumed else lambda _: None


def _create(ws: Workspace, given: dict[str, Any], parent: str | None) -> None:
    try:
        ws.tracking.create_run(**{**given, "parent_id": parent})
    except NotFound:
        if given["parent_id"] is not None:
            raise
        ws.tracking.create_run(**given)  # the run around this one is of another workspace


def _ended_by(error: BaseException) -> tuple[str, str | None]:
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return "finished", None
    killed = isinstance(error, KeyboardInterrupt | SystemExit)
    return "killed" if killed else "failed", "".join(traceback.format_exception(error))[-6000:]


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
