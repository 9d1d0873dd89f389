"""What to try next: Optuna's samplers, held in memory and fed in order.

Trial `n` is drawn knowing the results of the trials up to `n - parallel`, and that those in between are running,
whatever finished first in fact; its random numbers come from the seed and `n` alone. So the trials of a search depend
on seed and space only, not on timing, on the machine, or on how often it was killed and taken up again.
"""

from __future__ import annotations

import logging
import statistics
import warnings
from typing import Any

from homeostat.core.blobs import digest_of
from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.tuning.model import Choice, Direction, Range, Trial
from homeostat.tuning.space import distributions, drawn, meant

SAMPLERS = ("tpe", "random")
# Fewer finished trials than this say too little to end another one early.
_PRUNE_AFTER = 4


class Sampler:
    """Draws trials in order: `draw` the next, or `repeat` one that was drawn in an earlier process; `learn` results."""

    def __init__(self, space: dict[str, Range | Choice], direction: Direction, kind: str, seed: int) -> None:
        if kind not in SAMPLERS:
            raise InvalidInput(f"there is no sampler {kind!r}", hint=f"known are {', '.join(SAMPLERS)}")
        optuna = require("optuna", "ml")
        optuna.logging.set_verbosity(logging.WARNING)
        self._optuna, self._space, self._kind, self._seed = optuna, space, kind, seed
        self._direction = direction
        self._distributions = distributions(space)
        self._study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=seed))
        self._told: list[Trial] = []

    def draw(self, number: int) -> dict[str, Any]:
        """Parameters of trial `number`, which is the next one."""
        seed = int(digest_of(f"{self._seed}/{number}".encode())[:8], 16)
        samplers = self._optuna.samplers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "experimental": what these options mean has not changed for years
            if self._kind == "tpe":
                self._study.sampler = samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
            else:
                self._study.sampler = samplers.RandomSampler(seed=seed)
            trial = self._study.ask(self._distributions)
        assert trial.number == number
        return meant(self._space, trial.params)

    def repeat(self, params: dict[str, Any]) -> None:
        """The next trial has these parameters already."""
        optuna = self._optuna
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.RUNNING,
                    params=drawn(self._space, params),
                    distributions=self._distributions,
                )
            )

    def learn(self, trial: Trial) -> None:
        """How trial `trial.number` ended. Call it in the order of numbers."""
        states = self._optuna.trial.TrialState
        if trial.status == "finished":
            self._study.tell(trial.number, trial.value)
        elif trial.status == "pruned" and trial.reports:
            self._study.tell(trial.number, list(trial.reports.values())[-1])
        else:
            self._study.tell(trial.number, state=states.FAIL)
        self._told.append(trial)

    def limits(self) -> dict[str, float]:
        """For each reported step, the median of what earlier trials had reached by then; {} while that says little."""
        finished = [trial for trial in self._told if trial.status == "finished" and trial.reports]
        if len(finished) < _PRUNE_AFTER:
            return {}
        steps = sorted({int(step) for trial in finished for step in trial.reports})
        better = min if self._direction == "minimize" else max
        found: dict[str, float] = {}
        for step in steps:
            reached = [
                better(value for at, value in trial.reports.items() if int(at) <= step)
                for trial in finished
                if any(int(at) <= step for at in trial.reports)
            ]
            found[str(step)] = statistics.median(reached)
        return found
