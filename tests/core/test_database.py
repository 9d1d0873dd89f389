"""What the database contract (tests/contract) cannot know: how a workspace meets its database."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

import homeostat as hs
from homeostat.core import db as database
from homeostat.core import statements
from homeostat.core.doctor import examine
from homeostat.core.errors import Corrupt, Unavailable
from homeostat.core.schema import VERSION, version_table
from homeostat.engines.postgres import open_postgres


def test_a_damaged_database_says_so(tmp_path: Path):
    (tmp_path / "homeostat.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(hs.HomeostatError, match="damaged") as caught:
        _ = hs.open(tmp_path).db
    assert caught.value.code == "corrupt"


def test_a_newer_database_is_refused(any_ws: hs.Workspace, workspace_url: str):
    any_ws.db.write(lambda c: c.execute(sa.update(version_table).values(version_num="9999")))
    with hs.open(workspace_url) as again, pytest.raises(Unavailable, match="newer Homeostat .schema 9999") as caught:
        _ = again.db
    assert "pip install" in caught.value.hint
    any_ws.db.write(lambda c: c.execute(sa.update(version_table).values(version_num=VERSION)))


@pytest.mark.parametrize("how", ["cut to nothing", "deleted"])
def test_a_lost_database_is_not_made_anew_beside_its_bytes(tmp_path: Path, how: str):
    with hs.open(tmp_path) as ws:
        ws.tracking.log_artifact(ws.tracking.create_run().id, "a.txt", b"kept")
    file = tmp_path / "homeostat.db"
    file.write_bytes(b"") if how == "cut to nothing" else file.unlink()
    for _ in range(2):
        with hs.open(tmp_path) as again, pytest.raises(Corrupt, match="while blobs beside it hold") as caught:
            again.tracking.list_experiments()
        assert ("is empty (0 bytes)" in caught.value.message) == (how == "cut to nothing")
        assert "homeostat restore BACKUP" in caught.value.hint
        with hs.open(tmp_path) as again, pytest.raises(Corrupt):
            again.blobs.put_bytes(b"more")
    with hs.open(tmp_path) as again:
        (found,) = examine(again)
    assert (found.check, found.state, "while blobs beside it hold" in found.message) == ("schema", "bad", True)
    assert not file.exists() or file.stat().st_size == 0


def test_an_empty_database_file_beside_nothing_is_a_new_workspace(tmp_path: Path):
    (tmp_path / "homeostat.db").touch()
    with hs.open(tmp_path) as ws:
        ws.blobs.put_bytes(b"first")
        assert ws.tracking.list_experiments() == []


def test_two_processes_may_make_one_workspace_at_once(workspace_url: str):
    script = (
        "import sys, homeostat as hs\nws = hs.open(sys.argv[1])\nws.leases.acquire(sys.argv[2], 60, 'x')\nws.close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, workspace_url, name]) for name in "abc"]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    with hs.open(workspace_url) as ws:
        assert [ws.leases.acquire(name, 60, "y") for name in "abc"] == [None, None, None]


def test_a_home_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(hs.HomeostatError, match="is a file, not a folder"):
        hs.open(tmp_path / "file")


@pytest.mark.parametrize("url", ["http://", "http://[", "http://host:port", "https://host:99999"])
def test_a_server_address_that_is_none_is_refused(url: str):
    with pytest.raises(hs.HomeostatError, match="is not an address"):
        hs.open(url)


@pytest.mark.parametrize("url", ["mysql://host/db", "ftp://host", "sqlite+x://y"])
def test_another_kind_of_address_is_refused(url: str):
    with pytest.raises(hs.HomeostatError, match="cannot be opened at"):
        hs.open(url)


def test_a_workspace_names_its_slices():
    with pytest.raises(AttributeError, match="a workspace has no 'regsitry'; its slices are data, tracking"):
        hs.open("http://127.0.0.1:9").regsitry  # noqa: B018


FULL = """
import resource, signal, sys
import homeostat as hs
from homeostat.core.errors import StorageFull
ws = hs.open(sys.argv[1])
run = ws.tracking.create_run(id="a" * 32)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
answered = 0
try:
    while answered < 5000:
        ws.tracking.set_tags(run.id, {f"k{answered}": "x" * 2000})
        answered += 1
