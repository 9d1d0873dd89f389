"""Garbage is what nobody names: everything else survives, whoever is killed and whatever is put meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core import gc
from homeostat.core.backup import backup
from homeostat.core.clock import now_ms
from homeostat.core.errors import Conflict, InvalidInput, NotFound, Refused
from homeostat.core.schema import all_tables
from tests.rows import made_tables, row_of

LATER = 10_000  # ms: as if all that was put so far had been put before the grace period


def collect(ws: hs.Workspace, dry_run: bool = False) -> gc.Garbage:
    return gc.collect(ws, gc.Asked(now_ms() + 1, -LATER, dry_run=dry_run))


def kept(ws: hs.Workspace) -> set[str]:
    return set(ws.blobs.digests())


def test_a_digest_in_any_text_of_any_table_keeps_its_bytes(ws: hs.Workspace):
    """No slice can be forgotten: what tells only is listed by name, everything else counts."""
    named: set[str] = set()

    def fill(c: sa.Connection) -> None:
        for table in made_tables():
            row = row_of(table, 1)
            for column in table.columns:
                wide = isinstance(column.type, sa.String) and (column.type.length or 64) >= 64
                if not wide or column.foreign_keys or column.name == "lifecycle":
                    continue
                digest = ws.blobs.put_bytes(f"{table.name}.{column.name}".encode())
                row[column.name] = digest if column.type.length else f'{{"deep": "{digest}"}}'
                if table.name not in gc.TELLING:
                    named.add(digest)
            c.execute(sa.insert(table).values(**row))

    ws.db.write(fill)
    loose = ws.blobs.put_bytes(b"nobody's")
    assert gc.marked(ws) >= named
    assert loose not in gc.marked(ws)
    assert len(named) > 100
    tables = {table.name for table in all_tables().sorted_tables}
    assert set(gc.TELLING) <= tables
    assert {name for name, _ in gc.PACKED} <= tables


def test_what_is_named_stays_and_the_rest_goes(any_ws: hs.Workspace, tmp_path: Path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "a.txt").write_text("in a tree")
    any_ws.data.write_tree("notes", str(tmp_path / "folder"))
    any_ws.data.write_table("t", pl.DataFrame({"a": [1]}))
    run = any_ws.tracking.create_run()
    any_ws.tracking.log_artifact(run.id, "model.bin", b"an artifact")
    before = kept(any_ws)
    loose = any_ws.blobs.put_bytes(b"nobody's")
    told = collect(any_ws, dry_run=True)
    assert (told.blobs, told.bytes, told.kept) == (1, 8, len(before))
    assert any_ws.blobs.exists(loose)
    done = collect(any_ws)
    assert (done.dry_run, done.blobs, done.bytes) == (False, 1, 8)
    assert kept(any_ws) == before
    digest = any_ws.data.list_trees()[0].digest
    any_ws.blobs.materialise_tree(digest, tmp_path / "again")
    assert (tmp_path / "again" / "deep" / "a.txt").read_text() == "in a tree"


def test_young_bytes_stay(ws: hs.Workspace):
    loose = ws.blobs.put_bytes(b"on its way")
    assert ws.tracking.collect_garbage(deleted_days=0, grace_hours=1).blobs == 0
    assert ws.blobs.exists(loose)
    for days, hours in [(-1, 1), (0, 0.5), (float("nan"), 1)]:
        with pytest.raises(InvalidInput):
            ws.tracking.collect_garbage(deleted_days=days, grace_hours=hours)


def test_a_deleted_run_can_be_restored_until_it_is_erased(any_ws: hs.Workspace):
    gone, back, stays = (any_ws.tracking.create_run(params={"a": 1}, tags={"b": "c"}).id for _ in range(3))
    for id in (gone, back, stays):
        any_ws.tracking.log_metrics(id, {"loss": 0.5}, step=1)
        any_ws.tracking.log_artifact(id, "a.bin", f"of {id}".encode())
    any_ws.tracking.finish_run(back)
    for id in (gone, back):
        any_ws.tracking.delete_run(id)
    any_ws.tracking.restore_run(back)
    recently = any_ws.tracking.collect_garbage(deleted_days=1)
    assert recently.erased["runs"] == 0
    assert collect(any_ws, dry_run=True).erased["runs"] == 1
    assert any_ws.tracking.get_run(gone).params == {"a": "1"}
    done = collect(any_ws)
    assert (done.erased["runs"], done.blobs) == (1, 1)
    for ask in (any_ws.tracking.get_run, any_ws.tracking.restore_run):
        with pytest.raises(NotFound):
            ask(gone)
    for id in (back, stays):
        assert any_ws.tracking.read_artifact(id, "a.bin") == f"of {id}".encode()
        assert [m.value for m in any_ws.tracking.metric_history(id, "loss")] == [0.5]


def test_a_deleted_experiment_goes_with_its_runs_and_frees_its_name(any_ws: hs.Workspace):
    any_ws.tracking.create_experiment("old", tags={"a": "b"})
    run = any_ws.tracking.create_run("old")
    other = any_ws.tracking.create_run("other")
    any_ws.tracking.delete_experiment("old")
    done = collect(any_ws)
    assert (done.erased["experiments"], done.erased["runs"]) == (1, 1)
    with pytest.raises(NotFound):
        any_ws.tracking.get_run(run.id)
    assert any_ws.tracking.create_run("old").experiment == "old"
    assert any_ws.tracking.get_run(other.id).experiment == "other"


def test_a_run_that_a_version_names_stays(ws: hs.Workspace):
    from homeostat.registry import store

    run = ws.tracking.create_run()
    row = {"model": "m", "version": 1, "run_id": run.id, "source": "", "stage": "None", "created_ms": 1}
    ws.db.write(lambda c: c.execute(sa.insert(store.version).values(**row, updated_ms=1, record="{}")))
    ws.tracking.delete_run(run.id)
    assert collect(ws).erased["runs"] == 0
    assert ws.tracking.restore_run(run.id).id == run.id


def test_deleted_models_and_versions_go_and_deployed_ones_stay(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    from homeostat.registry import names, store

    def put(c: sa.Connection) -> None:
        for name, id, deleted in [("m", "1", None), (f"gone{names.GONE}2", "2", 5), (f"served{names.GONE}3", "3", 5)]:
            model = {"name": name, "id": id, "description": "", "versions": 3, "created_ms": 1, "updated_ms": 1}
            c.execute(sa.insert(store.model).values(**model, deleted_ms=deleted))
            for version in (1, 2, 3):
                row = {"model": name, "version": version, "source": "", "stage": "None", "created_ms": 1}
                when = 5 if name == "m" and version > 1 else None
                c.execute(sa.insert(store.version).values(**row, updated_ms=1, record="{}", deleted_ms=when))

    ws.db.write(put)
    monkeypatch.setattr(gc, "NAMERS", (f"{__name__}:deployed",))
    done = collect(ws)
    assert (done.erased["models"], done.erased["versions"]) == (1, 1)
    left = ws.db.read(lambda c: c.execute(sa.select(store.version.c.model, store.version.c.version)).all())
    served = f"served{names.GONE}3"
    assert sorted(map(tuple, left)) == [("m", 1), ("m", 2), (served, 1), (served, 2), (served, 3)]


def deployed(ws: hs.Workspace) -> set[tuple[str, str]]:
    return {("version", "m/2"), ("version", "served/1")}


COLLECTS = """
import sys, homeostat as hs
from homeostat.core import gc
from homeostat.core.clock import now_ms
gc.collect(hs.open(sys.argv[1]), gc.Asked(now_ms() + 1, -10_000))
"""


def test_whoever_is_killed_while_erasing_breaks_nothing(workspace_url: str):
    with hs.open(workspace_url) as ws:
        id = ws.tracking.create_run(params={"a": 1}).id
        ws.tracking.log_metrics(id, {"loss": 0.5}, step=1)
        ws.tracking.log_artifact(id, "a.bin", b"bytes")
        ws.tracking.delete_run(id)
    environment = {**os.environ, "HOMEOSTAT_FAULT": "purge:5"}
    killed = subprocess.run([sys.executable, "-c", COLLECTS, workspace_url], env=environment, check=False)
    assert killed.returncode == -9
    with hs.open(workspace_url) as ws:
        assert ws.tracking.restore_run(id).params == {"a": "1"}
        assert ws.tracking.read_artifact(id, "a.bin") == b"bytes"
        ws.tracking.delete_run(id)
        assert collect(ws).erased["runs"] == 1


def test_bytes_that_are_put_while_garbage_is_collected_stay(ws: hs.Workspace):
    """Each content is nobody's first, then put again with a row that names it, beside a collection with no grace."""
    run = ws.tracking.create_run()
    contents = [f"content {number}".encode() for number in range(60)]
    for content in contents:
        ws.blobs.put_bytes(content)
    before = max(entry.put_ms for entry in ws.blobs.entries()) + 1
    while now_ms() <= before + 100:  # a file's time may lag behind the clock by a few milliseconds
        time.sleep(0.01)
    stop = threading.Event()

    def put() -> None:
        for number, content in enumerate(contents):
            ws.tracking.log_artifact(run.id, f"{number}.bin", content)
        stop.set()

    writer = threading.Thread(target=put)
    writer.start()
    while not stop.is_set():
        for digest in kept(ws) - gc.marked(ws):
            ws.blobs.remove(digest, before)
    writer.join()
    for number, content in enumerate(contents):
        assert ws.tracking.read_artifact(run.id, f"{number}.bin") == content


