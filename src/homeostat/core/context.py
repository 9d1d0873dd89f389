"""Who is acting and which run is open: carried here, so that no slice imports `team` or `tracking` to know it.

The open run travels into child processes as `HOMEOSTAT_RUN`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_actor: ContextVar[str] = ContextVar("homeostat_actor", default="local")
_run: ContextVar[str | None] = ContextVar("homeostat_run", default=None)

RUN_VARIABLE = "HOMEOSTAT_RUN"


def current_actor() -> str:
    """The name under which changes are recorded: a user or token name, or "local"."""
    return _actor.get()


def current_run() -> str | None:
    """The id of the open run, if any: of this context, or inherited from the parent process."""
    return _run.get() or os.environ.get(RUN_VARIABLE) or None


class acting_as:
    """Within the block, changes are recorded under `actor`."""

    __slots__ = ("_actor_name", "_before")

    def __init__(self, actor: str) -> None:
        self._actor_name = actor

    def __enter__(self) -> None:
        self._before = _actor.set(self._actor_name)

    def __exit__(self, *_: object) -> None:
        _actor.reset(self._before)


@contextmanager
def acting_run(run_id: str | None) -> Generator[None]:
    """Within the block, reading and writing assets is recorded as lineage of `run_id`."""
    token = _run.set(run_id)
    try:
        yield
    finally:
        _run.reset(token)