except StorageFull as error:
    print(answered, len(ws.tracking.get_run(run.id).tags), error.status, error.hint)
"""


def test_a_full_disk_is_told_reading_goes_on_and_nothing_answered_is_lost(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "home"], capture_output=True, text=True, check=True)
    answered, readable, status, hint = done.stdout.strip().split(" ", 3)
    assert int(answered) > 50
    assert (readable, status) == (answered, "507")
    assert "free some disk space" in hint
    with hs.open(tmp_path / "home") as ws:
        assert len(ws.tracking.get_run("a" * 32).tags) >= int(answered)
        ws.tracking.set_tags("a" * 32, {"space": "again"})
        assert ws.tracking.get_run("a" * 32).tags["space"] == "again"


def test_who_no_longer_waits_does_not_stop_the_writer(any_ws: hs.Workspace):
    """A request that is given up cancels what it waits for; the write is made all the same, and the next ones too."""
    began, go = threading.Event(), threading.Event()

    def slow(_: sa.Connection) -> None:
        began.set()
        go.wait(300)

    first = any_ws.db.submit(slow)
    waiting = any_ws.db.submit(lambda c: any_ws.leases.acquire("given up", 60, "x"))
    began.wait(300)
    assert not waiting.cancel() and not first.cancel()
    go.set()
    assert waiting.result(300) is not None
    assert any_ws.leases.acquire("given up", 60, "y") is None


def test_a_read_finds_another_connection_when_those_it_had_were_ended(any_ws: hs.Workspace):
    if not any_ws.url.startswith("postgresql:"):
        pytest.skip("SQLite's connections are files")
    psycopg = pytest.importorskip("psycopg")

    def nested(c: sa.Connection) -> None:  # several connections at once, which lie idle afterwards
        any_ws.db.read(lambda other: (c.execute(sa.text("select 1")), other.execute(sa.text("select 1"))))

    any_ws.db.read(nested)
    for _ in range(2):
        with psycopg.connect(any_ws.url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert any_ws.db.look(lambda c: c.execute(sa.text("select 7")).scalar()) == 7
        assert any_ws.db.read(lambda c: c.execute(sa.text("select 7")).scalar()) == 7
        any_ws.db.read(nested)


def test_what_was_interrupted_leaves_no_answer_to_others(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    if not any_ws.url.startswith("postgresql:"):
        pytest.skip("SQLite's answers are there at once")
    from homeostat.engines.postgres_wire import PostgresWire

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def three(c: sa.Connection) -> list[object]:
        return statements.rows(c, "select 3")

    for ask in (any_ws.db.read, any_ws.db.look):
        assert ask(lambda c: statements.rows(c, "select 1")) == [(1,)]
        with monkeypatch.context() as patched:
            patched.setattr(PostgresWire, "_wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                ask(lambda c: statements.rows(c, "select 2 from pg_sleep(0.2)"))
        assert ask(three) == [(3,)]
        assert ask(three) == [(3,)]


def test_a_write_finds_another_connection_when_the_one_it_had_was_ended(any_ws: hs.Workspace):
    if not any_ws.url.startswith("postgresql:"):
        pytest.skip("SQLite's connections are files")
    psycopg = pytest.importorskip("psycopg")
    tag = "update tracking_experiment set lifecycle = lifecycle where id = ?"

    def end(c: sa.Connection) -> None:
        """The first time, while it is written."""
        pid = statements.rows(c, "select pg_backend_pid()")[0][0]
        if not ended:
            with psycopg.connect(any_ws.url, autocommit=True) as admin:
                ended.append(admin.execute("select pg_terminate_backend(%s, 5000)", (pid,)).fetchone())
        statements.put(c, tag, (len(ended),))

    for _ in range(2):
        ended: list[object] = []
        any_ws.db.write(end)
        with psycopg.connect(any_ws.url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert any_ws.db.write(lambda c: statements.rows(c, "select 7")) == [(7,)]


def test_a_write_of_one_exchange_is_a_transaction_by_itself(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    if not any_ws.url.startswith("postgresql:"):
        pytest.skip("SQLite is not exchanged with")
    from homeostat.engines.postgres_wire import PostgresWire

    exchange, exchanges = PostgresWire._exchange, list[list[str]]()

    def noted(wire: PostgresWire) -> object:
        if asked := [one.sql for one in wire._put_off if not one.sql.startswith("set ")]:
            exchanges.append(asked)
        return exchange(wire)

    add = "insert into team_user (name, role, created_ms) values (?, ?, ?)"

    def put(*names: str) -> list[str]:
        def write(c: sa.Connection) -> None:
            for name in names:
                statements.put(c, add, (name, "viewer", 1))

        with suppress(IntegrityError):
            any_ws.db.write(write)
        return any_ws.db.read(
            lambda c: [name for (name,) in statements.rows(c, "select name from team_user order by 1")]
        )

    assert put("ann", "bob") == ["ann", "bob"]
    monkeypatch.setattr(PostgresWire, "_exchange", noted)
    assert put("cid", "dan", "ann", "eve") == ["ann", "bob"]
    assert put("cid") == ["ann", "bob", "cid"]
    assert [each for each in exchanges if add in each] == [[add] * 4, [add]]


def test_an_event_loop_does_not_wait_for_rows_that_another_process_holds(any_ws: hs.Workspace):
    if not any_ws.url.startswith("postgresql:"):
        pytest.skip("SQLite has one writer at a time")
    psycopg = pytest.importorskip("psycopg")
    run = any_ws.tracking.create_run()
    rename = "update tracking_run set name = ? where id = ?"
    with psycopg.connect(any_ws.url) as other:
        other.execute("update tracking_run set name = 'theirs' where id = %s", (run.id,))
        asked = [lambda c, name=name: statements.change(c, rename, (name, run.id)) for name in ("a", "b")]
        # On one and the same thread: were it to wait here, nobody could let it go on.
        results = any_ws.db.submit_all([(fn, copy_context()) for fn in asked])
        assert not any(result.done() for result in results)
        other.commit()
    assert [result.result(300) for result in results] == [1, 1]
    assert any_ws.tracking.get_run(run.id).name == "b"


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("postgresql://ann@localhost:5432/x", True),
        ("postgresql://127.0.0.1/x", True),
        ("postgresql://ann@/x?host=/run/postgresql", True),
        ("postgresql://db.example.org/x", False),
        ("postgresql://localhost/x?host=db.example.org", False),
        ("postgresql://localhost,db.example.org/x", False),
    ],
)
def test_a_server_on_this_machine_is_near(url: str, near: bool):
    pytest.importorskip("psycopg")
    database = open_postgres(url)
    assert database.near == near
    database.close()


def test_a_read_is_of_one_moment(any_ws: hs.Workspace):
    def look(c: sa.Connection) -> tuple[int, int]:
        count = sa.select(sa.func.count()).select_from(version_table)
        before = c.execute(count).scalar_one()
        any_ws.db.submit(lambda w: w.execute(sa.insert(version_table).values(version_num="extra"))).result()
        return before, c.execute(count).scalar_one()

    assert any_ws.db.read(look) == (1, 1)
    assert any_ws.db.read(lambda c: len(c.execute(sa.select(version_table)).all())) == 2


def test_what_is_written_behind_others_gives_way_to_them(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    """A tenth of the time at most while they write, at once when they do not, and again after a while in any case."""
    at, others = [0.0], [False]

    def sleep(seconds: float) -> None:
        at[0] += seconds
        if others[0]:
            any_ws.db._wanted = at[0]

    def takes(seconds: float) -> float:
        before = at[0]
        any_ws.db.write(lambda _: at.__setitem__(0, at[0] + seconds))
        return at[0] - before - seconds

    any_ws.tracking.create_run()
    monkeypatch.setattr(database, "monotonic", lambda: at[0])
    monkeypatch.setattr(database, "sleep", sleep)
    any_ws.db._wanted = -1.0
    with any_ws.db.behind():
        assert takes(0.01) < 1e-9
        assert takes(0.05) < 1e-9
        any_ws.db._wanted = at[0]  # one other, and none after it
        assert 0.24 <= takes(0.05) <= 0.27
        others[0], any_ws.db._wanted = True, at[0]
        assert 0.44 <= takes(0.01) <= 0.47
        assert 0.085 <= takes(10) <= 0.11
        any_ws.db._wanted = at[0]
        assert 0.99 <= takes(0.01) <= 1.03
    assert takes(0.01) < 1e-9
