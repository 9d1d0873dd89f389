"""A real `homeostat up` and the real `mlflow` client; skipped by name where the client is not installed."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.mlflow.client import Client, find_python
from tests.server.processes import Up


@pytest.fixture(scope="session")
def mlflow_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The client and its server, shared by all tests of a worker: each uses experiments and models of its own name."""
    python = find_python()
    if python is None:
        pytest.skip("the MLflow client is not installed (`make test` does it, or name a Python that has it in"
                    " HOMEOSTAT_MLFLOW_PYTHON): its tests are not run")  # fmt: skip
    home = tmp_path_factory.mktemp("mlflow") / "home"
    server = Up(home)
    try:
        client = Client(python, server.url, tmp_path_factory.mktemp("client"), home)
        yield client
        client.stop()
    finally:
        code, said = server.stop(signal.SIGTERM)
    assert code == 0, said
    assert "Traceback" not in said, said
