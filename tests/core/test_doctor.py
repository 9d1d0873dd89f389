"""The doctor says nothing of a healthy workspace, and names each thing that was broken on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core import doctor
from homeostat.core.doctor import Finding, examine
from homeostat.core.errors import Corrupt, InvalidInput, NotFound
from homeostat.core.events import cursors, publish
from homeostat.core.schema import version_table
from tests.core.listeners import Noted

FLIGHTS = pl.DataFrame({"flight": [1, 2, 3]})


def told(ws: hs.Workspace, full: bool = True) -> list[Finding]:
    """What the doctor is not content with, but for this machine's own disk."""
    return [f for f in examine(ws, full) if f.state != "ok" and f.check != "disk"]


@pytest.fixture
def lived_in(any_ws: hs.Workspace, tmp_path: Path) -> hs.Workspace:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note.txt").write_text("kept")
    any_ws.data.write_table("flights", FLIGHTS)
    any_ws.data.write_table("flights", FLIGHTS)
    any_ws.data.write_tree("notes", str(tmp_path / "folder"))
    return any_ws


@pytest.mark.parametrize("full", [False, True])
def test_a_healthy_workspace_has_no_complaints(lived_in: hs.Workspace, full: bool):
    assert told(lived_in, full) == []
    assert {f.check for f in examine(lived_in)} >= {
        "schema",
        "database",
        "bytes",
        "tables",
        "trees",
        "models",
        "events",
    }


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def files(ws: hs.Workspace) -> list[Path]:
    return sorted((ws.home / "tables" / "flights").glob("*.parquet"))


def test_a_missing_table_file_is_named(lived_in: hs.Workspace):
    gone = files(lived_in)[1]
    gone.unlink()
    found = only(told(lived_in))
    assert (found.check, found.state) == ("tables", "bad")
    assert f"table 'flights', versions from 2 on: {gone.name} is missing" in found.message


def test_a_shortened_table_file_is_named_without_reading_it(lived_in: hs.Workspace):
    file = files(lived_in)[0]
    file.write_bytes(file.read_bytes()[:-1])
    assert "bytes instead of" in only(told(lived_in, full=False)).message


def test_a_changed_table_file_is_named_when_all_is_read(lived_in: hs.Workspace):
    file = files(lived_in)[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert "is damaged" in only(told(lived_in)).message


def test_a_stray_file_is_only_a_warning(lived_in: hs.Workspace):
    (lived_in.home / "tables" / "flights" / "stray.parquet").write_bytes(b"x")
    found = only(told(lived_in))
    assert (found.state, "belong to no version" in found.message) == ("warn", True)


def test_damaged_and_missing_bytes_are_named(lived_in: hs.Workspace):
    digest = lived_in.blobs.put_bytes(b"will rot")
    lived_in.blobs.local_path(digest).write_bytes(b"rotten..")
    tree = lived_in.data.list_trees()[0].digest
    lived_in.blobs.local_path(lived_in.blobs.get_tree(tree).files["note.txt"].digest).unlink()
    assert sorted((f.check, f.state) for f in told(lived_in)) == [("bytes", "bad"), ("trees", "bad")]
    assert any(digest[:12] in f.message for f in told(lived_in))


def test_a_missing_table_of_the_database_is_named(lived_in: hs.Workspace):
    lived_in.db.write(lambda c: c.execute(sa.text("drop table core_lineage")))
    assert "core_lineage.run_id" in only(told(lived_in)).message


def test_a_damaged_database_ends_the_examination(lived_in: hs.Workspace):
    if "://" in lived_in.url:
        pytest.skip("a damaged PostgreSQL is for PostgreSQL to find")
    home = lived_in.home
    lived_in.close()
    (home / "homeostat.db").write_bytes(b"not a database" * 100)
    with hs.open(home) as again:
        found = only(told(again))
    assert (found.check, found.state) == ("schema", "bad")
    assert "damaged" in found.message


def test_a_damaged_page_is_found(ws: hs.Workspace):
    ws.db.write(lambda c: [publish(ws, c, Noted(number=n)) for n in range(3000)] and None)
    home = ws.home
    ws.close()
    database = bytearray((home / "homeostat.db").read_bytes())
    middle = len(database) // 2 // 4096 * 4096
    database[middle : middle + 4096] = b"\xff" * 4096
    (home / "homeostat.db").write_bytes(database)
    with hs.open(home) as again:
        assert any(f.state == "bad" for f in told(again))


@pytest.mark.parametrize(("version", "word"), [("0000", "older"), ("9999", "newer")])
def test_another_schema_is_told_and_not_touched(lived_in: hs.Workspace, workspace_url: str, version: str, word: str):
    lived_in.db.write(lambda c: c.execute(sa.update(version_table).values(version_num=version)))
    with hs.open(workspace_url) as again:
        assert word in only(told(again)).message
    assert lived_in.db.read(lambda c: c.execute(sa.select(version_table.c.version_num)).scalar_one()) == version


def test_a_lease_of_a_dead_process_is_told(lived_in: hs.Workspace):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    lived_in.leases.acquire("job", 600, f"{os.uname().nodename}:{child.pid}:abcd")
    lived_in.leases.acquire("alive", 600, lived_in.instance)
    lived_in.leases.acquire("elsewhere", 600, f"another-host:{child.pid}:abcd")
    found = only(told(lived_in))
    assert found.message == f"'job' is held by process {child.pid}, which is gone"


def test_a_listener_that_lags_is_told(lived_in: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    from homeostat.events import EVENTS, EventEntry

    monkeypatch.setattr(doctor, "_WARN_WAITING", 1)
    monkeypatch.setitem(EVENTS, "test_noted", EventEntry(record="x:Y", listeners=["x:lagging"]))
    lived_in.db.write(lambda c: c.execute(sa.insert(cursors).values(listener="x:lagging", last_id=0)))
    assert "x:lagging has not seen the last" in only(told(lived_in)).message


def test_a_full_disk_is_told(lived_in: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_BAD_BYTES", 1 << 62)
    assert [f.state for f in examine(lived_in) if f.check == "disk"] == ["bad"]


def test_the_command(
    ws: hs.Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor, "_BAD_BYTES", 0)
    ws.data.write_table("flights", FLIGHTS)
    assert main(["doctor", "--home", str(ws.home)]) == 0
    assert "ok   tables    1 files of 1 tables are there" in capsys.readouterr().out
    files(ws)[0].unlink()
    assert main(["doctor", "--home", str(ws.home)]) == Corrupt.exit_code
    assert "→ put the file back from a backup" in capsys.readouterr().out
    assert main(["doctor", "--json", "--home", str(ws.home)]) == Corrupt.exit_code
    assert {f["state"] for f in json.loads(capsys.readouterr().out)} >= {"ok", "bad"}
    assert main(["doctor", "--home", str(tmp_path / "nowhere")]) == NotFound.exit_code
    assert not (tmp_path / "nowhere").exists()
    assert main(["doctor", "--home", "http://127.0.0.1:1"]) == InvalidInput.exit_code
    (tmp_path / "bare").mkdir()
    assert main(["doctor", "--home", str(tmp_path / "bare")]) == NotFound.exit_code
    assert list((tmp_path / "bare").iterdir()) == []
