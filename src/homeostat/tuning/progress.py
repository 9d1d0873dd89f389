"""What an objective may say while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable

_listener: Callable[[float, int], None] | None = None


class TrialPruned(Exception):
    """This trial has fallen behind and is not worth finishing. Let it pass: the search notes it and goes on."""


def report(value: float, step: int) -> None:
    """Say how good the trial is after `step` (an epoch, a number of trees), in the measure that is being tuned.

    In a search with `prune=True`, raises TrialPruned when by this step the trial's best value is worse than the median
    of what earlier trials had reached. Outside a search it does nothing.

    >>> report(0.5, step=1)
    """
    if _listener is not None and math.isfinite(value):
        _listener(float(value), int(step))


def listen(listener: Callable[[float, int], None] | None) -> None:
    """Who is told of reports from now on."""
    global _listener
    _listener = listener
