from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import homeostat as hs
from tests.server.running import Running


@pytest.fixture
def server(ws: hs.Workspace) -> Iterator[Running]:
    """A server without login, for this machine only."""
    running = Running(ws)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """As `server`, one for all tests of a file that change nothing."""
    with hs.open(Path(tmp_path_factory.mktemp("shared")) / "home") as workspace:
        running = Running(workspace)
        yield running
        running.stop()
