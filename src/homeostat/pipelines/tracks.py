"""A pipeline run and its steps as runs in tracking, so that they stand beside every other run."""

from __future__ import annotations

from typing import Any

from homeostat.core.blobs import digest_of
from homeostat.core.workspace import Workspace
from homeostat.pipelines.graph import Node
from homeostat.pipelines.store import Task
from homeostat.tracking import create_run, finish_run

_TEXT = 500


def experiment_of(pipeline: str) -> str:
    """The experiment that a pipeline's runs belong to.

    >>> experiment_of("flights.pipeline:train")
    'flights.pipeline.train'
    """
    return pipeline.replace(":", ".")[:128]


def step_run_id(run: str, step: str, key: str) -> str:
    """The tracking run of a step: the same in every attempt with the same code and inputs."""
    return digest_of(f"{run}/{step}/{key}".encode())[:32]


def begin_pipeline(ws: Workspace, run: str, pipeline: str, params: dict[str, Any]) -> None:
    """The pipeline's own run, begun or going on."""
    create_run(
        ws, experiment_of(pipeline), name=pipeline.rpartition(":")[2], kind="pipeline", id=run,
        params={name: _text(value) for name, value in params.items()}, source=pipeline,
    )  # fmt: skip


def begin_step(ws: Workspace, pipeline: str, task: Task, node: Node) -> None:
    """A step's run below its pipeline's."""
    told = {
        name: _text(value.data)
        for name, value in node.arguments.items()
        if value.codec == "json" and not value.digest and not isinstance(value.data, (list, dict))
    }
    create_run(
        ws, experiment_of(pipeline), name=task.name, kind="step", id=task.run_id, parent_id=task.run,
        params=told, source=node.function, code_version=task.key[:12],
    )  # fmt: skip


def end(ws: Workspace, run_id: str | None, status: str, error: str | None = None) -> None:
    """The end of either. A status of ours becomes one of tracking's."""
    if run_id is not None:
        known = {"done": "finished", "finished": "finished", "failed": "failed", "stopped": "killed"}
        finish_run(ws, run_id, status=known[status], error=error)  # pyright: ignore[reportArgumentType]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
