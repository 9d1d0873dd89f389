"""What tracking knows: records and events. No I/O."""

from __future__ import annotations

from typing import Literal

from homeostat.core.event import Event
from homeostat.core.records import Record

RunKind = Literal["run", "pipeline", "step", "trial"]
RunStatus = Literal["running", "scheduled", "finished", "failed", "killed", "lost"]
Lifecycle = Literal["active", "deleted"]
EndStatus = Literal["finished", "failed", "killed"]


class Run(Record):
    """One execution. `metrics` holds the last value of each key: NaN and infinities read as None over HTTP.

    `source` says what was run (a script, a pipeline), `code_version` which state of it; `error` is set on failed runs.
    `owner` is whose it is. A deleted run is found only when asked for, and may be restored.
    """

    id: str
    experiment: str
    name: str
    status: RunStatus
    start_ms: int
    end_ms: int | None = None
    params: dict[str, str] = {}
    metrics: dict[str, float | None] = {}
    tags: dict[str, str] = {}
    parent_id: str | None = None
    kind: RunKind = "run"
    source: str = ""
    code_version: str = ""
    error: str | None = None
    lifecycle: Lifecycle = "active"
    owner: str = ""


class RunPage(Record):
    """Some runs, and where to go on: pass `next` as `after`. None when there are no more."""

    runs: list[Run]
    next: str | None = None


class Metric(Record):
    """One point: `value` at `step`, logged at `at_ms`. None stands for NaN and infinities where JSON has no number."""

    key: str
    value: float | None
    step: int = 0
    at_ms: int = 0


class MetricRange(Record):
    """What is known of a metric without reading its points; None where no value was a number."""

    min: float | None
    max: float | None
    last: float | None
    points: int
    last_step: int


class MetricCurve(Record):
    """The course of one metric of one run, thinned for drawing.

    `points` is how many were logged. `low` and `high` are empty unless points were left out.
    """

    run: str
    key: str
    points: int
    steps: list[int]
    at_ms: list[int]
    values: list[float | None]
    low: list[float | None] = []
    high: list[float | None] = []


class RunFacets(Record):
    """How the runs of a search divide; each count by name, the largest first."""

    runs: int
    statuses: dict[str, int]
    kinds: dict[str, int]
    experiments: dict[str, int]
    metrics: dict[str, int]
    params: dict[str, int]
    tags: dict[str, int]


class MetricSpread(Record):
    """How a figure lies over the runs of a group that have it; `std` is a sample's, None of fewer than two."""

    count: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None


class RunGroup(Record):
    """Runs that share the values `by`, written as they were asked for; None where they have none."""

    by: dict[str, str | int | float | None]
    runs: int
    metrics: dict[str, MetricSpread] = {}


class Experiment(Record):
    """A named group of runs. `runs` counts those that are not deleted; `last_start_ms` is 0 when there are none.

    `id` is decimal text: "0" is the one that runs belong to which name none. `artifact_location` is empty where
    artifacts lie in the workspace.
    """

    name: str
    runs: int = 0
    last_start_ms: int = 0
    id: str = ""
    lifecycle: Lifecycle = "active"
    artifact_location: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = {}


class Artifact(Record):
    """A file kept with a run: its path within the run, its content's digest, its size in bytes."""

    path: str
    digest: str
    size: int
    at_ms: int


class ArtifactTable(Record):
    """The head of a file that holds a table: cells as text, None where nothing is.

    `total` is the number of all rows, `all_columns` that of all columns; `columns` and `types` are those shown.
    """

    columns: list[str]
    types: list[str]
    rows: list[list[str | None]]
    total: int
    all_columns: int


class RunView(Record):
    """A kept view of the runs page: the query of its address (without "?"), and who kept it last."""

    name: str
    query: str
    owner: str
    updated_ms: int


class RunStarted(Event, tag="run_started"):
    run_id: str
    experiment: str
    kind: str
    parent_id: str | None


class RunFinished(Event, tag="run_finished"):
    run_id: str
    status: str


class GarbageCollected(Event, tag="garbage_collected"):
    """What was deleted or had grown old is erased for good: rows by kind, and bytes that nothing named."""

    erased: dict[str, int]
    blobs: int
    bytes: int


class RunMetrics(Event, tag="run_metrics"):
    """Told at most once a second for each run, with the values that were last at that moment."""

    run_id: str
    metrics: dict[str, float | None]
