"""The workers of a search: started when there is something to do, replaced when they die."""

from __future__ import annotations

import os
import select
import shutil
import time
from pathlib import Path

from msgspec import structs

from homeostat.core.executor import Job, Outcome, open_executor
from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.pipelines import write_whole
from homeostat.tuning.messages import Ask, Setup, Told

_LOOK_S = 0.5


class Crew:
    """Up to `size` workers on one search. `start` gives one of them a trial, `finished` waits for the next result."""

    def __init__(self, ws: Workspace, setup: Setup, size: int, timeout_s: float | None) -> None:
        self._setup, self._timeout_s = setup, timeout_s
        self._folder = Path(setup.folder)
        self._executor = open_executor(ws.settings.executor)
        self._threads = ws.settings.threads or max(1, (os.cpu_count() or 1) // size)
        self._home = str(ws.home)
        self._idle: list[str] = []
        self._pipes: dict[str, int] = {}
        self._busy: dict[int, str] = {}
        self._due: dict[int, float] = {}
        self._count = 0
        self._said = b""
        Path(setup.dones).unlink(missing_ok=True)
        os.mkfifo(setup.dones)
        # Opened for both ways, so that neither end waits for the other and no end of file is ever seen here.
        self._dones = os.open(setup.dones, os.O_RDWR | os.O_NONBLOCK)

    def start(self, ask: Ask) -> None:
        """Have a worker run `ask`."""
        (self._folder / f"{ask.number}.answer").unlink(missing_ok=True)
        worker = self._idle.pop() if self._idle else self._hire()
        self._busy[ask.number] = worker
        os.write(self._pipes[worker], to_json(ask).encode() + b"\n")

    def finished(self) -> list[tuple[int, Told]]:
        """Trials that have ended, at least one; waits for it."""
        while True:
            found: list[tuple[int, Told]] = []
            for number in self._heard():
                self._idle.append(self._busy.pop(number))
                found.append((number, self.answer(number) or Told(error="its result could not be read")))
            found += self._bereaved()
            if found:
                for number, _ in found:
                    self._due.pop(number, None)
                return found

    def answer(self, number: int) -> Told | None:
        """The answer file of a trial, also one that an earlier process left."""
        try:
            return from_json((self._folder / f"{number}.answer").read_bytes(), Told)
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Let the workers go."""
        for worker, pipe in self._pipes.items():
            os.close(pipe)
            self._executor.cancel(worker)
        left = set(self._pipes)
        while left:
            left -= {outcome.job for outcome in self._executor.wait(left, _LOOK_S)}
        os.close(self._dones)
        shutil.rmtree(self._folder / "inputs", ignore_errors=True)

    def _hire(self) -> str:
        self._count += 1
        worker = f"{self._folder.name}/worker-{os.getpid()}-{self._count}"
        base = self._folder / f"worker-{self._count}"
        asks = base.with_suffix(".asks")
        asks.unlink(missing_ok=True)
        os.mkfifo(asks)
        self._pipes[worker] = os.open(asks, os.O_RDWR)
        write_whole(base.with_suffix(".setup"), structs.replace(self._setup, asks=str(asks)))
        self._executor.submit(
            Job(
                id=worker,
                module="homeostat.tuning.worker",
                arguments=[str(base.with_suffix(".setup"))],
                folder=self._setup.project,
                log=str(base.with_suffix(".log")),
                environment={"HOMEOSTAT_HOME": self._home, **self._thread_limits()},
            )
        )
        return worker

    def _thread_limits(self) -> dict[str, str]:
        # Trials run side by side: each would otherwise start a thread for every core.
        names = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS")
        return {name: os.environ.get(name, str(self._threads)) for name in names}

    def _heard(self) -> list[int]:
        now = time.monotonic()
        pause = min([_LOOK_S, *(max(0.0, due - now) for due in self._due.values())])
        if not select.select([self._dones], [], [], pause)[0]:
            return []
        *lines, self._said = (self._said + os.read(self._dones, 1 << 16)).split(b"\n")
        said = [line for line in lines if int(line) in self._busy]
        if self._timeout_s is not None:  # a trial's time begins when its worker does, which may have to start first
            begun = [int(line) for line in said if line.startswith(b"+")]
            self._due.update(dict.fromkeys(begun, time.monotonic() + self._timeout_s))
        return [int(line) for line in said if not line.startswith(b"+")]

    def _bereaved(self) -> list[tuple[int, Told]]:
        """Trials whose worker is gone, or is ended now because the trial takes too long."""
        now = time.monotonic()
        late = {number for number, due in self._due.items() if due <= now}
        for number in late:
            self._executor.cancel(self._busy[number])
        found: list[tuple[int, Told]] = []
        for outcome in self._executor.wait(list(self._pipes), 0):
            os.close(self._pipes.pop(outcome.job))
            if outcome.job in self._idle:
                self._idle.remove(outcome.job)
            for number in [number for number, worker in self._busy.items() if worker == outcome.job]:
                del self._busy[number]
                found.append((number, self.answer(number) or Told(error=_how(outcome, number in late))))
        return found


def _how(outcome: Outcome, late: bool) -> str:
    if outcome.cause == "cancelled":
        return "it took longer than timeout_s and was ended" if late else "it was cancelled"
    if outcome.cause == "killed":
        return f"its process was killed by signal {outcome.signal}" + (
            " (is memory short?)" if outcome.signal == 9 else ""
        )
    return f"its process ended with code {outcome.exit_code}" if outcome.cause == "exited" else "its process is gone"
