"""Steps that read tables out of the workspace: their outputs stand until the tables move on."""

from __future__ import annotations

import polars as pl

PIPELINE = """
    @hs.step
    def newest(ws: hs.Workspace) -> int:
        ran("newest")
        return ws.data.read_table("flights").height

    @hs.step
    def by_number(ws: hs.Workspace, version: int) -> int:
        ran("by_number")
        return ws.data.read_table("flights", version=version).height

    @hs.step
    def write(ws: hs.Workspace, rows: int) -> int:
        ran("write")
        import polars as pl
        frame = pl.DataFrame({"rows": [rows]})
        return ws.data.write_table("counts", frame, once=hs.step_key()).version

    @hs.pipeline
    def main(ws: hs.Workspace, version: int):
        return [newest(ws), by_number(ws, version), write(ws, newest(ws))]
"""


def test_a_table_that_moves_on_makes_its_readers_run_again(any_ws, project):
    project.write(PIPELINE)
    any_ws.data.write_table("flights", pl.DataFrame({"a": [1, 2]}))
    any_ws.data.write_table("flights", pl.DataFrame({"a": [3]}))

    def run():
        before = project.ran
        record = any_ws.pipelines.run_pipeline("pipeline:main", {"version": 1}, project=str(project))
        return record, set(project.ran - before)

    first, executed = run()
    assert first.outputs == {"0": 3, "1": 2, "2": 1}
    assert executed == {"newest", "by_number", "write"}
    assert run()[1] == set()
    any_ws.data.write_table("flights", pl.DataFrame({"a": [4]}))
    record, executed = run()
    assert executed == {"newest", "write"}  # the version asked for by number never goes stale
    assert record.outputs == {"0": 4, "1": 2, "2": 2}
    why = any_ws.pipelines.why_step(record.id, "newest")
    assert why.text == "it was executed: table flights is at version 3, was 2"
    assert run()[1] == set()


def test_what_steps_read_and_write_is_the_runs_lineage_also_where_it_was_kept(ws, project):
    project.write(PIPELINE)
    ws.data.write_table("flights", pl.DataFrame({"a": [1, 2]}))
    runs = [
        ws.pipelines.run_pipeline("pipeline:main", {"version": 1}, project=str(project)).run_id,
        ws.pipelines.run_pipeline("pipeline:main", {"version": 1}, project=str(project)).run_id,
    ]
    assert {node.run_id for node in ws.lineage.of("table", "counts", 1).nodes} == {runs[0], None}
    assert {node.run_id for node in ws.lineage.of("table", "flights", 1).nodes} == {*runs, None}
