"""A new workspace's tables are made while whoever opens it does something else, as a server that starts does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.errors import HomeostatError, Unavailable
from homeostat.core.schema import VERSION, stored_version
from homeostat.server.app import make_app
from tests.ports import free_port
from tests.postgres import Cluster


@pytest.fixture
def empty(postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database without a table."""
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    return postgres.new_database()


def test_nobody_waits_for_tables_before_they_are_needed(empty: str):
    admin = sa.create_engine(empty.replace("postgresql:", "postgresql+psycopg:"))
    with hs.open(empty) as ws, ThreadPoolExecutor(1) as pool:
        with admin.connect() as other, other.begin() as transaction:
            other.execute(sa.text("create table core_event (id int)"))  # in the way, until it is taken back
            ws.begin()
            made = pool.submit(lambda: ws.tracking.create_run().id)
            assert not made.done()
            transaction.rollback()
        assert ws.tracking.get_run(made.result()).id == made.result()
        assert stored_version(ws.db) == VERSION
        ws.begin()  # nothing is left to do
    admin.dispose()


def test_a_workspace_that_is_closed_before_it_was_used_is_whole(empty: str):
    with hs.open(empty) as ws:
        ws.begin()
    with hs.open(empty) as ws:
        assert stored_version(ws.db) == VERSION


def test_tables_that_cannot_be_made_are_told_at_the_first_use_and_tried_again(empty: str):
    engine = sa.create_engine(empty.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    name = empty.rpartition("/")[2]
    with engine.connect() as admin, hs.open(empty) as ws:
        admin.execute(sa.text(f"alter database {name} set default_transaction_read_only = on"))
        ws.begin()
        with pytest.raises(HomeostatError, match="read-only"):
            ws.tracking.create_run()
        admin.execute(sa.text(f"alter database {name} reset default_transaction_read_only"))
        assert ws.tracking.create_run().id
    engine.dispose()


def test_who_does_not_answer_is_told_of_by_the_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    with hs.open(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing") as ws:
        ws.begin()
        with pytest.raises(Unavailable, match="does not answer"):
            _ = ws.db


def test_the_app_of_a_server_is_made_without_its_database(tmp_path: Path):
    with hs.open(tmp_path / "home") as ws:
        make_app(ws)
        assert not (tmp_path / "home" / "homeostat.db").exists()
