"""What `homeostat.core.db.Database` promises, whatever runs below it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event, exc

from homeostat.core import statements
from homeostat.core.context import acting_as, current_actor
from homeostat.core.db import Database
from homeostat.core.errors import HomeostatError, InvalidInput, Unavailable

# A table of the suite's own: the contract is about transactions, not about any slice's rows.
_own = sa.MetaData()
item = sa.Table(
    "suite_item",
    _own,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer),
    sa.Column("big", sa.BigInteger),
    sa.Column("real", sa.Float),
    sa.Column("text", sa.Text),
    sa.Column("data", sa.LargeBinary),
    sa.Column("flag", sa.Boolean),
)


def put(name: str, **values: Any) -> Callable[[sa.Connection], None]:
    """A write of one row."""

    def insert(connection: sa.Connection) -> None:
        connection.execute(sa.insert(item).values(name=name, **values))

    return insert


_OFF = "insert into suite_item (name, position) values (?, ?)"
_ALL = "select name from suite_item order by name"


def off(name: str, position: int) -> Callable[[sa.Connection], None]:
    """A write of one row that is put off."""
    return lambda connection: statements.put(connection, _OFF, (name, position))


def names(connection: sa.Connection) -> set[str]:
    """The names of the rows there are."""
    return set(connection.execute(sa.select(item.c.name)).scalars())


class DatabaseSuite:
    """Tests of a database. `open_database` opens the same, at first empty, database each time it is called."""

    @pytest.fixture
    def open_database(self) -> Callable[[], Database]:
        raise NotImplementedError("give the suite a fixture that returns a function that opens the database")

    @pytest.fixture
    def database(self, open_database: Callable[[], Database]) -> Iterator[Database]:
        database = open_database()
        database.write(_own.create_all)
        yield database
        database.close()

    @pytest.fixture
    def other(self, database: Database, open_database: Callable[[], Database]) -> Iterator[Database]:
        other = open_database()
        yield other
        other.close()

    def test_a_write_gives_its_result_and_is_there_for_the_next_reader(self, database: Database) -> None:
        def write(connection: sa.Connection) -> int:
            put("one")(connection)
            return 41

        assert database.write(write) == 41
        assert database.read(names) == {"one"}

    def test_values_come_back_as_they_went(self, database: Database) -> None:
        row = {
            "position": -(2**31),
            "big": 2**63 - 1,
            "real": 0.1 + 0.2,
            "text": "Ω – 中文 🛩\n" * 10_000,
            "data": bytes(range(256)) * 4_000,
            "flag": True,
        }
        database.write(put("row", **row))
        back = database.read(lambda c: c.execute(sa.select(item)).one())
        assert {name: getattr(back, name) for name in row} == row

    def test_a_failing_write_takes_only_itself_back(self, database: Database) -> None:
        def fail(connection: sa.Connection) -> None:
            put("lost")(connection)
            raise RuntimeError("stop")

        outcomes = together(database, [put("before"), fail, put("after")])
        assert [type(o) for o in outcomes] == [type(None), RuntimeError, type(None)]
        assert database.read(names) == {"first", "before", "after"}

    def test_a_taken_key_is_told_to_the_one_who_asked(self, database: Database) -> None:
        outcomes = together(database, [put("a"), put("a"), put("b")])
        assert sorted(type(o).__name__ for o in outcomes) == ["IntegrityError", "NoneType", "NoneType"]
        assert database.read(names) == {"first", "a", "b"}

    def test_writes_that_wait_share_commits(self, database: Database) -> None:
        commits = 0

        def count(_: Any) -> None:
            nonlocal commits
            commits += 1

        event.listen(database.writer, "commit", count)
        outcomes = together(database, [put(f"n{i}") for i in range(64)])
        assert outcomes == [None] * 64
        assert commits <= 3  # the one that held them up, and what had gathered behind it

    def test_writes_of_one_thread_happen_in_their_order(self, database: Database) -> None:
        seen: list[int] = []

        def step(number: int) -> Callable[[sa.Connection], None]:
            def write(connection: sa.Connection) -> None:
                seen.append(len(names(connection)))
                put(str(number))(connection)

            return write

        for number in range(20):
            database.write(step(number))
        assert seen == list(range(20))

    def test_a_write_inside_a_write_joins_it(self, database: Database) -> None:
        def outer(connection: sa.Connection) -> None:
            database.write(put("inner"))
            assert database.read(names) == {"inner"}
            raise RuntimeError("take both back")

        with pytest.raises(RuntimeError, match="take both back"):
            database.write(outer)
        assert database.read(names) == set()

    def test_a_lone_write_that_fails_is_taken_back_wholly(self, database: Database) -> None:
        def fail(connection: sa.Connection) -> None:
            put("lost")(connection)
            database.before_commit(put("lost too"))
            raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            database.write(fail)
        database.write(put("next"))
        assert database.read(names) == {"next"}

    def test_what_is_written_before_the_commit_stands_and_falls_with_its_write(self, database: Database) -> None:
        def write(name: str, error: Exception | None) -> Callable[[sa.Connection], None]:
            def fn(connection: sa.Connection) -> None:
                database.before_commit(put(f"{name} last"))
                put(name)(connection)
                if error is not None:
                    raise error

            return fn

        results = database.submit_all([(write("good", None), copy_context()), (write("bad", KeyError()), Context())])
        assert [type(result.exception()) for result in results] == [type(None), KeyError]
        assert database.read(names) == {"good", "good last"}

    def test_what_comes_before_the_commit_keeps_its_order_among_all_writes(self, database: Database) -> None:
        seen: list[str] = []

        def write(name: str, order: int) -> Callable[[sa.Connection], None]:
            return lambda _: database.before_commit(lambda _: seen.append(name), order)

        asked = [("second", 2), ("first", 1), ("third", 2), ("zeroth", 0)]
        for result in database.submit_all([(write(*each), copy_context()) for each in asked]):
            result.result()
        assert seen == ["zeroth", "first", "second", "third"]

    def test_writes_asked_for_together_share_a_transaction(self, database: Database) -> None:
        with acting_as("ann"):
            asked = [(put(name), copy_context()) for name in ("a", "b", "a", "c")]
        results = database.submit_all([*asked, (lambda _: current_actor(), asked[0][1])])
        assert [type(result.exception()).__name__ for result in results] == [
            "NoneType", "NoneType", "IntegrityError", "NoneType", "NoneType",
        ]  # fmt: skip
        assert results[-1].result() == "ann"
        assert database.read(names) == {"a", "b", "c"}

    def test_who_must_not_wait_does_not_wait_for_another_writer(self, database: Database, other: Database) -> None:
        inside, go_on = threading.Event(), threading.Event()

        def slow(connection: sa.Connection, name: str) -> None:
            put(name)(connection)
            inside.set()
            assert go_on.wait(30)

        for number, writer in enumerate((database, other)):
            inside.clear()
            go_on.clear()
            thread = threading.Thread(target=writer.write, args=(lambda c, name=f"slow {number}": slow(c, name),))
            thread.start()
            assert inside.wait(30)
            # On one and the same thread: were it to wait here, nobody could let it go on.
            (result,) = database.submit_all([(put(f"quick {number}"), copy_context())])
            go_on.set()
            thread.join()
            assert result.exception() is None
        assert database.read(names) == {"slow 0", "quick 0", "slow 1", "quick 1"}

    def test_a_reader_neither_waits_for_a_writer_nor_sees_its_half(self, database: Database) -> None:
        inside, go_on = threading.Event(), threading.Event()

        def slow(connection: sa.Connection) -> None:
            put("half")(connection)
            inside.set()
            assert go_on.wait(30)

        thread = threading.Thread(target=database.write, args=(slow,))
        thread.start()
        try:
            assert inside.wait(30)
            assert database.read(names) == set()
        finally:
            go_on.set()
            thread.join()
        assert database.read(names) == {"half"}

    def test_a_read_may_ask_nothing_and_may_fail(self, database: Database) -> None:
        for _ in range(3):
            assert database.read(lambda c: c.dialect.name) == database.read(lambda c: c.dialect.name)
            assert database.read(lambda c: statements.rows(c, "select 1")) == [(1,)]
            with pytest.raises(HomeostatError):
                database.read(lambda c: statements.rows(c, "select nothing from nowhere"))
            with pytest.raises(ZeroDivisionError):
                database.read(lambda c: statements.rows(c, "select 1") and 1 / 0)
            assert database.read(lambda c: c.execute(sa.text("select 2")).scalar_one()) == 2

    def test_one_read_is_one_snapshot(self, database: Database) -> None:
        def twice(connection: sa.Connection) -> tuple[set[str], set[str]]:
            first = names(connection)
            thread = threading.Thread(target=database.write, args=(put("meanwhile"),))
            thread.start()
            thread.join()
            return first, names(connection)

        database.write(put("there"))
        assert database.read(twice) == ({"there"}, {"there"})
        assert database.read(names) == {"there", "meanwhile"}

    def test_eight_threads_lose_nothing(self, database: Database) -> None:
        def many(mine: int) -> None:
            for number in range(25):
                database.write(put(f"{mine}-{number}"))

        in_threads([lambda mine=mine: many(mine) for mine in range(8)])
        assert len(database.read(names)) == 200

    def test_two_openings_lose_nothing(self, database: Database, other: Database) -> None:
        def many(target: Database, mine: str) -> None:
            for number in range(40):
                target.write(put(f"{mine}-{number}"))

        in_threads([lambda: many(database, "here"), lambda: many(other, "there")])
        assert len(database.read(names)) == len(other.read(names)) == 80

    def test_a_write_acts_for_whom_it_was_asked(self, database: Database) -> None:
        def who(connection: sa.Connection) -> str:
            return current_actor()

        with acting_as("ann"):
            assert database.write(who) == "ann"
        assert database.write(who) != "ann"

    def test_a_statement_that_cannot_be_is_an_error_of_ours(self, database: Database) -> None:
        def wrong(connection: sa.Connection) -> None:
            connection.execute(sa.text("select * from no_such_table"))

        with pytest.raises(HomeostatError, match="no_such_table"):
            database.write(wrong)
        with pytest.raises(HomeostatError, match="no_such_table"):
            database.read(wrong)
        database.write(put("still works"))
        assert database.read(names) == {"still works"}

    def test_what_was_put_off_comes_before_what_is_asked_next(self, database: Database) -> None:
        def write(connection: sa.Connection) -> list[object]:
            off("a", 1)(connection)
            off("b", 2)(connection)
            found: list[object] = [sorted(row[0] for row in statements.rows(connection, "select name from suite_item"))]
            off("c", 3)(connection)
            found.append(statements.change(connection, "update suite_item set position = position + ?", (10,)))
            off("d", 4)(connection)
            found.append(names(connection))  # by SQLAlchemy
            asked = [("select position from suite_item where name = ?", (name,)) for name in "ad"]
            statements.change_many(connection, _OFF, [("e", 5), ("f", 6)])
            return [
                *found,
                statements.rows_of(connection, asked),
                [row[0] for row in statements.each(connection, _ALL)],
            ]

        for _ in range(4):  # in the end what is asked often is prepared
            database.write(lambda c: statements.put(c, "delete from suite_item"))
            wrote = database.write(write)
            assert wrote == [["a", "b"], 3, {"a", "b", "c", "d"}, [[(11,)], [(4,)]], list("abcdef")]
            assert database.look(lambda c: statements.rows(c, _ALL)) == [(name,) for name in "abcdef"]

    def test_what_was_put_off_fails_whoever_asked_for_it(self, database: Database) -> None:
        outcomes = together(database, [off("a", 1), off("a", 2), off("b", 3), off("a", 4)])
        assert [type(outcome).__name__ for outcome in outcomes] == [
            "NoneType", "IntegrityError", "NoneType", "IntegrityError",
        ]  # fmt: skip
        assert database.read(names) == {"first", "a", "b"}
        for _ in range(2):
            with pytest.raises(exc.IntegrityError):
                database.write(lambda c: (off("lost", 1)(c), off("b", 2)(c)))
            with pytest.raises(HomeostatError, match="no_such_table"):
                database.write(lambda c: (off("lost", 1)(c), statements.put(c, "delete from no_such_table")))
        database.write(off("c", 5))
        assert database.read(names) == {"first", "a", "b", "c"}

    def test_what_was_put_off_by_who_fails_is_never_done(self, database: Database) -> None:
        def fail(connection: sa.Connection) -> None:
            off("lost", 1)(connection)
            raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            database.write(fail)
        outcomes = together(database, [off("a", 1), fail, off("b", 2)])
        assert [type(outcome) for outcome in outcomes] == [type(None), RuntimeError, type(None)]
        assert database.read(names) == {"first", "a", "b"}

    def test_values_come_back_as_they_went_by_statements_too(self, database: Database) -> None:
        given = ("row", -(2**31), 2**63 - 1, 0.1 + 0.2, "Ω – 中文 🛩\n" * 100_000, bytes(range(256)) * 40_000, True)
        asked = "select name, position, big, real, text, data, flag from suite_item"
        put_one = "insert into suite_item (name, position, big, real, text, data, flag) values (?, ?, ?, ?, ?, ?, ?)"
        for name in ("a", "b", "c", "d"):
            row = (name, *given[1:])
            assert database.write(lambda c, row=row: statements.change(c, put_one, row)) == 1
            nothing = (f"no {name}", None, None, None, None, None, None)
            assert database.write(lambda c, row=nothing: statements.change(c, put_one, row)) == 1
            found = database.write(lambda c, name=name: statements.rows(c, f"{asked} where name like ?", (f"%{name}",)))
            assert sorted(found) == [row, nothing]

    def test_a_number_beyond_64_bits_is_refused(self, database: Database) -> None:
        with pytest.raises(InvalidInput):
            database.write(put("big", big=2**70))
        with pytest.raises(InvalidInput):
            database.read(
                lambda c: c.execute(sa.select(item).where(item.c.big == sa.literal(2**70, sa.BigInteger))).all()
            )

    def test_closing_finishes_what_was_asked_for(self, database: Database, other: Database) -> None:
        inside, go_on = threading.Event(), threading.Event()

        def slow(connection: sa.Connection) -> None:
            inside.set()
            assert go_on.wait(30)
            put("asked")(connection)

        writing = threading.Thread(target=database.write, args=(slow,))
        writing.start()
        assert inside.wait(30)
        closing = threading.Thread(target=database.close)
        closing.start()
        go_on.set()
        writing.join()
        closing.join()
        assert other.read(names) == {"asked"}
        with pytest.raises(Unavailable, match="is closed"):
            database.write(put("too late"))
        with pytest.raises(Unavailable, match="is closed"):
            database.submit_all([(put("too late"), copy_context())])


def in_threads(calls: list[Callable[[], object]]) -> None:
    """Run all `calls` at the same time and wait for them; raises the first failure."""
    failures: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def together(database: Database, writes: list[Callable[[sa.Connection], object]]) -> list[BaseException | None]:
    """Let `writes` pile up behind one that puts "first", then go: the error of each, None where it was kept."""
    inside, go_on = threading.Event(), threading.Event()

    def first(connection: sa.Connection) -> None:
        put("first")(connection)
        inside.set()
        assert go_on.wait(30)

    outcomes: list[BaseException | None] = [None] * len(writes)
    asked = threading.Semaphore(0)

    def attempt(index: int) -> None:
        asked.release()
        try:
            database.write(writes[index])
        except Exception as error:
            outcomes[index] = error

    holding = threading.Thread(target=database.write, args=(first,))
    holding.start()
    assert inside.wait(30)
    waiting = [threading.Thread(target=attempt, args=(index,)) for index in range(len(writes))]
    for thread in waiting:
        thread.start()
        asked.acquire()
    # Each has passed its release; a moment lets the last ones enter the queue. Late ones only cost a commit more.
    waiting[-1].join(0.2)
    go_on.set()
    for thread in (holding, *waiting):
        thread.join()
    return outcomes
