"""Killed at every labelled point, out of space, and with other writers: no half version, nothing answered is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

import homeostat as hs
from tests import warm

# Three writes, each under a name of its own; whoever runs this again finishes what is missing.
WRITES = """
import sys, polars as pl, homeostat as hs
ws = hs.open(sys.argv[1])
ws.data.write_table("t", pl.DataFrame({"id": [1, 2], "x": ["a", "b"]}), key=["id"], once="one")
ws.data.write_table("t", pl.DataFrame({"id": [2, 3], "x": ["B", "c"]}), mode="upsert", once="two")
ws.data.write_table("t", pl.DataFrame({"id": [9], "x": ["z"]}), mode="overwrite", once="three")
ws.close()
"""
STATES = {1: [(1, "a"), (2, "b")], 2: [(1, "a"), (2, "B"), (3, "c")], 3: [(9, "z")]}


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return warm.run(code, *arguments, environment={**os.environ, **environment}, timeout=600)


def delta_rows(ws: hs.Workspace, version: int) -> list[tuple[int, str]]:
    return sorted(pl.read_delta(str(ws.home / "tables" / "t"), version=version).rows())


# At the third write: before its version exists, when only the database knows it, and while its log is written.
POINTS = ["table.file-written", "table.committed", "table.log-written"]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_it_is_repaired_by_the_next_use(
    workspace_url: str, reopen: Callable[[], hs.Workspace], point: str, count: int
) -> None:
    killed = run(WRITES, workspace_url, HOMEOSTAT_FAULT=f"{point}:{count}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    ws = reopen()
    known = [v.version for v in reversed(ws.data.list_versions("t"))] if ws.data.list_tables() else []
    assert known == list(range(1, len(known) + 1))
    for version in known:
        assert sorted(ws.data.read_table("t", version=version).rows()) == STATES[version]
        assert delta_rows(ws, version) == STATES[version]  # reading has completed the log
    if known:
        assert delta_rows(ws, len(known)) == sorted(pl.read_delta(str(ws.home / "tables" / "t")).rows())

    finished = run(WRITES, workspace_url)
    assert finished.returncode == 0, finished.stderr
    assert [v.version for v in ws.data.list_versions("t")] == [3, 2, 1]
    for version, state in STATES.items():
        assert sorted(ws.data.read_table("t", version=version).rows()) == delta_rows(ws, version) == state
    assert not list((ws.home / "tables" / "t" / "_delta_log").glob("*.json.tmp"))


def test_the_next_write_also_completes_the_log(tmp_path: Path) -> None:
    killed = run(WRITES, str(tmp_path / "home"), HOMEOSTAT_FAULT="table.committed:1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with hs.open(tmp_path / "home") as ws:
        assert not (ws.home / "tables" / "t" / "_delta_log").exists()
        ws.data.write_table("t", pl.DataFrame({"id": [7], "x": ["q"]}))
        assert [delta_rows(ws, version) for version in (0, 1, 2)] == [[], STATES[1], [*STATES[1], (7, "q")]]


ACKS = """
import sys, polars as pl, homeostat as hs
ws = hs.open(sys.argv[1])
for n in range(1000):
    version = ws.data.write_table("t", pl.DataFrame({"n": [n]}), mode=("append", "overwrite")[n % 7 == 6]).version
    print(version, flush=True)
"""


@pytest.mark.parametrize("answered", [1, 4, 9])
def test_what_was_answered_survives_kill_9(tmp_path: Path, answered: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", ACKS, str(tmp_path / "home")], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acks = [int(child.stdout.readline()) for _ in range(answered)]
    child.kill()
    acks += [int(line) for line in child.stdout if line.strip()]
    child.stdout.close()
    child.wait(300)
    with hs.open(tmp_path / "home") as ws:
        versions = [v.version for v in reversed(ws.data.list_versions("t", limit=1000))]
        assert versions == list(range(1, len(versions) + 1))
        assert len(versions) >= acks[-1] == len(acks)
        for version in versions:
            since = (version - 1) // 7 * 7 + 6 if version % 7 == 0 else version // 7 * 7 - 1
            assert ws.data.read_table("t", version=version)["n"].to_list() == list(range(max(since, 0), version))


FULL = """
import resource, signal, sys, polars as pl, homeostat as hs
from homeostat.core.errors import StorageFull
ws = hs.open(sys.argv[1])
ws.data.write_table("t", pl.DataFrame({"x": ["first"]}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
import random
noise = pl.DataFrame({"x": [random.randbytes(300).hex() for _ in range(10_000)]})
for mode in ("append", "overwrite"):
    try:
        ws.data.write_table("t", noise, mode=mode)
    except StorageFull as error:
        print("full:", error)
ws.data.write_table("t", pl.DataFrame({"x": ["last"]}))
print("files:", len(list((ws.home / "tables" / "t").glob("*.parquet"))), ws.data.read_table("t")["x"].to_list())
ws.close()
"""


def test_a_file_that_cannot_grow_leaves_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for a full disk: every machine that runs the tests has it."""
    done = run(FULL, str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.startswith("full: no space left to write in") for line in lines] == [True, False, True, False, False]
    assert "free some disk space" in lines[1]
    assert lines[-1] == "files: 2 ['first', 'last']"


def test_a_full_disk_leaves_nothing_and_reads_go_on(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=8m none {small}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    code = FULL.replace("resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))", "pass").replace(
        "10_000", "40_000"
    )
    command = f'{mount} && exec "$0" -c "$1" {small}/home'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, sys.executable, code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("full: no space left to write in") == 2
    assert done.stdout.splitlines()[-1] == "files: 2 ['first', 'last']"


MANY = """
import sys, polars as pl, homeostat as hs
ws, me = hs.open(sys.argv[1]), int(sys.argv[2])
for n in range(8):
    ids = [me * 100 + n, me * 100 + n + 50]
    ws.data.write_table("t", pl.DataFrame({"id": ids, "by": [me, me]}), mode=("append", "upsert")[n % 2], key=["id"])
ws.close()
"""


def test_writers_in_four_processes_all_land(workspace_url: str, reopen: Callable[[], hs.Workspace]) -> None:
    ws = reopen()
    from homeostat.data import Unique

    ws.data.set_expectations("t", [Unique(columns=["id"])])
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda me: run(MANY, workspace_url, str(me)), range(4)))
    assert [d.returncode for d in done] == [0] * 4, "\n".join(d.stderr for d in done)
    versions = ws.data.list_versions("t")
    assert [v.version for v in versions] == list(range(32, 0, -1))
    expected = sorted(me * 100 + n + more for me in range(4) for n in range(8) for more in (0, 50))
    assert sorted(ws.data.read_table("t")["id"].to_list()) == expected
    assert all(v.check is not None and v.check.passed for v in versions)
    assert [v.rows for v in reversed(versions)] == list(range(2, 66, 2))
    assert sorted(pl.read_delta(str(ws.home / "tables" / "t"))["id"].to_list()) == expected
    known = {p.name for p in (ws.home / "tables" / "t").glob("*.parquet")}
    assert len(known) <= 32 + 16  # files of plans that were overtaken are gone: at most one a write, and rewrites


def test_the_same_name_in_many_threads_writes_once(any_ws: hs.Workspace) -> None:
    frame = pl.DataFrame({"x": [1]})
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda _: any_ws.data.write_table("t", frame, once="x").version, range(16)))
    assert set(versions) == {1}
    assert len(list((any_ws.home / "tables" / "t").glob("*.parquet"))) == 1
