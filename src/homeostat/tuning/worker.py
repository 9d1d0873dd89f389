"""A process that runs trials, one after another: `python -m homeostat.tuning.worker SETUP`.

One process runs many trials because starting it costs more than a small trial: importing LightGBM alone takes over two
seconds of processor time, forking a warm interpreter a hundredth of that. A trial that takes its process down costs
that trial only; the next ones get a new process.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeostat.core.context import RUN_VARIABLE, acting_run
from homeostat.core.errors import InvalidInput
from homeostat.core.faults import fault
from homeostat.core.records import from_json
from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace
from homeostat.pipelines import decode, import_afresh, load_function, write_whole
from homeostat.tuning.messages import Ask, Setup, Told
from homeostat.tuning.progress import TrialPruned, listen


def main(arguments: list[str]) -> int:
    """Run trials until the search closes the pipe."""
    setup = from_json(Path(arguments[0]).read_bytes(), Setup)
    folder = Path(setup.folder)
    import_afresh(Path(setup.project))
    call: Callable[[dict[str, Any]], Any] | None = None
    with open_workspace(setup.url) as ws, open(setup.asks) as asks, open(setup.dones, "w") as dones:
        for line in asks:
            ask = from_json(line, Ask)
            _print_to(folder / f"{ask.number}.log")
            dones.write(f"+{ask.number}\n")
            dones.flush()
            started = time.monotonic()
            reports: dict[str, float] = {}
            try:
                call = call or _prepare(ws, setup, folder)
                told = _run(call, ask, setup.metric, reports)
            except TrialPruned:
                told = Told(pruned=True)
            except Exception as error:  # whatever the objective does wrong is its trial's failure
                traceback.print_exc()
                told = Told(error=f"{type(error).__name__}: {error}")
            seconds = time.monotonic() - started
            answer = Told(metrics=told.metrics, pruned=told.pruned, error=told.error, reports=reports, seconds=seconds)
            write_whole(folder / f"{ask.number}.answer", answer)
            fault("trial.answered")
            dones.write(f"{ask.number}\n")
            dones.flush()
    return 0


def _prepare(ws: Workspace, setup: Setup, folder: Path) -> Callable[[dict[str, Any]], Any]:
    """The objective with its fixed arguments, which are read once for all trials of this process."""
    function = load_function(setup.objective)
    function = getattr(function, "function", function)  # the plain function below @step
    fixed = {name: decode(value, ws.blobs, folder / "inputs", unpickle=True) for name, value in setup.args.items()}
    for name, note in inspect.get_annotations(function).items():
        if note is Workspace or (isinstance(note, str) and note.split(".")[-1] == "Workspace"):
            fixed.setdefault(name, ws)
    return lambda params: function(**fixed, **params)


def _run(call: Callable[[dict[str, Any]], Any], ask: Ask, metric: str, reports: dict[str, float]) -> Told:
    def hear(value: float, step: int) -> None:
        reports[str(step)] = value
        if _is_behind(reports, step, ask):
            raise TrialPruned(f"at step {step}")

    os.environ[RUN_VARIABLE] = ask.run_id
    listen(hear)
    try:
        with acting_run(ask.run_id):
            fault("trial.running")
            given = call(dict(ask.params))
    finally:
        listen(None)
    return Told(metrics=_metrics(given, metric))


def _is_behind(reports: dict[str, float], step: int, ask: Ask) -> bool:
    due = [limit for at, limit in sorted(ask.limits.items(), key=lambda item: int(item[0])) if int(at) <= step]
    if not due:
        return False
    reached = min(reports.values()) if ask.lower_is_better else max(reports.values())
    return reached > due[-1] if ask.lower_is_better else reached < due[-1]


def _metrics(given: Any, metric: str) -> dict[str, float]:
    """What the objective gave as named numbers, with the one that counts among them."""
    found: dict[str, Any] = dict(given) if isinstance(given, dict) else {metric: given}
    if metric not in found:
        raise InvalidInput(
            f"the objective gave {', '.join(map(str, found)) or 'nothing'}, but not '{metric}'",
            hint="return a number, or a dict that holds `metric`",
        )
    numbers = {str(name): float(value) for name, value in found.items() if _is_number(value)}
    if not math.isfinite(numbers.get(metric, math.nan)):
        raise InvalidInput(f"the objective gave {metric}={found[metric]!r}, which is not a finite number")
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _is_number(value: Any) -> bool:
    return not isinstance(value, (str, bytes, bool)) and hasattr(value, "__float__")


def _print_to(path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
