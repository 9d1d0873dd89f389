from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from homeostat.core.db import Database
from homeostat.engines.postgres import open_postgres
from homeostat.engines.sqlite import open_sqlite
from homeostat.testing.database import DatabaseSuite, item, names, put
from tests.postgres import Cluster


class TestSqlite(DatabaseSuite):
    @pytest.fixture
    def open_database(self, tmp_path: Path) -> Callable[[], Database]:
        return lambda: open_sqlite(f"sqlite:///{tmp_path / 'a database.db'}")

    def test_an_answered_write_is_on_disk_at_once(self, database: Database):
        def pragma(name: str) -> object:
            return database.write(lambda c: c.execute(sa.text(f"pragma {name}")).scalar())

        assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)


class TestPostgres(DatabaseSuite):
    @pytest.fixture
    def open_database(self, postgres: Cluster) -> Callable[[], Database]:
        url = postgres.new_database()
        return lambda: open_postgres(url)

    def test_a_lost_connection_is_made_again(self, database: Database, other: Database):
        database.write(put("before"))
        others = (
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        other.write(lambda c: c.execute(sa.text(others)).all())
        database.write(put("after"))
        assert database.read(names) == {"before", "after"}

    def test_a_write_whose_connection_breaks_is_done_once(self, database: Database, other: Database):
        tries: list[int] = []

        def unlucky(connection: sa.Connection) -> None:
            tries.append(1)
            put("once")(connection)
            if len(tries) == 1:
                own = connection.execute(sa.text("select pg_backend_pid()")).scalar_one()
                stop = sa.text("select pg_terminate_backend(:pid)").bindparams(pid=own)
                thread = threading.Thread(target=other.read, args=(lambda c: c.execute(stop).all(),))
                thread.start()
                thread.join()
                connection.execute(sa.text("select 1"))

        database.write(unlucky)
        assert len(tries) == 2
        assert database.read(names) == {"once"}

    def test_two_processes_in_each_others_way_both_succeed(self, database: Database, other: Database):
        database.write(put("a", position=0))
        database.write(put("b", position=0))
        meeting = threading.Barrier(2)

        def raise_both(first: str, second: str) -> Callable[[sa.Connection], None]:
            tries: list[int] = []

            def change(connection: sa.Connection) -> None:
                tries.append(1)
                for name in (first, second):
                    connection.execute(sa.update(item).where(item.c.name == name).values(position=item.c.position + 1))
                    if name == first and len(tries) == 1:
                        meeting.wait(300)  # both hold one row and want the other's

            return change

        thread = threading.Thread(target=lambda: other.write(raise_both("b", "a")))
        thread.start()
        database.write(raise_both("a", "b"))
        thread.join()
        assert database.read(lambda c: c.execute(sa.select(item.c.position)).scalars().all()) == [2, 2]
