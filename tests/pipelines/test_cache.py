"""What is executed again and what is not, and what is told about it."""

from __future__ import annotations

import pytest

PIPELINE = """
    import helper
    from helper import SCALE as factor

    LIMIT = 3

    def inner(x):
        return x + LIMIT

    @hs.step
    def first(n: int) -> int:
        ran("first")
        return inner(n)

    @hs.step
    def second(x: int) -> int:
        ran("second")
        return helper.scaled(x) * factor

    @hs.step
    def third(x: int) -> int:
        ran("third")
        return x + 1

    @hs.pipeline
    def main(n: int = 1):
        return third(second(first(n)))
"""
HELPER = """
    SCALE = 10

    def scaled(x):
        '''Say more.'''
        return min(x, 100)

    def unrelated():
        return 0
"""


@pytest.fixture
def run(ws, project):
    project.write(HELPER, "helper.py", head=False)
    project.write(PIPELINE)

    def go(**params):
        before = project.ran
        record = ws.pipelines.run_pipeline("pipeline:main", params, project=str(project))
        return record, dict(project.ran - before)

    return go


def why(ws, record, step="second"):
    return ws.pipelines.why_step(record.id, step).text


def test_nothing_changed_nothing_runs(run, ws):
    first, executed = run()
    assert executed == {"first": 1, "second": 1, "third": 1}
    assert why(ws, first) == "it was executed: it has not run before"
    again, executed = run()
    assert executed == {}
    assert [(step.status, step.cached) for step in again.steps] == [("cached", True)] * 3
    assert again.outputs == first.outputs == {"result": 41}
    assert [step.run_id for step in again.steps] == [step.run_id for step in first.steps]
    assert ws.pipelines.why_step(again.id, "first").against == first.id


def test_a_parameter(run, ws):
    run()
    record, executed = run(n=2)
    assert executed == {"first": 1, "second": 1, "third": 1}
    assert why(ws, record, "first") == "it was executed: parameter n is 2, was 1"
    assert why(ws, record).startswith("it was executed: input x (from first) is different")


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("pipeline.py", "return inner(n)", "return inner(n) + 0", "pipeline.first was edited"),
        ("pipeline.py", "x + LIMIT", "LIMIT + x", "pipeline.inner was edited"),
    ],
)
def test_code_that_changes_without_changing_the_output_stops_there(run, ws, project, file, before, after, told):
    run()
    project.edit(before, after, file)
    record, executed = run()
    assert executed == {"first": 1}  # early cut-off: the others' input is the same
    assert why(ws, record, "first") == f"it was executed: {told}"


@pytest.mark.parametrize(
    ("file", "before", "after", "told", "reruns"),
    [
        ("pipeline.py", "LIMIT = 3", "LIMIT = 4", "pipeline.LIMIT was edited", {"first", "second", "third"}),
        ("helper.py", "SCALE = 10", "SCALE = 11", "helper.SCALE was edited", {"second", "third"}),
        ("helper.py", "min(x, 100)", "min(x, 2)", "helper.scaled was edited", {"second", "third"}),
    ],
)
def test_constants_and_functions_of_other_modules_count(run, ws, project, file, before, after, told, reruns):
    run()
    project.edit(before, after, file)
    record, executed = run()
    assert set(executed) == reruns
    assert why(ws, record, next(step.name for step in record.steps if step.name in reruns)).endswith(told)


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("helper.py", "return 0", "return 1"),  # not reached by any step
        ("helper.py", "Say more.", "Say less."),
        ("pipeline.py", "LIMIT = 3", "LIMIT  =  3  # three"),
        ("pipeline.py", "@hs.step\n    def first", "@hs.step(retries=2)\n    def first"),
    ],
)
def test_layout_docstrings_and_code_out_of_reach_do_not_count(run, project, file, before, after):
    run()
    text = before.replace("\n    ", "\n")
    project.edit(text, after.replace("\n    ", "\n"), file)
    assert run()[1] == {}


def test_a_declared_version_and_a_constant_from_outside(ws, project, monkeypatch):
    project.write("""
        LEVEL = os.environ.get("LEVEL", "low")

        @hs.step(version="1")
        def only() -> str:
            ran("only")
            return LEVEL

        @hs.pipeline
        def main():
            return only()
    """)
    first = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    monkeypatch.setenv("LEVEL", "high")
    second = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    assert (first.outputs["result"], second.outputs["result"]) == ("low", "high")
    assert why(ws, second, "only") == "it was executed: pipeline.LEVEL was edited"
    project.edit('version="1"', 'version="2"')
    third = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    assert why(ws, third, "only") == "it was executed: version is 2, was 1"
    assert project.ran["only"] == 3


def test_cache_off_and_bytes_that_are_gone(ws, project):
    project.write("""
        @hs.step(cache=False)
        def always() -> int:
            ran("always")
            return 1

        @hs.step
        def big(x) -> bytes:
            ran("big")
            return b"x" * 10

        @hs.pipeline
        def main():
            return big(always())
    """)
    first = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    second = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    assert project.ran == {"always": 2, "big": 1}
    assert why(ws, second, "always") == "it was executed: its cache is off"
    ws.blobs.local_path(first.outputs["result"]["digest"]).unlink()
    third = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    assert project.ran["big"] == 2
    assert why(ws, third, "big") == "it was executed: the bytes of its kept output are gone"
    assert third.outputs == first.outputs


def test_an_edit_while_the_pipeline_runs_is_noticed(ws, project):
    project.write("""
        @hs.step
        def first() -> int:
            ran("first")
            file = Path(__file__)
            file.write_text(file.read_text().replace("return x + " + "1", "return x + " + "2"))
            return 1

        @hs.step
        def second(x: int) -> int:
            ran("second")
            return x + 1

        @hs.pipeline
        def main():
            return second(first())
    """)
    run = ws.pipelines.run_pipeline("pipeline:main", project=str(project))
    # Planned with `x + 1`; by the time it starts, the file says `x + 2`: that is what runs, under that code's key.
    assert run.outputs["result"] == 3
    assert project.ran == {"first": 1, "second": 1}
    assert ws.pipelines.run_pipeline("pipeline:main", project=str(project)).steps[1].status == "cached"
