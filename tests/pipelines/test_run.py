"""Running a pipeline: the graph, what steps may take and give, what is told about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.core.errors import Conflict, InvalidInput, NotFound, Refused
from homeostat.pipelines import load_output

DIAMOND = """
    @hs.step
    def load(n: int) -> list[int]:
        ran("load")
        return list(range(n))

    @hs.step
    def left(numbers):
        ran("left")
        return {"sum": sum(numbers), "name": "left"}

    @hs.step
    def right(numbers) -> tuple[int, float]:
        ran("right")
        return len(numbers), 0.5

    @hs.step
    def join(total: int, count: int, rate: float, extra: list):
        ran("join")
        return [total, count, rate, extra]

    @hs.pipeline
    def diamond(n: int = 4, extra: str = "x"):
        numbers = load(n)
        sides = left(numbers)
        count, rate = right(numbers)
        return {"result": join(sides["sum"], count, rate, [extra, sides["name"]]), "sides": sides}
"""


def test_a_diamond_runs_once_in_order_and_gives_its_outputs(any_ws, project):
    project.write(DIAMOND)
    run = any_ws.pipelines.run_pipeline("pipeline:diamond", {"n": 5}, project=str(project))
    assert run.status == "finished"
    assert run.outputs == {"result": [10, 5, 0.5, ["x", "left"]], "sides": {"sum": 10, "name": "left"}}
    assert project.ran == {"load": 1, "left": 1, "right": 1, "join": 1}
    assert [(s.name, s.status, s.attempt, s.after) for s in run.steps] == [
        ("load", "done", 1, []), ("left", "done", 1, ["load"]), ("right", "done", 1, ["load"]),
        ("join", "done", 1, ["left", "right"]),
    ]  # fmt: skip
    assert any_ws.pipelines.get_pipeline_run(run.id) == run


def test_a_run_and_its_steps_are_runs_in_tracking(any_ws, project):
    project.write(DIAMOND)
    run = any_ws.pipelines.run_pipeline("pipeline:diamond", {"n": 5}, project=str(project))
    own = any_ws.tracking.get_run(run.id)
    assert (own.kind, own.status, own.params) == ("pipeline", "finished", {"n": "5"})
    below = any_ws.tracking.search_runs(parent_id=run.id).runs
    assert {(one.name, one.kind, one.status) for one in below} == {
        (name, "step", "finished") for name in ("load", "left", "right", "join")
    }
    assert {one.id for one in below} == {step.run_id for step in run.steps}


def test_values_of_every_kind_travel_between_processes(ws, project):
    project.write("""
        import numpy as np
        import polars as pl

        class Thing:
            def __init__(self, x): self.x = x

        @hs.step
        def give():
            folder = hs.scratch()
            (folder / "sub").mkdir()
            (folder / "sub" / "a.txt").write_text("deep")
            single = folder / "one.bin"
            single.write_bytes(b"123")
            return {"frame": pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), "array": np.arange(6.0).reshape(2, 3),
                    "file": single, "folder": folder / "sub", "thing": Thing(9), "nan": float("nan"), "raw": b"\\0\\1",
                    "score": np.float64(0.25), "pair": (1, [2, {"k": None}])}

        @hs.step
        def take(frame, array, file, folder, thing, nan, raw, score, pair):
            assert frame.equals(pl.DataFrame({"a": [1, None], "b": ["x", "y"]}))
            assert array.shape == (2, 3) and array.sum() == 15
            assert file.name == "one.bin" and file.read_bytes() == b"123"
            assert (folder / "a.txt").read_text() == "deep"
            assert nan != nan and thing.x == 9 and raw == b"\\0\\1" and score == 0.25
            assert pair == (1, [2, {"k": None}])
            return frame.with_columns(c=pl.lit(array[1, 2]))

        @hs.pipeline
        def main():
            all = give()
            names = ["frame", "array", "file", "folder", "thing", "nan", "raw", "score", "pair"]
            return {"frame": take(**{name: all[name] for name in names}), "thing": all["thing"], "file": all["file"]}
    """)
    run = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    assert load_output(ws, run.id, "frame")["c"].to_list() == [5.0, 5.0]
    assert load_output(ws, run.id, "file").read_bytes() == b"123"
    with pytest.raises(Refused, match="step processes only"):
        load_output(ws, run.id, "thing")
    with pytest.raises(NotFound, match="no output 'x'"):
        load_output(ws, run.id, "x")


def test_a_step_may_take_the_workspace(any_ws, project):
    project.write("""
        @hs.step
        def note(ws: hs.Workspace, text: str) -> str:
            run = ws.tracking.create_run(name="made by a step", tags={"text": text})
            return run.parent_id

        @hs.pipeline
        def main(ws: hs.Workspace, text: str):
            return note(ws, text)
    """)
    run = any_ws.pipelines.run_pipeline("pipeline:main", {"text": "hello"}, project=str(project))
    assert run.outputs["result"] == run.steps[0].run_id  # the step's run is open while it runs
    assert any_ws.tracking.search_runs(parent_id=run.steps[0].run_id).runs[0].tags["text"] == "hello"


def test_steps_that_wait_for_nothing_run_side_by_side(ws, project):
    project.write("""
        @hs.step
        def meet(me: str, other: str, folder: str) -> str:
            Path(folder, me).touch()
            while not Path(folder, other).exists():  # ends only if the other one runs at the same time
                time.sleep(0.01)
            return me

        @hs.pipeline
        def main(folder: str):
            return [meet("a", "b", folder), meet("b", "a", folder)]
    """)
    run = ws.pipelines.run_pipeline("pipeline:main", {"folder": str(project)}, project=str(project))
    assert run.outputs == {"0": "a", "1": "b"}
    assert [step.name for step in run.steps] == ["meet", "meet-2"]


def test_modules_of_the_project_are_importable_and_the_folder_is_the_projects(ws, project):
    project.write("def value(): return 41", name="parts/sums.py", head=False)
    project.write("")
    project.write("""
        from parts import sums

        @hs.step
        def main_step():
            import parts.sums as again
            return [again.value() + 1, os.getcwd()]

        @hs.pipeline
        def main():
            return main_step()
    """)
    run = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    assert run.outputs["result"] == [42, str(project)]
    assert not list(Path(str(project)).rglob("__pycache__"))


def test_the_same_once_is_the_same_run(any_ws, project):
    project.write(DIAMOND)
    first = any_ws.pipelines.run_pipeline("pipeline:diamond", {"n": 3}, project=str(project), once="week 1")
    again = any_ws.pipelines.run_pipeline("pipeline:diamond", {"n": 3}, project=str(project), once="week 1")
    assert again == first
    assert any_ws.pipelines.list_pipeline_runs().runs == [first]
    with pytest.raises(Conflict, match="already means"):
        any_ws.pipelines.run_pipeline("pipeline:diamond", {"n": 4}, project=str(project), once="week 1")


def test_a_run_may_be_waited_for_later(ws, project):
    project.write(DIAMOND)
    run = ws.pipelines.run_pipeline("pipeline:diamond", project=str(project), wait=False)
    assert run.status == "running"
    assert ws.pipelines.resume_pipeline_run(run.id).status == "finished"
    assert project.ran["load"] == 1


def test_runs_are_listed_newest_first_in_pages(ws, project):
    project.write(DIAMOND)
    runs = [ws.pipelines.run_pipeline("pipeline:diamond", {"n": n}, project=str(project)).id for n in range(3)]
    page = ws.pipelines.list_pipeline_runs(limit=2)
    rest = ws.pipelines.list_pipeline_runs(limit=2, after=page.next)
    assert [run.id for run in page.runs + rest.runs] == runs[::-1]
    assert rest.next is None
    assert ws.pipelines.list_pipeline_runs(pipeline="other:one").runs == []


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (("pipeline:nothing", {}), NotFound, "has no 'nothing'"),
        (("missing:main", {}), NotFound, "no module 'missing'"),
        (("pipeline", {}), InvalidInput, "does not name a pipeline"),
        (("pipeline:load", {}), InvalidInput, "not a pipeline"),
        (("pipeline:diamond", {"m": 1}), InvalidInput, "no parameter 'm'"),
        (("pipeline:diamond", {"n": "many"}), InvalidInput, "Expected `int`"),
        (("pipeline:diamond", {"n": float("nan")}), InvalidInput, "plain JSON"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_recorded_as_failed(ws, project, call, error, match):
    project.write(DIAMOND)
    with pytest.raises(error, match=match):
        ws.pipelines.run_pipeline(*call, project=str(project))
    assert all(run.status == "failed" for run in ws.pipelines.list_pipeline_runs().runs)


def test_a_project_or_run_that_is_not_there(ws, tmp_path):
    with pytest.raises(NotFound, match="project folder"):
        ws.pipelines.run_pipeline("a:b", project=str(tmp_path / "none"))
    for ask in (ws.pipelines.get_pipeline_run, ws.pipelines.resume_pipeline_run):
        with pytest.raises(NotFound, match="no pipeline run 'x'"):
            ask("x")
    with pytest.raises(NotFound, match="no pipeline run 'x'"):
        ws.pipelines.why_step("x", "y")


def test_a_pipeline_that_stops_describing_itself_half_way_says_why(ws, project):
    project.write("""
        @hs.step
        def number() -> int:
            return 1

        @hs.pipeline
        def early():
            if number() > 0:
                return number()
    """)
    with pytest.raises(InvalidInput, match="still being described"):
        ws.pipelines.run_pipeline("pipeline:early", project=str(project))
