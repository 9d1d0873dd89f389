"""What is carried from one tracking store to another. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from homeostat.core.records import Record


class MovedExperiment(Record):
    """An experiment: `id` is the source's own, `lifecycle` "active" or "deleted"."""

    id: str
    name: str
    lifecycle: str = "active"
    tags: dict[str, str] = {}
    created_ms: int = 0


class MovedRun(Record):
    """A run without its points and files. `status` is MLflow's word: RUNNING, SCHEDULED, FINISHED, FAILED, KILLED."""

    id: str
    experiment: str
    name: str
    status: str
    start_ms: int
    end_ms: int | None = None
    user: str = ""
    lifecycle: str = "active"
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    keys: list[str] = []
    files: str = ""


class Point(Record):
    """One point of a metric."""

    value: float
    at_ms: int
    step: int


class MovedVersion(Record):
    """A version of a registered model; `files` says where its model directory lies."""

    model: str
    version: int
    run_id: str | None = None
    description: str = ""
    stage: str = "None"
    tags: dict[str, str] = {}
    created_ms: int = 0
    files: str = ""


class MovedModel(Record):
    """A registered model with its versions, oldest first."""

    name: str
    description: str = ""
    tags: dict[str, str] = {}
    aliases: dict[str, int] = {}
    versions: list[MovedVersion] = []


class Source(Protocol):
    """Where runs and models come from. Everything is read lazily: a store of any size passes through little memory."""

    def experiments(self) -> Iterator[MovedExperiment]:
        """Every experiment, deleted ones too."""
        ...

    def runs(self, experiment: str) -> Iterator[MovedRun]:
        """Every run of an experiment (by the source's id), deleted ones too, oldest first."""
        ...

    def history(self, run: MovedRun, key: str) -> Iterator[Point]:
        """Every point of one metric of a run."""
        ...

    def list_files(self, where: str) -> Iterator[str]:
        """The paths of the files under an artifact address, in order. Raises Unavailable when it cannot be reached."""
        ...

    def open_file(self, where: str, path: str) -> BinaryIO:
        """One of them, to be read once and closed."""
        ...

    def models(self) -> Iterator[MovedModel]:
        """Every registered model."""
        ...
