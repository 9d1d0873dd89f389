"""Steps that fail, hang, are retried, are stopped."""

from __future__ import annotations

import time

import pytest

from homeostat.core.errors import StepFailed


def test_a_failed_step_says_what_where_and_what_next(any_ws, project):
    project.write("""
        @hs.step
        def good() -> int:
            ran("good")
            return 1

        @hs.step
        def bad(x):
            print("about to divide", x)
            return x / 0

        @hs.step
        def after(x):
            ran("after")

        @hs.pipeline
        def main():
            return after(bad(good()))
    """)
    with pytest.raises(StepFailed, match="step 'bad' of pipeline:main failed: ZeroDivisionError") as caught:
        any_ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    error = caught.value
    assert "about to divide 1" in error.message
    assert "return x / 0" in error.message
    assert "homeostat/pipelines/child.py" not in error.message
    run = any_ws.pipelines.get_pipeline_run(error.facts["run"])
    assert (run.status, [step.status for step in run.steps]) == ("failed", ["done", "failed", "waiting"])
    assert f"resume-pipeline-run {run.id}" in error.hint
    assert any_ws.tracking.get_run(run.id).status == "failed"
    assert any_ws.tracking.get_run(run.steps[1].run_id).status == "failed"

    project.edit("return x / 0", "return x / 2")
    mended = any_ws.pipelines.resume_pipeline_run(run.id)
    assert mended.status == "finished"
    assert mended.id == run.id
    assert project.ran == {"good": 1, "after": 1}
    assert any_ws.tracking.get_run(run.id).status == "finished"


def test_a_step_is_tried_again_as_often_as_declared(ws, project):
    project.write("""
        @hs.step(retries=2, retry_wait_s=0.05)
        def shaky(good_at: int) -> str:
            ran("shaky")
            tries = Path("ran.txt").read_text().count("shaky")
            print("try", tries)
            if tries < good_at:
                raise RuntimeError(f"try {tries} failed")
            return hs.step_key()

        @hs.pipeline
        def main(good_at: int):
            return shaky(good_at)
    """)
    run = ws.pipelines.run_pipeline("pipeline:main", {"good_at": 3}, project=str(project))
    assert (run.steps[0].status, run.steps[0].attempt, run.steps[0].error) == ("done", 3, None)
    assert run.outputs["result"] == run.steps[0].run_id
    log = ws.pipelines.step_log(run.id, "shaky")
    assert [line for line in log.text.splitlines() if line.startswith("try")] == ["try 1", "try 2", "try 3"]
    assert log.ended
    with pytest.raises(StepFailed, match="RuntimeError: try 6 failed"):
        ws.pipelines.run_pipeline("pipeline:main", {"good_at": 99}, project=str(project))
    assert project.ran["shaky"] == 6


def test_a_step_that_takes_too_long_is_ended(ws, project):
    project.write("""
        @hs.step(timeout_s=0.2)
        def slow():
            print("started")
            time.sleep(600)

        @hs.pipeline
        def main():
            return slow()
    """)
    with pytest.raises(StepFailed, match=r"longer than its timeout_s"):
        ws.pipelines.run_pipeline("pipeline:main", project=str(project))


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("os.kill(os.getpid(), 9)", r"killed by signal 9 \(is memory short\?\)"),
        ("os._exit(3)", "ended with code 3 and no answer"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("return open('ran.txt', 'w')", "_io.TextIOWrapper cannot be kept"),
        ("return Path('nowhere')", "neither a file nor a folder"),
        ("raise hs.HomeostatError('odd', hint='try this')", "HomeostatError: odd"),
    ],
)
def test_every_way_to_end_badly_is_told(ws, project, line, match):
    project.write(f"""
        @hs.step
        def odd():
            {line}

        @hs.pipeline
        def main():
            return odd()
    """)
    with pytest.raises(StepFailed, match=match):
        ws.pipelines.run_pipeline("pipeline:main", project=str(project))


def test_a_module_that_cannot_be_loaded(ws, project):
    project.write("import nowhere_to_be_found")
    with pytest.raises(StepFailed, match=r"(?s)cannot be loaded: ModuleNotFoundError: .*nowhere_to_be_found"):
        ws.pipelines.run_pipeline("pipeline:main", project=str(project))


def test_a_part_that_a_step_did_not_give(ws, project):
    project.write("""
        @hs.step
        def give() -> dict:
            return {"a": 1}

        @hs.step
        def take(x):
            return x

        @hs.pipeline
        def main():
            return take(give()["b"])
    """)
    with pytest.raises(StepFailed, match="step 'give' gave no part 'b'; it gave a"):
        ws.pipelines.run_pipeline("pipeline:main", project=str(project))


def test_others_finish_when_one_fails_and_nothing_new_starts(ws, project):
    project.write("""
        @hs.step
        def fails():
            while not Path("other-runs").exists():
                time.sleep(0.01)
            raise ValueError("no")

        @hs.step
        def other() -> int:
            Path("other-runs").touch()
            time.sleep(0.3)
            ran("other")
            return 1

        @hs.step
        def third(x):
            ran("third")

        @hs.pipeline
        def main():
            return [fails(), third(other())]
    """)
    with pytest.raises(StepFailed, match="ValueError: no") as caught:
        ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    steps = ws.pipelines.get_pipeline_run(caught.value.facts["run"]).steps
    assert [step.status for step in steps] == ["failed", "done", "waiting"]
    assert project.ran == {"other": 1}


def test_a_run_can_be_stopped_and_gone_on_with(ws, project):
    project.write("""
        @hs.step
        def long():
            ran("long")
            print("line 1")
            while not Path("go").exists():
                time.sleep(0.01)
            return 1

        @hs.pipeline
        def main():
            return long()
    """)
    run = ws.pipelines.run_pipeline("pipeline:main", project=str(project), wait=False)
    wait_for(lambda: ws.pipelines.step_log(run.id, "long").text == "line 1\n" if _steps(ws, run) else False)
    assert not ws.pipelines.step_log(run.id, "long").ended  # read while it runs
    ws.pipelines.stop_pipeline_run(run.id)
    wait_for(lambda: ws.pipelines.get_pipeline_run(run.id).status == "stopped")
    assert ws.pipelines.get_pipeline_run(run.id).steps[0].status == "stopped"
    (project.folder / "go").touch()
    assert ws.pipelines.resume_pipeline_run(run.id).status == "finished"
    assert project.ran["long"] == 2


def _steps(ws, run):
    return ws.pipelines.get_pipeline_run(run.id).steps


def wait_for(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
