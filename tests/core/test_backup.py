"""A backup is a moment of the workspace, and a restored workspace is that moment, on either database."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from pathlib import Path

import blake3
import polars as pl
import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.backup import MANIFEST, backup, restore, verify
from homeostat.core.errors import AlreadyExists, Corrupt, InvalidInput, NotFound, Refused, Unavailable
from homeostat.core.events import events_after, last_event_id, publish
from homeostat.core.leases import table as leases
from homeostat.core.schema import VERSION
from tests.core.listeners import Noted
from tests.rows import dump, fill

FLIGHTS = pl.DataFrame({"flight": [1, 2, 3], "delay": [0.5, None, -3.0], "carrier": ["UA", "Ω", None]})


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where to restore to: nothing is there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "restored")
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "restored"))
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def small(ws: hs.Workspace, tmp_path: Path) -> Path:
    """A small backup file."""
    ws.blobs.put_bytes(b"some bytes")
    ws.data.write_table("flights", FLIGHTS)
    backup(ws, tmp_path / "small.tar")
    return tmp_path / "small.tar"


def test_every_row_survives_on_either_database(any_ws: hs.Workspace, target: str, tmp_path: Path):
    any_ws.db.write(fill)
    before = any_ws.db.read(dump)
    manifest = backup(any_ws, tmp_path / "all.tar")
    assert manifest.rows == sum(len(rows) for rows in before.values())
    restore(tmp_path / "all.tar", target)
    with hs.open(target) as restored:
        assert restored.db.read(dump) == before
        newest = last_event_id(restored)
        restored.db.write(lambda c: publish(restored, c, Noted(number=1)))
        assert last_event_id(restored) == newest + 1


def test_tables_trees_and_bytes_survive(any_ws: hs.Workspace, target: str, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note.txt").write_text("kept")
    any_ws.tracking.create_run()  # in the first experiment, whose number is 0
    any_ws.data.write_table("flights", FLIGHTS, message="first")
    any_ws.data.write_table("flights", FLIGHTS, message="second")
    any_ws.data.write_tree("notes", str(tmp_path / "folder"))
    digest = any_ws.blobs.put_bytes(b"kept too")
    backup(any_ws, tmp_path / "all.tar")
    restore(tmp_path / "all.tar", target)
    with hs.open(target) as restored:
        assert restored.data.read_table("flights", version=1).equals(FLIGHTS)
        assert restored.data.read_table("flights").height == 6
        assert restored.data.list_versions("flights") == any_ws.data.list_versions("flights")
        assert restored.blobs.get_bytes(digest) == b"kept too"
        assert restored.data.write_table("flights", FLIGHTS).version == 3
        assert pl.read_delta(str(restored.home / "tables" / "flights")).height == 9


def test_a_backup_under_writing_is_one_moment(any_ws: hs.Workspace, target: str, tmp_path: Path):
    """Each write puts bytes, then an event and a lease in one transaction: the copy holds both or neither, and of
    each writer the first so many."""
    stop = threading.Event()
    started = threading.Barrier(4)

    def write(mine: int) -> None:
        for step in range(400):
            number = mine * 1000 + step
            digest = any_ws.blobs.put_bytes(f"bytes {number}".encode())

            def both(connection: sa.Connection, number: int = number, digest: str = digest) -> None:
                publish(any_ws, connection, Noted(number=number))
                connection.execute(sa.insert(leases).values(name=f"n{number}", owner=digest, token=1, until_ms=0))

            any_ws.db.write(both)
            if step == 5:
                started.wait(300)
            if stop.is_set():
                return

    writers = [threading.Thread(target=write, args=(mine,)) for mine in range(3)]
    for writer in writers:
        writer.start()
    started.wait(300)
    try:
        backup(any_ws, tmp_path / "all.tar")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    restore(tmp_path / "all.tar", target)
    with hs.open(target) as restored:
        noted = {event.payload["number"] for event in events_after(restored, 0, limit=10_000)}
        held = restored.db.read(lambda c: {r.name: r.owner for r in c.execute(sa.select(leases)) if r.name[0] == "n"})
        assert {f"n{number}" for number in noted} == set(held)
        for mine in range(3):
            steps = sorted(number - mine * 1000 for number in noted if number // 1000 == mine)
            assert steps == list(range(len(steps)))
            assert len(steps) >= 6
        for name, digest in held.items():
            assert restored.blobs.get_bytes(digest) == f"bytes {name[1:]}".encode()


def test_a_file_cut_off_anywhere_is_refused_and_nothing_is_written(small: Path, tmp_path: Path):
    data = small.read_bytes()
    with tarfile.open(small) as tar:
        last = max(entry.offset_data for entry in tar)
    for size in [0, 100, 512, 700, len(data) // 3, len(data) // 2, last - 600, last - 1, last + 5]:
        cut = tmp_path / "cut.tar"
        cut.write_bytes(data[:size])
        with pytest.raises(Corrupt, match="cannot be restored"):
            restore(cut, str(tmp_path / "new"))
    assert not list(tmp_path.glob("new*"))


def test_one_changed_byte_anywhere_is_refused(small: Path, tmp_path: Path):
    data = bytearray(small.read_bytes())
    with tarfile.open(small) as tar:
        places = [entry.offset_data + entry.size // 2 for entry in tar if entry.size]
    for place in places:
        data[place] ^= 1
        (tmp_path / "rotten.tar").write_bytes(data)
        with pytest.raises((Corrupt, InvalidInput, Unavailable)):
            restore(tmp_path / "rotten.tar", str(tmp_path / "new"))
        data[place] ^= 1
    assert not list(tmp_path.glob("new*"))
    assert len(places) > 3


def test_something_at_the_target_is_not_overwritten(small: Path, ws: hs.Workspace, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    for taken in (tmp_path / "full", ws.home, small):
        with pytest.raises(Refused, match="there is something at"):
            restore(small, str(taken))
    restore(small, str(tmp_path / "empty"))
    with hs.open(tmp_path / "empty") as restored:
        assert restored.data.read_table("flights").equals(FLIGHTS)


def test_a_database_in_use_is_not_filled(small: Path, postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = postgres.new_database()
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "one"))
    with hs.open(url) as used:
        used.leases.acquire("x", 60, "y")
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "other"))
    with pytest.raises(Refused, match="in use already .core_lease has rows"):
        restore(small, url)


def test_the_file_is_never_overwritten_nor_left_half(ws: hs.Workspace, small: Path, tmp_path: Path):
    with pytest.raises(AlreadyExists, match="already there"):
        backup(ws, small)
    with pytest.raises(NotFound, match="is not there"):
        backup(ws, tmp_path / "no" / "folder.tar")
    digest = ws.blobs.put_bytes(b"will rot")
    ws.blobs.local_path(digest).write_bytes(b"rotten..")
    with pytest.raises(Corrupt, match="there is no whole backup") as caught:
        backup(ws, tmp_path / "next.tar")
    assert "doctor --full" in caught.value.hint
    assert not list(tmp_path.glob("next*"))


def test_what_is_no_backup_says_so(tmp_path: Path):
    (tmp_path / "x.tar").write_text("hello")
    with pytest.raises(Corrupt, match="cut off or not a backup"):
        verify(tmp_path / "x.tar")
    with pytest.raises(NotFound, match="there is no file"):
        verify(tmp_path / "none.tar")
    with pytest.raises(NotFound, match="is a folder"):
        verify(tmp_path)


def forged(path: Path, members: dict[str, bytes], **said: object) -> Path:
    """A backup whose manifest agrees with whatever it holds."""
    manifest = {
        "format": 1, "homeostat": "9.9.9", "schema": VERSION, "created_ms": 0, "columns": {}, "rows": 0, **said,
        "members": {n: {"digest": blake3.blake3(d).hexdigest(), "size": len(d)} for n, d in members.items()},
    }  # fmt: skip
    with tarfile.open(path, "w") as tar:
        for name, data in {**members, MANIFEST: json.dumps(manifest).encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_another_schema_names_the_version_to_use(tmp_path: Path):
    with pytest.raises(Unavailable, match="written by Homeostat 9.9.9") as caught:
        verify(forged(tmp_path / "new.tar", {}, schema="9999"))
    assert "homeostat==9.9.9" in caught.value.hint


@pytest.mark.parametrize("name", ["files/../../out", "files//etc/out", "files/a/../../out", "files/"])
def test_a_forged_name_leads_nowhere(tmp_path: Path, name: str):
    (tmp_path / "deep").mkdir()
    with pytest.raises(InvalidInput, match="does not lie inside"):
        restore(forged(tmp_path / "evil.tar", {name: b"evil"}), str(tmp_path / "deep" / "new"))
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["deep", "evil.tar"]


def test_a_link_in_the_file_is_refused(tmp_path: Path):
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        entry = tarfile.TarInfo("files/link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(Corrupt, match="is not a file"):
        restore(tmp_path / "link.tar", str(tmp_path / "new"))


def test_the_commands(ws: hs.Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    ws.data.write_table("flights", FLIGHTS)
    file, home = str(tmp_path / "b.tar"), str(tmp_path / "again")
    assert main(["backup", file, "--home", str(ws.home)]) == 0
    assert "rows" in capsys.readouterr().out
    assert main(["backup", file, "--home", str(ws.home)]) == AlreadyExists.exit_code
    assert main(["backup", file, "--home", str(tmp_path / "nowhere")]) == NotFound.exit_code
    assert "there is no workspace" in capsys.readouterr().err
    assert main(["restore", file, "--home", home]) == 0
    assert "all as written" in capsys.readouterr().out
    assert main(["restore", file, "--home", home]) == Refused.exit_code
    assert main(["restore", file, "--home", "http://127.0.0.1:1"]) == InvalidInput.exit_code


def test_a_workspace_in_an_object_store_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEOSTAT_BYTES", f"memory://backup-{tmp_path.name}/a")
    with hs.open(tmp_path / "one") as ws:
        digest = ws.blobs.put_bytes(b"far away")
        backup(ws, tmp_path / "b.tar")
    monkeypatch.setenv("HOMEOSTAT_BYTES", f"memory://backup-{tmp_path.name}/b")
    restore(tmp_path / "b.tar", str(tmp_path / "two"))
    with hs.open(tmp_path / "two") as ws:
        assert ws.blobs.get_bytes(digest) == b"far away"
