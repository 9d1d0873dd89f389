"""kill -9 of the supervisor or of a step at every labelled point: the run goes on, done steps stay done, effects
happen once."""

from __future__ import annotations

import random
import signal
import time

import pytest

from homeostat.core.errors import StepFailed

PIPELINE = """
    @hs.step
    def first(ws: hs.Workspace) -> str:
        ran("first")
        # An effect on the workspace, done once however often the step is started.
        return ws.tracking.create_run(name="effect", id="effect" + hs.step_key()).id

    @hs.step
    def left(x) -> int:
        ran("left")
        return len(x)

    @hs.step
    def right(x) -> bytes:
        ran("right")
        return b"r" * 10000

    @hs.step(cache=False)
    def join(a, b) -> int:
        ran("join")
        return a + len(b)

    @hs.pipeline
    def main():
        x = first()
        return join(left(x), right(x))
"""
SUPERVISOR = """
    import sys, homeostat as hs
    with hs.open({url!r}) as ws:
        ws.pipelines.run_pipeline("pipeline:main", project={project!r}, once="the run")
"""
POINTS = [
    "pipeline.created", "pipeline.planned", "step.claimed", "step.claimed:3", "step.started", "step.started:4",
    "step.collected:2", "step.collected:4", "step.committed", "step.committed:4",
]  # fmt: skip
CHILD_POINTS = ["step.running", "step.computed", "step.encoded", "step.answered:2"]


def check(ws, project, run):
    assert run.status == "finished"
    assert run.outputs == {"result": 10038}
    assert [step.status for step in run.steps] == ["done"] * 4
    assert ws.pipelines.list_pipeline_runs().runs == [run]
    effects = ws.tracking.search_runs(kind="run").runs
    assert [one.name for one in effects] == ["effect"]
    assert ws.tracking.search_runs(kind="pipeline").runs[0].status == "finished"
    assert {one.status for one in ws.tracking.search_runs(kind="step").runs} == {"finished"}
    before = project.ran
    assert ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run") == run
    assert project.ran == before


def crash_and_go_on(ws, project, other_process, point):
    project.write(PIPELINE)
    process = other_process(
        SUPERVISOR.format(url=ws.url, project=str(project)), fault=point, HOMEOSTAT_HOME=str(ws.home)
    )
    assert process.wait(300) == -signal.SIGKILL
    left = ws.pipelines.list_pipeline_runs().runs[0]
    assert left.status == ("finished" if point == "step.committed:4" else "running")
    done = {step.name for step in left.steps if step.status == "done"}
    before = project.ran
    run = ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run")
    assert not done & set(project.ran - before), "a step that was done was executed again"
    assert max(project.ran.values()) <= 2
    check(ws, project, run)


@pytest.mark.parametrize("point", POINTS)
def test_the_supervisor_dies(ws, project, other_process, point):
    crash_and_go_on(ws, project, other_process, point)


@pytest.mark.parametrize("point", ["step.claimed:3", "step.collected:2", "step.committed:4"])
@pytest.mark.parametrize("workspace_url", ["postgresql"], indirect=True)
def test_the_supervisor_dies_on_postgresql(any_ws, project, other_process, point):
    crash_and_go_on(any_ws, project, other_process, point)


