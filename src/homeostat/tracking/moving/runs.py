"""Every run of another store, one by one; to be begun again after an interruption without copying twice."""

from __future__ import annotations

from collections.abc import Callable

from homeostat.core.errors import AlreadyExists, HomeostatError
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.tracking.experiments import KEEP_TAG, create_experiment, delete_experiment
from homeostat.tracking.moving.adopt import adopt_run, is_here
from homeostat.tracking.moving.records import MovedExperiment, Source


class RunsImported(Record):
    """`copied` runs came now, `already` were here from an earlier import; `left` says which were not, and why."""

    experiments: int
    copied: int
    already: int
    points: int
    files: int
    left: dict[str, str] = {}


def import_runs(
    ws: Workspace, source: Source, origin: str, told: Callable[[int, str], None] = lambda _number, _name: None
) -> RunsImported:
    """Copy every experiment and run of `source`, comparing each by count and hash; `told(number, name)` after each.

    A run that cannot be copied whole (its files are out of reach, it is being written to) is named in `left`, and
    does not keep the others from coming. Importing again goes on with what is missing.
    """
    experiments = copied = already = points = files = 0
    left: dict[str, str] = {}
    for experiment in source.experiments():
        experiments += 1
        new = _begin(ws, experiment)
        for run in source.runs(experiment.id):
            if is_here(ws, run.id):
                already += 1
            else:
                try:
                    found = adopt_run(ws, source, origin, experiment.name, run)
                except HomeostatError as error:
                    left[run.id] = error.message
                else:
                    copied, points, files = copied + 1, points + found.points, files + found.files
            told(copied + already + len(left), run.name)
        if new and experiment.lifecycle == "deleted":
            delete_experiment(ws, experiment.name)
    return RunsImported(experiments=experiments, copied=copied, already=already, points=points, files=files, left=left)


def _begin(ws: Workspace, experiment: MovedExperiment) -> bool:
    """Make the experiment; False when there is one of that name."""
    try:
        # How long things are kept here is decided here.
        tags = {key: value for key, value in experiment.tags.items() if key != KEEP_TAG}
        create_experiment(ws, experiment.name, tags=tags)
    except AlreadyExists:
        return False
    return True
