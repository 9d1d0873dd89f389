"""Searching: what is tried, what is found, what is recorded; and all of it again after kill -9."""

from __future__ import annotations

import random
import signal
import time

import pytest

from homeostat.core.errors import Conflict, InvalidInput, NotFound, StepFailed
from tests.tuning.conftest import SPACE


def drawn(study):
    return [trial.params for trial in study.trials]


def test_a_search_finds_what_is_good_and_records_every_trial(any_ws, project, search):
    study = search(any_ws, trials=25)
    assert (study.status, len(study.trials), study.wanted) == ("finished", 25, 25)
    assert study.best == min(study.trials, key=lambda trial: trial.value)
    assert study.params["kind"] == "a"
    assert study.value < 0.06
    assert set(project.ran.values()) == {1}
    assert any_ws.tuning.get_study(study.id) == study
    assert any_ws.tuning.list_studies() == [study]

    above = any_ws.tracking.get_run(study.run_id)
    assert (above.name, above.status, above.metrics["loss"]) == ("tune bowl", "finished", study.value)
    runs = any_ws.tracking.search_runs(parent_id=study.run_id, limit=100).runs
    assert {(run.kind, run.status) for run in runs} == {("trial", "finished")}
    told = {run.id: run for run in runs}
    for trial in study.trials:
        assert told[trial.run_id].metrics["loss"] == trial.value
        assert told[trial.run_id].params == {name: str(value) for name, value in trial.params.items()}


def test_the_same_seed_gives_the_same_trials_whatever_finishes_first(ws, project, search):
    project.write("""
        def uneven(x, n, kind):
            time.sleep(0.1 if kind == "a" else 0.0)
            return bowl(x, n, kind)["loss"]

        def even(x, n, kind):
            return bowl(x, n, kind)["loss"]
    """)
    one = search(ws, "objective:uneven", trials=14, seed=3, metric="value")
    two = search(ws, "objective:even", trials=14, seed=3, metric="value")
    other = search(ws, "objective:even", trials=14, seed=4, metric="value")
    assert drawn(one) == drawn(two)
    assert drawn(one) != drawn(other)
    assert one.id != two.id


def test_a_search_with_once_goes_on_and_can_be_made_longer(ws, project, search):
    first = search(ws, trials=6, once="night")
    again = search(ws, trials=6, once="night")
    assert again.trials == first.trials
    longer = search(ws, trials=12, once="night")
    assert longer.trials[:6] == first.trials
    assert set(project.ran.values()) == {1}
    assert drawn(longer) == drawn(search(ws, trials=12, once="another night"))
    with pytest.raises(Conflict, match="differs in seed"):
        search(ws, trials=6, once="night", seed=9)
    project.write("\ndef other(): pass\n")
    search(ws, trials=6, once="night")  # the objective itself is the same


def test_given_parameters_come_first_and_arguments_are_passed_on(ws, search):
    start = {"x": 0.3, "n": 1, "kind": "a"}
    study = search(ws, trials=3, first=[start], args={"shift": 5.0})
    assert study.trials[0].params == start
    assert study.trials[0].value == pytest.approx(5.01)
    assert min(trial.value for trial in study.trials) >= 5.0
    with pytest.raises(InvalidInput, match="x=7 is not between"):
        search(ws, first=[{"x": 7, "n": 1, "kind": "a"}])


def test_frames_and_the_workspace_as_arguments(ws, project, search):
    import polars as pl

    project.write("""
        def with_data(x, frame, ws: hs.Workspace):
            return -abs(x - frame["a"].sum()) + len(ws.tracking.list_experiments()) * 0
    """)
    study = search(
        ws, "objective:with_data", space={"x": (0, 10)}, args={"frame": pl.DataFrame({"a": [1, 2]})},
        direction="maximize", metric="value", trials=30,
    )  # fmt: skip
    assert study.params == {"x": 3}


def test_one_process_runs_many_trials(ws, search):
    study = search(ws, trials=8, parallel=2)
    assert len({trial.metrics["pid"] for trial in study.trials}) <= 2


