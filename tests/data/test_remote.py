"""The same verbs across HTTP: frames, rules and reports arrive as they were."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import uvicorn
from polars.testing import assert_frame_equal

import homeostat as hs
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.data import DropDuplicates, InRange, NotNull, NullImpossible
from homeostat.server.app import make_app

FRAME = pl.DataFrame({"id": [1, 1, 2], "x": [0.5, 0.5, -99.0]})


@pytest.fixture
def far(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hs.Workspace]:
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(ws, "127.0.0.1"), log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "elsewhere"))
    with hs.open(f"http://127.0.0.1:{sock.getsockname()[1]}") as workspace:
        yield workspace
    server.should_exit = True
    thread.join(300)


def test_tables_across_the_wire(ws: hs.Workspace, far: hs.Workspace) -> None:
    rules = [DropDuplicates(), NullImpossible(column="x", low=0)]
    far.data.set_expectations("t", [NotNull(column="x"), InRange(column="id", low=1, severity="warn")])
    written = far.data.write_table("t", FRAME, key=["id"], clean=rules, message="näh")
    assert written == ws.data.get_table_version("t") == far.data.get_table_version("t")
    assert written.check is not None
    assert written.clean is not None
    assert [r.passed for r in written.check.results] == [False, True]
    assert [f.rows for f in written.clean.findings] == [1, 1]
    assert_frame_equal(far.data.read_table("t"), ws.data.read_table("t"))
    assert far.data.read_table("t", version=1, columns=["id"]).columns == ["id"]
    assert far.data.profile_table("t") == ws.data.profile_table("t")
    assert far.data.get_expectations("t") == ws.data.get_expectations("t")
    far.data.import_bytes("c", b"a,b\n1,2\n", filename="c.csv")
    assert ws.data.read_table("c").rows() == [(1, 2)]
    assert [t.name for t in far.data.list_tables()] == ["c", "t"]


def test_errors_across_the_wire(far: hs.Workspace) -> None:
    with pytest.raises(NotFound, match="no table 'no'"):
        far.data.read_table("no")
    with pytest.raises(InvalidInput, match="c.csv line 2 has 1 fields"):
        far.data.import_bytes("c", b"a,b\n1\n", filename="c.csv")


def test_changes_made_across_the_wire_are_in_the_audit_log(ws: hs.Workspace, far: hs.Workspace) -> None:
    far.data.write_table("t", FRAME)
    far.notify.list_channels()
    assert [(e.verb, e.arguments["name"]) for e in ws.team.list_audit()] == [("data.write_table", "t")]