@pytest.mark.parametrize("point", CHILD_POINTS)
def test_a_step_dies(ws, project, other_process, point):
    project.write(PIPELINE)
    process = other_process(SUPERVISOR.format(url=ws.url, project=str(project)), fault=point)
    _, told = process.communicate(timeout=300)
    left = ws.pipelines.list_pipeline_runs().runs[0]
    if point.startswith("step.answered"):  # the answer was there before the process went: nothing was lost
        assert (process.returncode, left.status) == (0, "finished")
    else:
        assert process.returncode == 1
        assert b"StepFailed" in told
        assert b"killed by signal 9" in told
    check(ws, project, ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run"))


def test_killed_at_random_moments(ws, project, other_process):
    project.write(PIPELINE)
    dice = random.Random(4)
    for _ in range(6):
        process = other_process(SUPERVISOR.format(url=ws.url, project=str(project)))
        time.sleep(dice.uniform(0.3, 1.1))
        process.kill()
        process.wait()
    check(ws, project, ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run"))


def test_two_who_ask_for_the_same_run_share_it(ws, project, other_process):
    project.write(PIPELINE)
    processes = [other_process(SUPERVISOR.format(url=ws.url, project=str(project))) for _ in range(2)]
    run = ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run")
    assert [process.wait(300) for process in processes] == [0, 0]
    assert set(project.ran.values()) == {1}
    check(ws, project, run)


def test_who_waits_takes_over_when_the_supervisor_dies(ws, project, other_process):
    project.write(PIPELINE)
    project.edit('ran("left")', 'ran("left"); [time.sleep(0.01) for _ in iter(lambda: Path("go").exists(), True)]')
    dying = other_process(SUPERVISOR.format(url=ws.url, project=str(project)))
    while not project.ran["left"]:
        time.sleep(0.01)
    waiting = other_process(SUPERVISOR.format(url=ws.url, project=str(project)))
    time.sleep(0.5)
    dying.kill()
    (project.folder / "go").touch()
    assert waiting.wait(300) == 0
    check(ws, project, ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run"))


def test_recover_takes_up_what_nobody_supervises(ws, project, other_process):
    from homeostat.pipelines import recover

    project.write(PIPELINE)
    other_process(SUPERVISOR.format(url=ws.url, project=str(project)), fault="step.claimed:3").wait(300)
    (run,) = recover(ws)
    assert recover(ws) == []  # it is supervised now
    check(ws, project, ws.pipelines.resume_pipeline_run(run))


def test_an_overtaken_supervisor_writes_nothing(ws, project, other_process):
    """A supervisor that was asleep past its lease finds that another one has the run, and stops without a trace."""
    import sqlalchemy as sa

    from homeostat.pipelines import store

    project.write(PIPELINE)
    project.edit('ran("left")', 'ran("left"); [time.sleep(0.01) for _ in iter(lambda: Path("go").exists(), True)]')
    asleep = other_process(SUPERVISOR.format(url=ws.url, project=str(project)))
    while not project.ran["left"] or not project.ran["right"]:
        time.sleep(0.01)

    def put_to_sleep(connection: sa.Connection) -> None:
        # While the write lock is ours: asleep inside a transaction of its own, it would hold everybody up.
        asleep.send_signal(signal.SIGSTOP)
        connection.execute(sa.update(store.runs).values(lease_until_ms=0))

    ws.db.write(put_to_sleep)
    (project.folder / "go").touch()
    run = ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run")
    asleep.send_signal(signal.SIGCONT)
    assert asleep.wait(300) == 0  # it saw the other one's end
    check(ws, project, run)


def test_a_failure_before_the_crash_counts_as_a_try(ws, project, other_process):
    project.write("""
        @hs.step(retries=1, retry_wait_s=0)
        def shaky():
            ran("shaky")
            raise ValueError("always")

        @hs.pipeline
        def main():
            return shaky()
    """)
    process = other_process(SUPERVISOR.format(url=ws.url, project=str(project)), fault="step.committed")
    assert process.wait(300) == -signal.SIGKILL
    with pytest.raises(StepFailed, match="always"):
        ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run")
    assert project.ran["shaky"] == 2


def test_ctrl_c_stops_the_run_for_good(ws, project, other_process):
    from homeostat.pipelines import recover

    project.write(PIPELINE)
    project.edit('ran("left")', 'ran("left"); [time.sleep(0.01) for _ in iter(lambda: Path("go").exists(), True)]')
    process = other_process(SUPERVISOR.format(url=ws.url, project=str(project)))
    while not project.ran["left"]:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(300) != 0
    run = ws.pipelines.list_pipeline_runs().runs[0]
    assert run.status == "stopped"
    assert {step.status for step in run.steps} <= {"done", "stopped", "waiting"}
    assert recover(ws) == []
    (project.folder / "go").touch()
    check(ws, project, ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run"))


def test_ctrl_c_right_after_a_commit_does_not_undo_what_is_done(ws, project, monkeypatch):
    from homeostat.pipelines import supervisor

    project.write(PIPELINE)
    write = supervisor.Supervisor._write
    pressed = []

    def press(self, fn):
        result = write(self, fn)
        if not pressed and any(step.status == "done" for step in ws.pipelines.list_pipeline_runs().runs[0].steps):
            pressed.append(True)
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(supervisor.Supervisor, "_write", press)
    with pytest.raises(KeyboardInterrupt):
        ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run")
    states = [step.status for step in ws.pipelines.list_pipeline_runs().runs[0].steps]
    assert states[0] == "done" and set(states) <= {"done", "stopped", "waiting"}
    check(ws, project, ws.pipelines.run_pipeline("pipeline:main", project=str(project), once="the run"))
