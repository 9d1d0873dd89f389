"""Files that hold tables, seen from outside: their first rows, as text."""

from __future__ import annotations

import io
import random

import polars as pl
import pytest

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.workspace import Workspace

FRAME = pl.DataFrame({"id": range(1500), "name": ["x" * 600, None] + ["b"] * 1498, "seen": [[1, 2]] * 1500})


def logged(ws: Workspace, path: str, data: bytes) -> str:
    run = ws.tracking.create_run()
    ws.tracking.log_artifact(run.id, path, data)
    return run.id


@pytest.mark.parametrize(("path", "write"), [("a/p.parquet", "write_parquet"), ("p.arrow", "write_ipc")])
def test_the_head_of_a_table_is_read_as_text(ws: Workspace, path: str, write: str):
    sink = io.BytesIO()
    getattr(FRAME, write)(sink)
    run = logged(ws, path, sink.getvalue())
    head = ws.tracking.preview_table(run, path, limit=2)
    assert (head.columns, head.types[0], head.total, head.all_columns) == (["id", "name", "seen"], "Int64", 1500, 3)
    assert [row[0] for row in head.rows] == ["0", "1"] and [row[1] for row in head.rows] == ["x" * 500 + "…", None]


def test_of_a_wide_table_the_first_columns_are_shown(ws: Workspace):
    sink = io.BytesIO()
    pl.DataFrame({f"c{n}": [n] for n in range(300)}).write_parquet(sink)
    head = ws.tracking.preview_table(logged(ws, "wide.parquet", sink.getvalue()), "wide.parquet")
    assert (len(head.columns), len(head.rows[0]), head.all_columns) == (200, 200, 300)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\xff" * 64 + b"PAR1"])
def test_a_damaged_table_says_so(ws: Workspace, data: bytes):
    with pytest.raises(InvalidInput, match="cannot be read"):
        ws.tracking.preview_table(logged(ws, "p.parquet", data), "p.parquet")


@pytest.mark.parametrize(("path", "write"), [("p.parquet", "write_parquet"), ("p.arrow", "write_ipc")])
def test_no_damage_ends_the_process(ws: Workspace, path: str, write: str):
    """Lengths that cannot be meant, by seeded chance: each is told as such or read."""
    sink = io.BytesIO()
    getattr(FRAME.head(20), write)(sink)
    whole, chance = sink.getvalue(), random.Random(1)
    told = 0
    for _ in range(80):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 2, 4])):
            at = chance.randrange(len(broken) - 8)
            broken[at : at + 8] = chance.choice([b"\xff" * 8, bytes(8), (1 << 62).to_bytes(8, "little"), b"\x80" * 8])
        try:
            ws.tracking.preview_table(logged(ws, path, bytes(broken)), path)
        except InvalidInput:
            told += 1
    assert told > 10


def test_what_is_no_table_is_refused(ws: Workspace):
    run = logged(ws, "p.pkl", b"x")
    with pytest.raises(InvalidInput, match="no table"):
        ws.tracking.preview_table(run, "p.pkl")
    with pytest.raises(NotFound):
        ws.tracking.preview_table(run, "q.parquet")
    with pytest.raises(InvalidInput, match="limit"):
        ws.tracking.preview_table(run, "q.parquet", limit=0)
