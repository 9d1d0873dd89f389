from __future__ import annotations

import os
import subprocess
import sys

import pytest

import homeostat as hs
from homeostat.core.context import current_run
from homeostat.core.lineage_facts import record_read


def test_leaving_the_block_sends_everything(any_ws: hs.Workspace):
    with hs.run("train", ws=any_ws, params={"lr": 0.1}) as run:
        for step in range(2500):
            run.log(loss=1 / (step + 1))
        run.log({"auc/test": 0.8}, step=7)
        run.set_tags(team="red")
        run.log_artifact(b"hello", "hello.txt")
    done = any_ws.tracking.get_run(run.id)
    assert (done.status, done.name, done.params, done.tags) == ("finished", "train", {"lr": "0.1"}, {"team": "red"})
    assert done.metrics == {"auc/test": 0.8, "loss": 1 / 2500}
    assert [m.step for m in any_ws.tracking.metric_history(run.id, "loss")] == list(range(2500))
    assert any_ws.tracking.read_artifact(run.id, "hello.txt") == b"hello"


def test_an_exception_marks_the_run_failed_and_keeps_what_was_logged(any_ws: hs.Workspace):
    def train() -> None:
        with hs.run(ws=any_ws, id="bad") as run:
            run.log(loss=0.5)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        train()
    done = any_ws.tracking.get_run("bad")
    assert done.status == "failed" and done.error is not None and "ZeroDivisionError" in done.error
    assert done.metrics == {"loss": 0.5}


def test_ctrl_c_marks_it_killed(ws: hs.Workspace):
    with pytest.raises(KeyboardInterrupt), hs.run(ws=ws) as run:
        raise KeyboardInterrupt
    assert ws.tracking.get_run(run.id).status == "killed"


def test_reading_inside_the_block_belongs_to_the_run(ws: hs.Workspace):
    from homeostat.core.lineage_facts import table

    before = current_run()
    with hs.run(ws=ws) as outer:
        record_read(ws, "table", "flights", 3)
        with hs.run(ws=ws) as inner:
            assert current_run() == inner.id
            asked = subprocess.run(
                [sys.executable, "-c", "from homeostat.core.context import current_run; print(current_run())"],
                capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "src"},
            )  # fmt: skip
            assert asked.stdout.strip() == inner.id
        assert current_run() == outer.id
    assert current_run() == before
    rows = ws.db.read(lambda c: c.execute(table.select()).all())
    assert [(r.run_id, r.kind, r.asset, r.version) for r in rows] == [(outer.id, "table", "flights", "3")]
    assert ws.tracking.get_run(inner.id).parent_id == outer.id


def test_a_resumed_run_counts_on(ws: hs.Workspace):
    for _ in range(2):
        with hs.run(ws=ws, id="long") as run:
            for _ in range(3):
                run.log(loss=0.5)
    assert [m.step for m in ws.tracking.metric_history("long", "loss")] == [0, 1, 2, 3, 4, 5]


def test_a_run_sends_heartbeats(ws: hs.Workspace):
    from homeostat.tracking.store import run as table

    with hs.run(ws=ws) as run:
        run.log(loss=1.0)
    beat = ws.db.read(lambda c: c.execute(table.select().where(table.c.id == run.id)).one().heartbeat_ms)
    assert beat is not None


def test_the_surroundings_are_kept(ws: hs.Workspace):
    import json

    with hs.run(ws=ws) as run:
        pass
    told = json.loads(ws.tracking.read_artifact(run.id, "environment.json"))
    assert told["packages"]["msgspec"] and told["python"].startswith("3.") and "PATH" not in json.dumps(told)


def test_uncommitted_changes_are_kept_and_passwords_are_not(tmp_path, ws: hs.Workspace, monkeypatch):
    import json

    from homeostat.tracking.surroundings import git_state

    assert git_state(tmp_path) is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    (tmp_path / "a.py").write_text("lr = 1\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://ann:secret@example.com/a.git"], check=True)
    (tmp_path / "a.py").write_text("lr = 2\n")
    monkeypatch.chdir(tmp_path)
    with hs.run(ws=ws) as run:
        pass
    assert b"+lr = 2" in ws.tracking.read_artifact(run.id, "code/changes.diff")
    state = json.loads(ws.tracking.read_artifact(run.id, "environment.json"))["git"]
    assert state["remote"] == "https://example.com/a.git" and state["changed"][0] == " M a.py"
    assert ws.tracking.get_run(run.id).code_version == state["commit"]


def test_what_is_printed_is_kept_and_still_shown(ws: hs.Workspace, capsys: pytest.CaptureFixture[str]):
    with hs.run(ws=ws, console=True) as run:
        print("1%\r99%\rdone ✓")
        print("careful", file=sys.stderr)
    print("after")
    assert ws.tracking.read_artifact(run.id, "console.txt").decode() == "done ✓\ncareful\n"
    told = capsys.readouterr()
    assert "done ✓\nafter" in told.out and told.err == "careful\n"


def test_the_end_of_a_console_can_be_read_while_it_grows(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    from homeostat.tracking import delivery, live

    monkeypatch.setattr(live.LiveRun, "_beat", lambda _: None)  # or it would keep the console at moments of its own
    monkeypatch.setattr(delivery, "_CONSOLE_TAIL", 12)
    with hs.run(ws=ws, console=True, machine=False) as run:
        seen = delivery.Delivery(ws, run.folder)
        print("first")
        seen.console_so_far()
        assert ws.tracking.read_artifact(run.id, "console.txt") == b"first\n"
        print("second, third")
        print("fourth")
        seen.console_so_far()
        told = ws.tracking.read_artifact(run.id, "console.txt")
        assert told == b"[earlier lines come when the run ends]\nfourth\n"
    assert ws.tracking.read_artifact(run.id, "console.txt") == b"first\nsecond, third\nfourth\n"


def test_a_console_file_has_an_end(tmp_path, monkeypatch: pytest.MonkeyPatch):
    from homeostat.tracking import console

    monkeypatch.setattr(console, "MOST_BYTES", 10)
    with console.captured(tmp_path / "console"):
        for _ in range(5):
            print("12345")
    assert (tmp_path / "console").read_bytes() == b"12345\n1234\n[the rest is not kept: 20 MiB is the most]\n"


def test_the_machine_is_measured():
    from homeostat.tracking.machine import Machine

    machine = Machine()
    before = sum(os.times()[:2])
    while sum(os.times()[:2]) - before < 0.05:  # processor time, not the clock
        sum(range(10_000))
    told = machine.sample()
    assert told["system/process_cpu_percent"] > 0 and 0 < told["system/memory_percent"] <= 100
    assert 1 < told["system/process_memory_mb"] < told["system/memory_mb"]


def test_leaving_with_exit_code_zero_is_no_failure(ws: hs.Workspace):
    with pytest.raises(SystemExit), hs.run(ws=ws) as run:
        sys.exit(0)
    assert ws.tracking.get_run(run.id).status == "finished"
