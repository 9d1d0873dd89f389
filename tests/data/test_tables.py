"""Tables: versions, modes, idempotency, types, and what other programs see of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

import homeostat as hs
from homeostat.core.context import acting_run
from homeostat.core.errors import Conflict, Corrupt, InvalidInput, NotFound
from homeostat.core.events import events_after
from homeostat.core.lineage_facts import table as facts
from homeostat.data import scan_table

PEOPLE = pl.DataFrame({"id": [1, 2, 3], "name": ["ann", "bob", None]})


def test_every_write_is_a_version_and_old_ones_stay_readable(any_ws: hs.Workspace) -> None:
    data = any_ws.data
    first = data.write_table("people", PEOPLE, key=["id"], message="hello", source="here", description="who")
    data.write_table("people", pl.DataFrame({"id": [4], "name": ["dan"]}))
    data.write_table("people", pl.DataFrame({"id": [2, 5], "name": ["rob", "eve"]}), mode="upsert")
    data.write_table("people", pl.DataFrame({"id": [9], "age": [50]}), mode="overwrite")

    assert (first.version, first.rows, first.operation, first.message, first.source) == (
        1, 3, "append", "hello", "here",
    )  # fmt: skip
    assert_frame_equal(data.read_table("people", version=1), PEOPLE)
    assert data.read_table("people", version=2)["id"].to_list() == [1, 2, 3, 4]
    third = dict(data.read_table("people", version=3).iter_rows())
    assert third == {1: "ann", 2: "rob", 3: None, 4: "dan", 5: "eve"}
    assert data.read_table("people").to_dicts() == [{"id": 9, "age": 50}]
    assert [v.version for v in data.list_versions("people")] == [4, 3, 2, 1]
    assert [v.version for v in data.list_versions("people", limit=2, before=4)] == [3, 2]

    table = data.get_table("people")
    assert (table.version, table.rows, table.key, table.description) == (4, 1, ["id"], "who")
    assert [(c.name, c.type) for c in table.columns] == [("id", "int64"), ("age", "int64")]
    assert data.list_tables() == [table]
    assert [e.payload["version"] for e in events_after(any_ws, 0, names=["table_written"])] == [1, 2, 3, 4]


def test_the_same_write_under_the_same_name_happens_once(any_ws: hs.Workspace) -> None:
    first = any_ws.data.write_table("t", PEOPLE, once="monday")
    again = any_ws.data.write_table("t", PEOPLE, once="monday")
    other = any_ws.data.write_table("t", PEOPLE, once="tuesday")
    assert again == first
    assert (other.version, other.rows) == (2, 6)


def test_equal_writes_have_equal_digests(ws: hs.Workspace) -> None:
    a, b, c = (ws.data.write_table(name, PEOPLE.head(n)) for name, n in (("a", 3), ("b", 3), ("c", 2)))
    assert a.digest == b.digest != c.digest


def test_any_arrow_frame_is_welcome_and_types_survive(ws: hs.Workspace) -> None:
    frame = pl.DataFrame(
        {
            "i8": pl.Series([1, None], dtype=pl.Int8), "u64": pl.Series([7, None], dtype=pl.UInt64),
            "f": [1.5, float("nan")], "b": [True, None], "day": [date(2013, 1, 1), None],
            "utc": [datetime(2013, 1, 1, tzinfo=UTC), None], "naive": [datetime(2013, 1, 1, 5), None],
            "cat": pl.Series(["x", None], dtype=pl.Categorical), "bytes": [b"\x00", None], "list": [[1, None], []],
            "money": [Decimal("1.50"), None], "nothing": pl.Series([None, None], dtype=pl.Null),
            "struct": [{"a": 1, "b": ["x"]}, {"a": None, "b": None}],
        }
    )  # fmt: skip
    ws.data.write_table("polars", frame)
    ws.data.write_table("arrow", frame.drop("cat").to_arrow())
    kept = frame.with_columns(pl.col("u64").cast(pl.Int64), pl.col("cat", "nothing").cast(pl.String))
    assert_frame_equal(ws.data.read_table("polars"), kept)
    assert_frame_equal(ws.data.read_table("arrow"), kept.drop("cat"))
    types = {c.name: c.type for c in ws.data.get_table("polars").columns}
    assert types["utc"] == "datetime[UTC]"
    assert types["naive"] == "datetime"
    assert types["struct"] == "struct<a: int64, b: list<string>>"


def test_delta_readers_open_the_folder_at_any_version(ws: hs.Workspace) -> None:
    versions = [
        (PEOPLE, "append"), (pl.DataFrame({"id": [3], "name": ["cid"]}), "upsert"), (PEOPLE.head(1), "append"),
        (pl.DataFrame({"at": [datetime(2013, 1, 1)]}), "overwrite"), (PEOPLE.head(0), "overwrite"),
    ]  # fmt: skip
    for frame, mode in versions:
        ws.data.write_table("t", frame, mode=mode, key=["id"] if mode == "upsert" else None)
    folder = str(ws.home / "tables" / "t")
    assert DeltaTable(folder).version() == len(versions)
    assert DeltaTable(folder, version=0).to_pyarrow_table().num_rows == 0
    for number in range(1, len(versions) + 1):
        ours = ws.data.read_table("t", version=number)
        assert_frame_equal(pl.read_delta(folder, version=number), ours, check_row_order=False)
        assert DeltaTable(folder, version=number).to_pyarrow_table().num_rows == ours.height
        assert DeltaTable(folder, version=number).count() == ours.height


def test_a_foreign_clean_up_takes_nothing_away(ws: hs.Workspace) -> None:
    ws.data.write_table("t", PEOPLE)
    ws.data.write_table("t", PEOPLE.head(1), mode="overwrite")
    delta = DeltaTable(str(ws.home / "tables" / "t"))
    assert delta.vacuum(dry_run=False) == []
    delta.cleanup_metadata()
    assert ws.data.read_table("t", version=1).height == 3
    assert DeltaTable(str(ws.home / "tables" / "t"), version=1).to_pyarrow_table().num_rows == 3


def test_a_commit_by_another_program_stops_the_next_write(ws: hs.Workspace) -> None:
    ws.data.write_table("t", PEOPLE)
    folder = ws.home / "tables" / "t"
    PEOPLE.write_delta(str(folder), mode="append")
    with pytest.raises(Conflict, match="another program wrote version 2") as raised:
        ws.data.write_table("t", PEOPLE)
    assert ws.data.read_table("t").height == 3
    Path(raised.value.facts["path"]).unlink()
    assert ws.data.write_table("t", PEOPLE).version == 2


@pytest.mark.parametrize(
    ("frame", "options", "says"),
    [
        ({"id": [1]}, {}, "lacks 'name'"),
        ({"id": [1], "nam": ["x"]}, {}, "rename 'nam' to 'name'"),
        ({"id": [1], "name": ["x"], "age": [1]}, {}, "has 'age', which the table does not"),
        ({"id": ["1"], "name": ["x"]}, {}, "column 'id' of table 't' is int64; the frame has string"),
        ({"id": [1.5], "name": ["x"]}, {}, "column 'id' of table 't' is int64; the frame has float64"),
        ({"id": [None], "name": ["x"]}, {"mode": "upsert"}, "the key column 'id' holds nulls"),
        ({"id": [1], "name": ["x"]}, {"key": ["name"]}, r"has the key \['id'\], not \['name'\]"),
        ({"id": [1], "name": ["x"]}, {"mode": "overwrite", "key": ["no"]}, "key column 'no' is not among"),
        ({"a": [1], "A": [1]}, {"mode": "overwrite"}, "'a' and 'A' differ only in case"),
        ({"t": pl.Series([1], dtype=pl.Duration)}, {"mode": "overwrite"}, "which a table cannot keep"),
        ({"u": pl.Series([2**63], dtype=pl.UInt64)}, {"mode": "overwrite"}, "a value is too large to be kept"),
        ({}, {"mode": "overwrite"}, "at least one column"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    ws: hs.Workspace, frame: dict[str, object], options: dict[str, object], says: str
) -> None:
    ws.data.write_table("t", PEOPLE, key=["id"])
    with pytest.raises(InvalidInput, match=says):
        ws.data.write_table("t", pl.DataFrame(frame), **options)
    assert ws.data.get_table("t").version == 1
    assert len(list((ws.home / "tables" / "t").glob("*.parquet"))) == 1


def test_numbers_are_converted_when_every_value_survives(ws: hs.Workspace) -> None:
    ws.data.write_table("t", pl.DataFrame({"x": [1.5], "n": [1]}))
    ws.data.write_table("t", pl.DataFrame({"n": pl.Series([2.0, None]), "x": [2, 3]}))
    assert ws.data.read_table("t").rows() == [(1.5, 1), (2.0, 2), (3.0, None)]


def test_an_upsert_needs_a_key_and_keeps_the_last_of_equal_rows(ws: hs.Workspace) -> None:
    twice = pl.DataFrame({"id": [1, 1], "name": ["old", "new"]})
    with pytest.raises(InvalidInput, match="needs the columns that identify a row"):
        ws.data.write_table("t", twice, mode="upsert")
    ws.data.write_table("t", twice, mode="upsert", key=["id"])
    assert ws.data.read_table("t").rows() == [(1, "new")]


def test_an_upsert_leaves_files_without_its_keys_alone(ws: hs.Workspace) -> None:
    ws.data.write_table("t", pl.DataFrame({"id": [1, 2]}), key=["id"])
    ws.data.write_table("t", pl.DataFrame({"id": [3, 4]}))
    before = {p.name for p in (ws.home / "tables" / "t").glob("*.parquet")}
    ws.data.write_table("t", pl.DataFrame({"id": [4, 5]}), mode="upsert")
    uris = {Path(u).name for u in DeltaTable(str(ws.home / "tables" / "t")).file_uris()}
    assert len(uris & before) == 1
    assert sorted(ws.data.read_table("t")["id"]) == [1, 2, 3, 4, 5]


def test_unknown_things_are_named(any_ws: hs.Workspace) -> None:
    any_ws.data.write_table("flights", PEOPLE)
    with pytest.raises(NotFound, match=r"no table 'flight'.*\n.*tables here: flights"):
        any_ws.data.read_table("flight")
    with pytest.raises(NotFound, match=r"no table 'flight'"):
        any_ws.data.list_versions("flight")
    with pytest.raises(NotFound, match=r"no version 2.*\n.*newest is 1"):
        any_ws.data.read_table("flights", version=2)
    with pytest.raises(InvalidInput, match=r"count from 1"):
        any_ws.data.read_table("flights", version=0)
    with pytest.raises(InvalidInput, match=r"no column 'nam'.*\n.*did you mean 'name'"):
        any_ws.data.read_table("flights", columns=["nam"])
    assert any_ws.data.read_table("flights", columns=["name", "id"]).columns == ["name", "id"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "con", "x" * 129, "a\\b", "a%2fb", "tab\n"])
def test_names_that_could_leave_the_folder_are_refused(ws: hs.Workspace, name: str) -> None:
    with pytest.raises(InvalidInput, match="not a valid"):
        ws.data.write_table(name, PEOPLE)
    assert list(ws.home.glob("tables/*")) == []


def test_damage_is_named_not_read(ws: hs.Workspace) -> None:
    ws.data.write_table("t", PEOPLE)
    assert ws.data.verify_table("t") == 1
    [file] = (ws.home / "tables" / "t").glob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(Corrupt, match=f"{file.name} has {len(whole) - 10} bytes instead of {len(whole)}"):
        ws.data.read_table("t")
    file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    with pytest.raises(Corrupt, match="is damaged"):
        ws.data.verify_table("t")
    file.unlink()
    with pytest.raises(Corrupt, match="is missing"):
        ws.data.read_table("t")


def test_reading_and_writing_inside_a_run_is_lineage(any_ws: hs.Workspace) -> None:
    with acting_run("r1"):
        any_ws.data.write_table("a", PEOPLE)
        any_ws.data.read_table("a")
        scan_table(any_ws, "a", version=1)
    any_ws.data.read_table("a")
    rows = any_ws.db.read(lambda c: c.execute(facts.select()).all())
    assert {(r.run_id, r.direction, r.kind, r.asset, r.version) for r in rows} == {
        ("r1", "write", "table", "a", "1"),
        ("r1", "read", "table", "a", "1"),
    }
    assert any_ws.data.list_versions("a")[0].run_id == "r1"


def test_a_lazy_frame_reads_only_what_it_needs(ws: hs.Workspace) -> None:
    ws.data.write_table("t", PEOPLE)
    lazy = scan_table(ws, "t", columns=["id"])
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.filter(pl.col("id") > 1).collect()["id"].to_list() == [2, 3]


def test_the_key_of_an_overwritten_table_goes_with_its_columns(ws: hs.Workspace) -> None:
    ws.data.write_table("t", PEOPLE, key=["id"])
    ws.data.write_table("t", pl.DataFrame({"x": [1]}), mode="overwrite")
    assert ws.data.get_table("t").key == []


def test_pyarrow_tables_with_wider_types_are_read_back_equal(ws: hs.Workspace) -> None:
    table = pa.table({"big": pa.array(["x", None], pa.large_string()), "ns": pa.array([1, None], pa.timestamp("ns"))})
    ws.data.write_table("t", table)
    assert ws.data.read_table("t").schema == {"big": pl.String, "ns": pl.Datetime("us")}
