"""What a pipeline run looks like from outside: frozen records, no I/O."""

from __future__ import annotations

from typing import Any, Literal

from homeostat.core.records import Record

RunStatus = Literal["running", "finished", "failed", "stopped"]
StepStatus = Literal["waiting", "running", "done", "cached", "failed", "stopped"]


class Value(Record):
    """A value at rest: how it was encoded, and where its bytes are.

    `codec` names the encoding. Small JSON values stand in `data`; larger ones and tables, arrays, files lie in the
    blob store under `digest`, `size` bytes of them. Containers hold their parts in `items` (with `keys` for a dict).
    `note` carries what the codec needs besides, such as a file's name.
    """

    codec: str
    digest: str = ""
    size: int = 0
    data: Any = None
    items: list[Value] = []
    keys: list[str] = []
    note: str = ""


class Argument(Record):
    """One argument of a step as its cache key saw it: `source` is the step it came from, "" for a parameter."""

    digest: str
    source: str = ""
    text: str = ""


class KeyParts(Record):
    """Everything a step's cache key is made of.

    `code`: digest of each function, class and constant of the project that the step reaches; `arguments`: what it is
    called with; `libraries`: versions of the installed packages that the code imports; `version`: as declared;
    `python`: major and minor.
    """

    code: dict[str, str]
    arguments: dict[str, Argument]
    libraries: dict[str, str]
    version: str
    python: str


class Change(Record):
    """One part of a cache key that differs. `part`: "code", "parameter", "input", "library", "data", …"""

    part: str
    name: str
    before: str
    after: str


class Why(Record):
    """Why a step ran, or why it did not have to. `against` is the pipeline run it is compared with, if any."""

    run: str
    step: str
    status: StepStatus
    text: str
    changes: list[Change] = []
    against: str | None = None


class StepRun(Record):
    """One step of a pipeline run. `attempt` counts starts, also those that a crash cut short; `run_id` is its run in
    tracking (of the earlier run that made the output where `cached`)."""

    name: str
    status: StepStatus
    key: str
    attempt: int
    start_ms: int | None
    end_ms: int | None
    cached: bool
    why: str
    run_id: str | None
    error: str | None
    after: list[str] = []
    cpu_ms: int = 0
    peak_kb: int = 0


class PipelineRun(Record):
    """One run of a pipeline. `outputs` are what the pipeline function returned, by name: JSON values as they are,
    anything else as {"codec", "digest", "size"}; `homeostat.pipelines.load_output` reads those."""

    id: str
    pipeline: str
    project: str
    status: RunStatus
    params: dict[str, Any]
    steps: list[StepRun]
    outputs: dict[str, Any]
    start_ms: int
    end_ms: int | None
    run_id: str
    once: str | None = None
    error: str | None = None


class PipelineRunPage(Record):
    """Runs, newest first; `next` is the `after` of the next page, None at the end."""

    runs: list[PipelineRun]
    next: str | None = None


class StepLog(Record):
    """A piece of a step's output. Ask again from `offset` while `ended` is false."""

    text: str
    offset: int
    ended: bool
