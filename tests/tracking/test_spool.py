"""Nothing that `log` returned for is lost: killed processes, missing servers, offline machines, torn files."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.errors import Conflict, InvalidInput
from homeostat.tracking import collect_runs, sync
from homeostat.tracking.spool import all_frames, left_behind, new_spool, read_frames, spool_root

KILLED = """
    import os, signal, sys
    import homeostat as hs
    with hs.run("doomed", id="doomed", params={{"lr": 0.1}}, {more}) as run:
        run.log_artifact(b"kept", "a.txt")
        run.log_text("note", "hello", step=4)
        for step in range(3000):
            run.log(loss=step)
        print("logged", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(home: Path, more: str = "") -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED).format(more=more)],
        env={**os.environ, "PYTHONPATH": "src", "HOMEOSTAT_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL and done.stdout == "logged\n", done.stderr
    # A program that it was just starting (git, to tell the state of the code) has its files open until it is that
    # program, and so its lock: on a busy machine it outlives the process for a moment.
    for log in (home / "runs").glob("*/log"):
        with log.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def check_doomed(ws: hs.Workspace) -> None:
    assert [m.value for m in ws.tracking.metric_history("doomed", "loss")] == list(range(3000))
    assert ws.tracking.get_run("doomed").params == {"lr": "0.1"}
    assert ws.tracking.read_artifact("doomed", "a.txt") == b"kept"
    assert ws.tracking.read_artifact("doomed", "media/text/note/4.txt") == b"hello"
    assert b'"media/text/note/4.txt"' in ws.tracking.read_artifact("doomed", "media/index.json")


@pytest.mark.parametrize("more", ["", "offline=True"])
def test_a_killed_process_loses_nothing_that_log_returned_for(tmp_path: Path, more: str):
    killed(tmp_path / "home", more)
    with hs.open(tmp_path / "home") as ws:
        told = sync(ws)
        assert [(one.run_id, one.status, one.refused) for one in told] == [("doomed", "running", 0)]
        check_doomed(ws)
        assert list(spool_root(ws).iterdir()) == []
        assert sync(ws) == []
        # It was heard of for the last time when it logged for the last time, and so becomes lost.
        last = ws.tracking.metric_history("doomed", "loss")[-1].at_ms
        assert ws.tracking.mark_lost(at_ms=last + 121_000) == ["doomed"]


def test_the_home_s_own_server_collects_its_runs_and_only_those(tmp_path: Path):
    killed(tmp_path / "home")
    with hs.open(tmp_path / "home") as ws:
        with hs.run("later", id="later", offline=True, ws=ws):
            pass
        assert [one.run_id for one in collect_runs(ws)] == ["doomed"]
        check_doomed(ws)
        assert [one.run_id for one in sync(ws)] == ["later"]
        assert ws.tracking.get_run("later").status == "finished"


def test_a_resumed_run_first_delivers_what_the_killed_process_left(tmp_path: Path):
    killed(tmp_path / "home")
    with hs.open(tmp_path / "home") as ws:
        with hs.run(id="doomed", ws=ws) as run:
            run.log(loss=-1.0)
        assert ws.tracking.metric_history("doomed", "loss")[-1].step == 3000
        assert ws.tracking.get_run("doomed").status == "finished"


def test_offline_runs_are_synced_with_nesting_times_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "far"))
    monkeypatch.setenv("HOMEOSTAT_OFFLINE", "1")

    def inside() -> None:
        with hs.run("inner", id="inner") as inner:
            inner.log({"loss": 0.5, "odd": float("nan")}, step=7)
            inner.set_tags(team="red")
            inner.log_params(depth=3)
            with pytest.raises(Conflict, match="does not change"):
                inner.log_params(depth=4)
            _ = 1 / 0

    with hs.run("outer", params={"lr": 0.1}) as outer:
        assert outer.ws is None
        with pytest.raises(ZeroDivisionError):
            inside()
    for _ in range(2):  # resumed offline, steps count on
        with hs.run(id=outer.id) as again:
            again.log(loss=1.0)
    assert not (tmp_path / "far" / "homeostat.db").exists()
    assert main(["sync", "--home", str(tmp_path / "near"), str(tmp_path / "far" / "runs")]) == 0
    assert "4 runs sent" in capsys.readouterr().out
    with hs.open(tmp_path / "near") as ws:
        done, failed = ws.tracking.get_run(outer.id), ws.tracking.get_run("inner")
        assert (done.status, done.name, done.params) == ("finished", "outer", {"lr": "0.1"})
        assert (failed.status, failed.parent_id, failed.params) == ("failed", outer.id, {"depth": "3"})
        assert failed.error is not None and "ZeroDivisionError" in failed.error
        assert failed.tags == {"team": "red"} and failed.metrics["loss"] == 0.5
        assert str(failed.metrics["odd"]) == "nan"
        assert [m.step for m in ws.tracking.metric_history(outer.id, "loss")] == [0, 1]


