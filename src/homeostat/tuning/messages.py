"""What a search and its workers say to each other."""

from __future__ import annotations

from typing import Any

from homeostat.core.records import Record
from homeostat.pipelines import Value


class Setup(Record):
    """What a worker needs for all its trials. It reads trials, one JSON line each, from the pipe `asks`, and says the
    number of each that is done on the pipe `dones`; how it ended is in the file `<number>.answer` of `folder`."""

    url: str
    project: str
    objective: str
    args: dict[str, Value]
    metric: str
    folder: str
    asks: str
    dones: str


class Ask(Record):
    """A trial to run. `limits`: at which reported value, by step, it is given up."""

    number: int
    params: dict[str, Any]
    run_id: str
    limits: dict[str, float] = {}
    lower_is_better: bool = True


class Told(Record):
    """How a trial ended: with metrics, pruned, or with an error."""

    metrics: dict[str, float] = {}
    reports: dict[str, float] = {}
    pruned: bool = False
    error: str | None = None
    seconds: float = 0.0
