"""The search itself: draw, try, learn; durable after every trial."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from msgspec import structs

from homeostat.core.blobs import digest_of
from homeostat.core.errors import InvalidInput
from homeostat.core.faults import fault
from homeostat.core.paths import inside
from homeostat.core.records import canonical_json, plain
from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace
from homeostat.pipelines import Project, Step, encode, fingerprint_of, identity, reference_of, step_key, surroundings
from homeostat.tuning.crew import Crew
from homeostat.tuning.ledger import Ledger
from homeostat.tuning.messages import Ask, Setup, Told
from homeostat.tuning.model import Direction, Study, Trial
from homeostat.tuning.sampler import Sampler
from homeostat.tuning.space import drawn, parse_space
from homeostat.tuning.store import Config

# When the first so many trials all fail, the objective is taken to be broken.
_PATIENCE = 3


def tune(
    objective: str | Callable[..., Any],
    space: dict[str, Any],
    *,
    trials: int = 20,
    budget_s: float | None = None,
    seed: int = 0,
    direction: Direction = "minimize",
    metric: str = "value",
    args: dict[str, Any] | None = None,
    first: list[dict[str, Any]] | None = None,
    parallel: int = 2,
    sampler: str = "tpe",
    prune: bool = False,
    timeout_s: float | None = None,
    once: str | None = None,
    project: str = ".",
    ws: Workspace | None = None,
) -> Study:
    """Search `space` for the parameters with which `objective` is best.

    `objective`: a function at the top level of a module (or "module:function" of `project`). It is called with the
    parameters and `args` by name, in worker processes, and returns a number, or a dict of numbers of which `metric` is
    the one that counts. `space`: for each parameter `(low, high)`, `(low, high, "log")`, `(low, high, "int")`, or a
    list of choices. `first`: parameters to try before drawing any.

    `trials` are tried, fewer when `budget_s` seconds are over: then no new one starts. `parallel` of them run side by
    side (on fewer cores fewer, with the same result). `prune` ends trials that `report` values worse than the median.
    `timeout_s` ends a trial that takes longer; it counts as failed, as does one that raises.

    Each trial is a run in tracking, of the kind "trial". The same arguments, code and seed give the same trials,
    however often the search is killed and taken up again: a finished trial is never run again. A search belongs to the
    pipeline step around it, or to the text `once`; without either, each call is a new one. `ws` is the workspace of the
    step around the call, or the one that HOMEOSTAT_HOME names.

    Raises: InvalidInput for a space, sampler or objective that cannot be meant; Conflict when `once` means another
    search, or a living process is at it; StepFailed when no trial succeeded, with the last error.
    """
    reference, folder = _locate(objective, project)
    if trials < 1 or parallel < 1 or (budget_s is not None and budget_s <= 0):
        raise InvalidInput("trials, parallel and budget_s are above zero", hint="trials=20, parallel=2, budget_s=600")
    parsed = parse_space(space)
    for start in first or []:
        drawn(parsed, start)
    with _workspace(ws) as at:
        kept = {name: encode(value, at.blobs) for name, value in (args or {}).items()}
        config = Config(
            objective=reference, project=str(folder), space=parsed, direction=direction, metric=metric, seed=seed,
            sampler=sampler, parallel=parallel, prune=prune, code=_code(reference, folder), first=first or [],
            args=digest_of(canonical_json({name: identity(value) for name, value in kept.items()}).encode()),
        )  # fmt: skip
        ledger = Ledger(at, config, trials, once or _once(config))
        search = _Search(at, config, ledger, budget_s)
        with ledger.held():
            files = inside(at.home, f"tuning/{ledger.study}")
            files.mkdir(parents=True, exist_ok=True)
            setup = Setup(
                url=at.url, project=str(folder), objective=reference, args=kept, metric=metric, folder=str(files),
                asks="", dones=str(files / "dones"),
            )  # fmt: skip
            search.run(lambda: Crew(at, setup, min(parallel, os.cpu_count() or 1), timeout_s))
            return ledger.close()


class _Search:
    """Goes through the trials in order, with as many under way as may be."""

    def __init__(self, ws: Workspace, config: Config, ledger: Ledger, budget_s: float | None) -> None:
        self._config, self._ledger, self._budget_s = config, ledger, budget_s
        self._sampler = Sampler(config.space, config.direction, config.sampler, config.seed)
        self._learned = 0
        self._asked = 0
        self._running: set[int] = set()

    def run(self, hire: Callable[[], Crew]) -> None:
        """Until every wanted trial has ended or the budget is spent. Workers are hired when there is work."""
        size = min(self._config.parallel, os.cpu_count() or 1)
        with contextlib.ExitStack() as stack:
            crew: Crew | None = None
            while True:
                while self._asked < self._ledger.wanted and len(self._running) < size and self._may_ask():
                    trial = self._next()
                    if trial is None:
                        continue
                    if crew is None:
                        crew = hire()
                        stack.callback(crew.close)
                    self._begin(crew, trial)
                if crew is None or not self._running:
                    return
                for number, told in crew.finished():
                    self._end(number, told)

    def _may_ask(self) -> bool:
        """Whether the next trial may be drawn: those it must know of have ended, and there is time."""
        known = self._asked - self._config.parallel
        if known >= 0 and any(number in self._running for number in range(known + 1)):
            return False
        if self._asked < len(self._ledger.trials):
            return True  # begun in an earlier process: it is finished whatever the budget
        spent = self._budget_s is not None and self._ledger.spent_s >= self._budget_s
        return not (spent or self._is_hopeless())

    def _is_hopeless(self) -> bool:
        start = self._ledger.trials[:_PATIENCE]
        return len(start) == _PATIENCE and all(trial.status == "failed" for trial in start)

    def _next(self) -> Trial | None:
        """Draw the next trial, or meet one of an earlier process; None when that one has ended already."""
        number, self._asked = self._asked, self._asked + 1
        while self._learned <= number - self._config.parallel:
            self._sampler.learn(self._ledger.trials[self._learned])
            self._learned += 1
        if number < len(self._ledger.trials):
            trial = self._ledger.trials[number]
            self._sampler.repeat(trial.params)
            return trial if trial.status == "running" else None
        if number < len(self._config.first):
            params = self._config.first[number]
            self._sampler.repeat(params)
        else:
            params = self._sampler.draw(number)
        return Trial(number=number, params=params, status="running")

    def _begin(self, crew: Crew, trial: Trial) -> None:
        left = crew.answer(trial.number) if trial.run_id else None
        if left is not None:  # done by a worker of an earlier process that did not live to write it down
            self._end(trial.number, left)
            return
        begun = self._ledger.begin(trial)
        fault("trial.begun")
        self._running.add(trial.number)
        crew.start(
            Ask(
                number=begun.number,
                params=begun.params,
                run_id=begun.run_id or "",
                limits=self._sampler.limits() if self._config.prune else {},
                lower_is_better=self._config.direction == "minimize",
            )
        )

    def _end(self, number: int, told: Told) -> None:
        trial = self._ledger.trials[number]
        status = "failed" if told.error else "pruned" if told.pruned else "finished"
        fault("trial.collected")
        self._ledger.end(
            structs.replace(
                trial,
                status=status,
                value=told.metrics.get(self._config.metric),
                metrics=told.metrics,
                reports=told.reports,
                error=told.error,
                seconds=round(told.seconds, 3),
            )
        )
        self._running.discard(number)
        fault("trial.committed")


def _locate(objective: str | Callable[..., Any], project: str) -> tuple[str, Path]:
    """The objective as "module:function", and the folder from which that can be imported."""
    around = surroundings()
    if isinstance(objective, str):
        if objective.count(":") != 1:
            raise InvalidInput(f"{objective[:80]!r} does not name a function", hint="write it as 'module:function'")
        return objective, Path(around[1] if around and project == "." else project).resolve()
    function = objective.function if isinstance(objective, Step) else objective
    reference = reference_of(function, "objective")
    module, _, name = reference.partition(":")
    if around is not None and module != "__main__":
        return reference, Path(around[1])
    file = Path(inspect.getsourcefile(function) or "").resolve()
    if not file.is_file():
        raise InvalidInput(
            f"the source of objective '{name}' is in no file, so worker processes cannot import it",
            hint="put it into a module, such as objective.py",
        )
    if module == "__main__":
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        module = spec.name if spec is not None else file.stem
    return f"{module}:{name}", file.parents[module.count(".") + (file.name == "__init__.py")]


def _code(reference: str, folder: Path) -> str:
    found = fingerprint_of(reference, Project(folder))
    return digest_of(canonical_json([found.code, found.libraries]).encode())


def _once(config: Config) -> str | None:
    """In a pipeline step, a search is known by the step and by what it searches; elsewhere it is not known."""
    step = step_key()
    return f"{step}/{digest_of(canonical_json(plain(config)).encode())[:32]}" if step else None


@contextlib.contextmanager
def _workspace(ws: Workspace | None) -> Generator[Workspace]:
    if ws is not None:
        yield ws
        return
    around = surroundings()
    with open_workspace(around[0] if around else None) as opened:
        yield opened
