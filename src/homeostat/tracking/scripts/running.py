"""One run of a script: its own process, what it prints, what it writes for TensorBoard, what it was run with."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from homeostat.core.clock import now_ms
from homeostat.core.context import RUN_VARIABLE
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record, to_json
from homeostat.tracking.console import ConsoleFile
from homeostat.tracking.live import LiveRun, begin
from homeostat.tracking.model import RunKind
from homeostat.tracking.scripts import child
from homeostat.tracking.scripts.flags import Flag, command_line, word
from homeostat.tracking.scripts.outputs import Scalars
from homeostat.tracking.scripts.sources import FOLDER, digest_of_sources, source_files
from homeostat.tracking.scripts.tfevents import EventFolder
from homeostat.tracking.surroundings import code_version, environment, git_state

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

PLAN = "script.json"
SOURCE_TAG = "homeostat.sources"
_LOOK_S = 2.0
_GRACE_S = 10.0
_LINE = 1 << 16


class Plan(Record):
    """What to run: `script` below `project`, in `folder`, by `python`, with `values` for some of its `flags`.

    `extra` are words for its command line as they are, and `command` such with `{flag}` in them for flags
    that a project file declares. `patterns` find metrics in its output (`outputs.py`); None
    takes none from there. `events` is the folder watched for TensorBoard files.
    """

    script: str
    project: str
    folder: str
    python: str = ""
    flags: list[Flag] = []
    values: dict[str, Any] = {}
    extra: list[str] = []
    command: list[str] = []
    patterns: list[str] | None = []
    events: str = ""
    experiment: str = "default"

    @property
    def params(self) -> dict[str, str]:
        """What is recorded as parameters: the values, and the defaults that are known."""
        known = {flag.name: flag.default for flag in self.flags if flag.default is not None}
        return {name: word(value) for name, value in {**known, **self.values}.items()}

    def words(self, root: Path) -> list[str]:
        """The command, with the script below `root`."""
        python, path = self.python or sys.executable, str(root / self.script)
        replaced = {f.name: self.values[f.name] for f in self.flags if f.via == "globals" and f.name in self.values}
        start = [python, child.__file__, path, to_json(replaced)] if replaced else [python, path]
        told = [_filled(part, self.params) for part in self.command]
        return [*start, *told, *command_line(self.flags, self.values), *self.extra]


def _filled(part: str, params: dict[str, str]) -> str:
    """A word of a command with the flags in it: `--lr={lr}`. Names that are no flags stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda found: params.get(found[1], found[0]), part)


class Ran(Record):
    """How a run of a script ended; `skipped` when an equal one was there."""

    run_id: str
    status: str
    exit_code: int = 0
    skipped: bool = False


def run_script(
    ws: Workspace, plan: Plan, *, name: str | None = None, kind: RunKind = "run", parent_id: str | None = None,
    tags: dict[str, str] | None = None, id: str | None = None, sources: Path | None = None,
) -> Ran:  # fmt: skip
    """Run a script as a run; it has ended when this returns, well or not.

    With the `id` of an earlier run it is that one again. `sources` is where the script lies when not in its project.
    """
    root = Path(plan.project) if sources is None else sources
    names = source_files(root, root / plan.script)
    given = {
        "experiment": plan.experiment, "name": name, "kind": kind, "parent_id": parent_id, "params": plan.params,
        "id": id or new_hex_id(), "source": Path(plan.script).name, "code_version": code_version(plan.project),
        "start_ms": now_ms(), "tags": {**(tags or {}), SOURCE_TAG: digest_of_sources(root, names)},
    }  # fmt: skip
    live = LiveRun(*begin(ws, given, resumed=id is not None, offline=False), machine=True)
    status, error, code = "failed", "it did not start", 1
    try:
        with _terminable():
            _keep(live, plan, root, names)
            code = _watch(ws, live, plan, plan.words(root))
        status = "finished" if code == 0 else "killed" if code == -signal.SIGKILL else "failed"
        error = None if code == 0 else f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"
    except BaseException as raised:
        told = isinstance(raised, KeyboardInterrupt | SystemExit)
        status, error = "killed" if told else "failed", "stopped" if told else str(raised)
        raise
    finally:
        live.end(status, error)
    return Ran(run_id=live.id, status=status, exit_code=code if code >= 0 else 128 - code)


def _keep(live: LiveRun, plan: Plan, root: Path, names: list[str]) -> None:
    for one in names:
        live.log_artifact(root / one, f"{FOLDER}/{one}")
    told = {**environment(), "command": shlex.join(plan.words(root)), "folder": plan.folder}
    state = git_state(plan.project)
    if state is not None:
        told["git"] = state[0]
        if state[1]:
            live.log_artifact(state[1].encode(), "code/changes.diff")
    live.log_artifact(to_json(told).encode(), "environment.json")
    live.log_artifact(to_json(plan).encode(), PLAN)


def _watch(ws: Workspace, live: LiveRun, plan: Plan, words: list[str]) -> int:
    """Start the process and follow it to its end; its exit code, negative when a signal ended it."""
    events = EventFolder(Path(plan.events or plan.folder))
    console = ConsoleFile(live.folder / "console")
    scalars = None
    if plan.patterns is not None:
        scalars = Scalars(lambda values, step: live.log(values, step=step), plan.patterns)
    process = subprocess.Popen(
        words, cwd=plan.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1", RUN_VARIABLE: live.id, **_home(ws)},
    )  # fmt: skip
    live.measure(process.pid)
    readers = [
        threading.Thread(target=_follow, args=(pipe, shown, console, scalars), daemon=True)
        for pipe, shown in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
    ]
    for reader in readers:
        reader.start()
    try:
        while True:
            try:
                process.wait(_LOOK_S)
            except subprocess.TimeoutExpired:
                _log_events(live, events)
                continue
            break
    except BaseException:
        _stop(process)
        raise
    finally:
        for reader in readers:
            reader.join(_GRACE_S)  # a process that the script left behind may hold the pipe
        _log_events(live, events)
        console.close()
    return process.returncode


def _home(ws: Workspace) -> dict[str, str]:
    """What `hs.run()` in the script opens: the same workspace."""
    return {} if ws.url.startswith("postgresql") else {"HOMEOSTAT_HOME": ws.url}


def _follow(pipe: IO[bytes], shown: Any, console: ConsoleFile, scalars: Scalars | None) -> None:
    """Show what a pipe brings; keep its whole lines, so that two pipes do not mix in one; look for metrics in them."""
    rest = b""
    while data := os.read(pipe.fileno(), 1 << 16):
        try:
            shown.write(data.decode("utf-8", "replace"))
            shown.flush()
        except (OSError, ValueError):
            pass  # nobody looks any more; the run goes on
        whole, newline, rest = (rest + data).rpartition(b"\n")
        if len(rest) > _LINE:
            whole, newline, rest = whole + newline + rest, b"", b""
        _take(whole + newline, console, scalars)
    _take(rest, console, scalars)


def _take(data: bytes, console: ConsoleFile, scalars: Scalars | None) -> None:
    if data:
        console.write(data)
    if data and scalars is not None:
        for line in data.split(b"\n"):
            scalars.line(line.decode("utf-8", "replace"))


def _log_events(live: LiveRun, events: EventFolder) -> None:
    for one in events.read():
        live.log({one.tag: one.value}, step=one.step, at_ms=one.at_ms)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process: it has ten seconds to end by itself."""
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _terminable() -> Generator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that the script is ended too and the run is marked."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
