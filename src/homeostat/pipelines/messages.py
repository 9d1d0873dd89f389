"""What supervisor and child say to each other: a request file, and an answer file written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from homeostat.core.records import Record, to_json
from homeostat.pipelines.graph import Graph
from homeostat.pipelines.model import Value


class Request(Record):
    """Work for a child. "plan": describe `function` called with `params`. "step": run `function` with `arguments`.

    `scratch` is the child's own folder, removed after it. `sources` are files that must still have these digests.
    """

    do: Literal["plan", "step"]
    url: str
    project: str
    function: str
    answer: str
    scratch: str
    params: dict[str, Any] = {}
    arguments: dict[str, Value] = {}
    sources: dict[str, str] = {}
    key: str = ""
    run_id: str | None = None
    step_key: str = ""


class Failure(Record):
    """Why there is no result. `code` is the code of a HomeostatError, "" for any other exception."""

    kind: str
    message: str
    code: str = ""
    hint: str = ""


class Answer(Record):
    """What a child gave. `stale`: the project's files are no longer those that the request speaks of."""

    key: str = ""
    graph: Graph | None = None
    value: Value | None = None
    failure: Failure | None = None
    stale: bool = False


def write_whole(path: Path, record: Record) -> None:
    """Write `record` to `path` so that a reader finds all of it, after a power cut too, or nothing."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(to_json(record).encode())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