def test_a_server_that_is_away_costs_a_warning_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("homeostat.tracking.live._PATIENCE_S", 0.0)
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))

    def alone() -> None:
        with hs.open("http://127.0.0.1:9") as away, hs.run("alone", ws=away, id="alone") as run:
            run.log(loss=0.25)
            run.log_params(lr=1)

    with pytest.warns(UserWarning, match="begins|not everything") as told:
        alone()
    first, last = (str(warning.message) for warning in told)
    assert "begins without its workspace" in first and "`homeostat sync` sends it" in last
    with hs.open(tmp_path / "home") as ws:
        assert [one.status for one in sync(ws)] == ["finished"]
        assert ws.tracking.get_run("alone").metrics == {"loss": 0.25}


def test_what_the_workspace_refuses_for_good_is_set_aside_and_the_rest_is_sent(ws: hs.Workspace):
    ws.tracking.create_run(id="mixed", params={"lr": 1})
    with hs.run(ws=ws, id="mixed", offline=True) as run:
        run.log(before=1.0)
        run.log_params(lr=2)
        run.log(after=2.0)
    (one,) = sync(ws)
    assert (one.refused, one.status) == (1, "finished")
    assert ws.tracking.get_run("mixed").metrics == {"before": 1.0, "after": 2.0}
    assert ws.tracking.get_run("mixed").params == {"lr": "1"}
    assert sync(ws) == []
    (left,) = spool_root(ws).iterdir()
    assert "lr" in (left / "refused.txt").read_text()


def test_a_spool_that_is_written_to_is_left_alone(ws: hs.Workspace):
    with hs.run(ws=ws, offline=True) as run:
        run.log(loss=1.0)
        assert sync(ws) == [] and left_behind(spool_root(ws)) == []
    assert len(sync(ws)) == 1


def test_a_spool_that_is_just_begun_is_let_go(tmp_path: Path):
    spool = new_spool(tmp_path, "young")
    spool.close()  # as between the file's making and its lock
    assert left_behind(tmp_path) == []
    later = new_spool(tmp_path, "young")
    later.append("begin", {"id": "young", "start_ms": 1})
    later.close()
    ((folder, fd),) = left_behind(tmp_path)
    os.close(fd)
    assert folder == later.folder


@pytest.mark.parametrize(("key", "step"), [("", 0), ("a" * 251, 0), ("a\nb", 0), ("loss", 2**70)])
def test_what_cannot_be_kept_is_refused_at_the_call(ws: hs.Workspace, key: str, step: int):
    with hs.run(ws=ws) as run, pytest.raises(InvalidInput):
        run.log({key: 1.0}, step=step)
    assert ws.tracking.get_run(run.id).status == "finished"


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20), st.integers(0, 400), st.integers(0, 255))
def test_a_torn_or_damaged_file_gives_every_whole_frame_before_the_damage(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], cut: int, flip: int
):
    spool = new_spool(tmp_path_factory.mktemp("spool"), "torn")
    ends: list[int] = []
    for step, value in enumerate(values):
        spool.append("m", 1, [("loss", step, value)])
        ends.append(spool.size())
    data = (spool.folder / "log").read_bytes()
    cut = min(cut, len(data))
    whole = sum(end <= cut for end in ends)
    (spool.folder / "log").write_bytes(data[:cut])
    assert [frame[2][0][2] for frame in all_frames(spool.folder)] == values[:whole]
    if cut < len(data):
        (spool.folder / "log").write_bytes(data[:cut] + bytes([data[cut] ^ (flip or 1)]) + data[cut + 1 :])
        kept = [frame[2][0][2] for frame, _ in read_frames(spool.folder, 0)]
        assert kept[:whole] == values[:whole] and len(kept) <= whole
    spool.close()


def test_what_is_sent_is_dropped_from_a_long_run_s_file(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("homeostat.tracking.live._SPOOL_BYTES", 1000)
    with hs.run(ws=ws, id="long", surroundings=False, machine=False) as run:
        for part in range(5):
            for step in range(100):
                run.log({"loss": 1.0}, step=part * 100 + step)
            run.flush()
            run._send()
            assert run._spool.size() < 1000
    assert len(ws.tracking.metric_history("long", "loss")) == 500
