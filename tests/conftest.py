"""Fixtures that every test may use: a fresh workspace on SQLite (`ws`), or on each database in turn (`any_ws`).

Fresh is a copy of one that was opened and closed: to make a hundred tables takes longer than most tests.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import homeostat as hs
from tests.postgres import Cluster, find_programs
from tests.warm import Warm

ROOT = Path(__file__).parents[1]

# The same examples on every run, and none fails for being slow on a busy machine.
hypothesis.settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo first: it is the longest by far, and begun late it would end long after everything else. Together at
    the front, its tests also go to one worker, which makes the demo that they share once."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/demo/"))


@pytest.fixture(autouse=True)
def own_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """A browser once opened stays open, and its event loop passes for this thread's running one: `asyncio.run` would
    refuse to begin another in every test that comes after it in the same worker."""
    loop = asyncio._get_running_loop()
    if loop is None or "browser" in request.fixturenames:
        yield
        return
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here (initdb is neither on PATH nor under /usr/lib/postgresql)")
    cluster = Cluster(programs)
    yield cluster
    cluster.stop()


def _make(url: str) -> None:
    with hs.open(url) as workspace:
        workspace.db.read(lambda c: None)


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a workspace that nothing was done in yet: to be copied, not to be opened."""
    home = tmp_path_factory.mktemp("fresh") / "home"
    _make(str(home))
    return home


@pytest.fixture(scope="session")
def fresh_database(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database on PostgreSQL that is the same."""
    url = postgres.new_database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEOSTAT_HOME", str(tmp_path_factory.mktemp("fresh") / "home"))
        _make(url)
    return url.rpartition("/")[2]


@pytest.fixture
def ws(tmp_path: Path, fresh_home: Path) -> Iterator[hs.Workspace]:
    with hs.open(shutil.copytree(fresh_home, tmp_path / "home")) as workspace:
        yield workspace


@pytest.fixture(params=["sqlite", "postgresql"])
def workspace_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a fresh workspace, for tests that open it themselves or in several processes."""
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    if request.param == "sqlite":
        return str(shutil.copytree(request.getfixturevalue("fresh_home"), tmp_path / "home"))
    return request.getfixturevalue("postgres").new_database(request.getfixturevalue("fresh_database"))


@pytest.fixture
def any_ws(workspace_url: str) -> Iterator[hs.Workspace]:
    with hs.open(workspace_url) as workspace:
        yield workspace


@pytest.fixture
def reopen(workspace_url: str) -> Iterator[Callable[[], hs.Workspace]]:
    """Opens the same workspace again, as another process would."""
    opened: list[hs.Workspace] = []

    def again() -> hs.Workspace:
        opened.append(hs.open(workspace_url))
        return opened[-1]

    yield again
    for workspace in opened:
        workspace.close()


@pytest.fixture
def other_process() -> Iterator[Callable[..., Warm]]:
    """Starts Python code in a process of its own, with `fault` armed; none is left when the test is over."""
    started: list[Warm] = []

    def start(code: str, fault: str = "", **more: str) -> Warm:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), **more}
        environment["HOMEOSTAT_FAULT"] = fault
        started.append(Warm(textwrap.dedent(code), environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