def test_never_beside_a_backup_or_another_one(ws: hs.Workspace, tmp_path: Path):
    with gc.none_meanwhile(ws), pytest.raises(Conflict, match="just now"):
        collect(ws)
    held = ws.leases.acquire(gc.GC, 60, "another")
    assert held is not None
    for refused in (lambda: collect(ws), lambda: backup(ws, tmp_path / "a.tar")):
        with pytest.raises(Conflict, match="just now"):
            refused()
    ws.leases.release(held)
    collect(ws)
    backup(ws, tmp_path / "a.tar")


def test_the_command(ws: hs.Workspace, capsys: pytest.CaptureFixture[str]):
    run = ws.tracking.create_run()
    ws.tracking.delete_run(run.id)
    command = ["gc", "--deleted-days", "0", "--home", str(ws.home)]
    assert main([*command, "--dry-run"]) == 0
    assert "1 runs would be erased" in capsys.readouterr().out
    assert main(command) == Refused.exit_code
    assert "add --yes" in capsys.readouterr().err
    assert ws.tracking.get_run(run.id).lifecycle == "deleted"
    assert main([*command, "--yes"]) == 0
    assert "1 runs erased" in capsys.readouterr().out
    with pytest.raises(NotFound):
        ws.tracking.get_run(run.id)


def test_whoever_is_killed_while_removing_bytes_leaves_them(ws: hs.Workspace, tmp_path: Path):
    from homeostat.engines.localfs import LocalBlobs

    digest = ws.blobs.put_bytes(b"half gone")
    root = ws.home / "blobs"
    (root / digest[:2] / digest).rename(root / "incoming" / f"going-{digest}")
    again = LocalBlobs(root.as_uri(), ws.home)
    assert again.get_bytes(digest) == b"half gone"
    assert again.remove(digest, now_ms() + LATER)


def test_no_table_of_a_run_or_an_experiment_is_forgotten():
    from homeostat.tracking import purge, store

    tables = [table for table in all_tables().sorted_tables if table.name.startswith("tracking_")]
    of_runs = {table.name for table in tables if "run_seq" in table.columns}
    # That a run is gone is told of, like other changes.
    assert of_runs - {store.change.name} == {table.name for table in purge.OF_RUN}
    of_experiments = {table.name for table in tables if "experiment_id" in table.columns}
    assert of_experiments - {store.run.name, store.logged_model.name} == {t.name for t in purge.OF_EXPERIMENT}