def test_failed_trials_are_recorded_and_passed_over(ws, project, search):
    project.write("""
        def shaky(x):
            number = len(RAN.read_text().split()) if RAN.exists() else 0
            bowl(x, 0, number)
            if number == 1:
                raise ValueError("one of those days")
            if number == 2:
                os.kill(os.getpid(), 9)
            if number == 3:
                return float("nan")
            if number == 4:
                time.sleep(600)
            return x
    """)
    study = search(ws, "objective:shaky", space={"x": (0.0, 1.0)}, metric="value", trials=7, parallel=1, timeout_s=3.0)
    errors = [trial.error for trial in study.trials if trial.status == "failed"]
    assert errors == [
        "ValueError: one of those days",
        "its process was killed by signal 9 (is memory short?)",
        "InvalidInput: the objective gave value=nan, which is not a finite number",
        "it took longer than timeout_s and was ended",
    ]
    assert [trial.status for trial in study.trials].count("finished") == 3
    failed = ws.tracking.search_runs(parent_id=study.run_id, status="failed").runs
    assert len(failed) == 4


def test_an_objective_that_never_works_is_given_up(ws, project, search):
    project.write("""
        def broken(**params):
            raise RuntimeError("no such column: delay")
    """)
    with pytest.raises(
        StepFailed, match="none of 3 trials succeeded; the last: RuntimeError: no such column"
    ) as caught:
        search(ws, "objective:broken", trials=50, parallel=1)
    assert ws.tuning.get_study(caught.value.facts["study"]).status == "failed"


def test_a_budget_ends_the_search(ws, project, search):
    project.write("""
        def slow(x):
            time.sleep(0.2)
            return x
    """)
    study = search(ws, "objective:slow", space={"x": (0.0, 1.0)}, metric="value", trials=500, budget_s=1.0)
    assert 1 <= len(study.trials) < 60
    assert study.status == "finished"


def test_trials_that_fall_behind_are_pruned(ws, project, search):
    project.write("""
        def curve(x):
            for step in range(10):
                hs.tuning.report(x + 1.0 / (step + 1), step)
            bowl(x, 0, "whole")
            return x
    """)
    more = {"space": {"x": (0.0, 1.0)}, "metric": "value", "trials": 20, "sampler": "random"}
    study = search(ws, "objective:curve", prune=True, **more)
    pruned = [trial for trial in study.trials if trial.status == "pruned"]
    assert pruned
    assert all(len(trial.reports) < 10 and trial.value is None for trial in pruned)
    assert len(project.ran) == 20 - len(pruned)
    best = min(trial.params["x"] for trial in study.trials)
    assert study.params["x"] == best  # the best is never behind
    history = ws.tracking.metric_history(study.trials[0].run_id, "reported/value")
    assert [point.step for point in history] == list(range(10))
    again = search(ws, "objective:curve", prune=True, **more)
    assert [trial.status for trial in again.trials] == [trial.status for trial in study.trials]
    unpruned = search(ws, "objective:curve", **more)
    assert {trial.status for trial in unpruned.trials} == {"finished"}


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"space": {}}, InvalidInput, "search space is empty"),
        ({"space": {"x": (1.0, 0.0)}}, InvalidInput, "'x': .* spans nothing"),
        ({"space": {"x": (0.0, 1.0, "log")}}, InvalidInput, "spans nothing"),
        ({"space": {"x": (0.0, 1.0, "cubic")}}, InvalidInput, "not understood"),
        ({"space": {"x": []}}, InvalidInput, "no choices"),
        ({"sampler": "magic"}, InvalidInput, "no sampler 'magic'"),
        ({"trials": 0}, InvalidInput, "above zero"),
        ({"objective": "bowl"}, InvalidInput, "does not name a function"),
        ({"objective": "objective:none"}, StepFailed, "has no 'none'"),
    ],
)
def test_what_cannot_be_meant_is_refused(ws, search, more, error, match):
    with pytest.raises(error, match=match):
        search(ws, **more)


def test_a_study_that_is_not_there(ws):
    with pytest.raises(NotFound, match="no search 'x'"):
        ws.tuning.get_study("x")


SCRIPT = """
    import homeostat as hs
    with hs.open({url!r}) as ws:
        hs.tune("objective:bowl", {space!r}, metric="loss", trials=12, once="the search", ws=ws, project={project!r})
"""


def killed_then_finished(ws, project, search, other_process, fault):
    script = SCRIPT.format(url=ws.url, space=SPACE, project=str(project.folder))
    dying = other_process(script, fault)
    assert dying.wait(300) == -signal.SIGKILL
    finished = {trial.number for trial in ws.tuning.list_studies()[0].trials if trial.status == "finished"}
    before = project.ran
    study = search(ws, trials=12, once="the search")
    once = {f"{t.params['x']!r}/{t.params['n']}/{t.params['kind']}" for t in study.trials if t.number in finished}
    assert not once & set(project.ran - before), "a finished trial was run again"
    whole = search(ws, trials=12)
    assert drawn(study) == drawn(whole)
    assert [trial.value for trial in study.trials] == [trial.value for trial in whole.trials]
    runs = ws.tracking.search_runs(parent_id=study.run_id, limit=100).runs
    assert [run.status for run in runs] == ["finished"] * 12


@pytest.mark.parametrize("fault", ["trial.begun", "trial.begun:7", "trial.collected:5", "trial.committed:4"])
def test_a_killed_search_goes_on_as_if_nothing_had_been(ws, project, search, other_process, fault):
    killed_then_finished(ws, project, search, other_process, fault)


@pytest.mark.parametrize("workspace_url", ["postgresql"], indirect=True)
def test_a_killed_search_goes_on_on_postgresql(any_ws, project, search, other_process):
    killed_then_finished(any_ws, project, search, other_process, "trial.collected:5")


def test_killed_at_random_moments(ws, project, search, other_process):
    dice = random.Random(2)
    script = SCRIPT.format(url=ws.url, space=SPACE, project=str(project.folder))
    for _ in range(4):
        process = other_process(script)
        time.sleep(dice.uniform(0.5, 1.5))
        process.kill()
        process.wait()
    assert drawn(search(ws, trials=12, once="the search")) == drawn(search(ws, trials=12))


@pytest.mark.parametrize("fault", ["trial.answered"])
def test_a_worker_that_dies_after_its_answer_loses_nothing(ws, project, other_process, fault):
    script = SCRIPT.format(url=ws.url, space=SPACE, project=str(project.folder)).replace("trials=12", "trials=4")
    process = other_process(script, fault)
    assert process.wait(300) == 0
    assert {trial.status for trial in ws.tuning.list_studies()[0].trials} == {"finished"}
    assert set(project.ran.values()) == {1}


def test_two_at_one_search_is_a_conflict(ws, project, search, other_process):
    project.write("""
        def slow(x):
            bowl(x, 0, "slow")
            while not (RAN.parent / "go").exists():
                time.sleep(0.01)
            return x
    """)
    script = SCRIPT.format(url=ws.url, space={"x": (0.0, 1.0)}, project=str(project.folder))
    other = other_process(script.replace("bowl", "slow").replace('metric="loss"', 'metric="value"'))
    while not project.ran:
        time.sleep(0.01)
    more = {"space": {"x": (0.0, 1.0)}, "metric": "value", "trials": 12, "once": "the search"}
    with pytest.raises(Conflict, match="carried on by another process"):
        search(ws, "objective:slow", **more)
    (project.folder / "go").touch()
    assert other.wait(300) == 0
    assert len(search(ws, "objective:slow", **more).trials) == 12


def test_a_search_inside_a_pipeline_step_survives_with_it(ws, project, other_process):
    project.write("""
        @hs.step
        def best(trials: int) -> dict:
            with open(RAN.parent / "steps.txt", "a") as file:
                file.write("step\\n")
            space = {"x": (0.0, 1.0), "n": (1, 9), "kind": ["a", "b"]}
            return hs.tune(bowl, space, metric="loss", trials=trials).params

        @hs.pipeline
        def main(trials: int):
            return best(trials)
    """)
    call = f'ws.pipelines.run_pipeline("objective:main", {{"trials": 9}}, project={str(project.folder)!r}, once="r")'
    script = f"import homeostat as hs\nwith hs.open({ws.url!r}) as ws:\n    {call}"
    dying = other_process(script)
    while len(project.ran) < 4:
        time.sleep(0.005)
    dying.kill()
    dying.wait()
    run = ws.pipelines.run_pipeline("objective:main", {"trials": 9}, project=str(project.folder), once="r")
    (study,) = ws.tuning.list_studies(run_id=run.steps[0].run_id)
    assert run.outputs["result"] == study.params
    assert len(study.trials) == 9
    assert (project.folder / "steps.txt").read_text().count("step") == 2
    assert sum(count - 1 for count in project.ran.values()) <= 2  # at most those that were under way
    trials = ws.tracking.search_runs(parent_id=run.steps[0].run_id, limit=100).runs
    assert [one.kind for one in trials] == ["trial"] * 9
    # The objective's code belongs to the step's key.
    source = (project.folder / "objective.py").read_text()
    (project.folder / "objective.py").write_text(source.replace("0.01", "0.02"))
    again = ws.pipelines.run_pipeline("objective:main", {"trials": 9}, project=str(project.folder))
    assert again.steps[0].status == "done"
    assert ws.pipelines.why_step(again.id, "best").text.endswith("objective.bowl was edited")
