"""Connectors: whole files in, or a message that names the file, the line and the way out; never half a file."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import sqlite3
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import HomeostatError, InvalidInput, NotFound, TooLarge
from homeostat.core.settings import Settings
from homeostat.data.connectors.csv import read_csv
from homeostat.data.connectors.packed import gunzip, unzip

CSV = b'id,name,late\n1,"ann, the first",3\n2,NA,\n3,"two\nlines",-4.5\n'
ROWS = [(1, "ann, the first", 3.0), (2, None, None), (3, "two\nlines", -4.5)]


def zipped(data: bytes, name: str = "t.csv", **more: bytes) -> bytes:
    """The same bytes at every time of day: they stand in the names of tests, which every worker must find alike."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {name: data, **more}.items():
            archive.writestr(zipfile.ZipInfo(member), content, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


def parquet() -> bytes:
    sink = io.BytesIO()
    pl.DataFrame(ROWS, schema=["id", "name", "late"], orient="row").write_parquet(sink)
    return sink.getvalue()


JSON = json.dumps([dict(zip(("id", "name", "late"), row, strict=True)) for row in ROWS]).encode()
LINES = b"\n".join(json.dumps(dict(zip(("id", "name", "late"), row, strict=True))).encode() for row in ROWS)


@pytest.mark.parametrize(
    ("filename", "data"),
    [
        ("t.csv", CSV), ("t.csv", CSV.replace(b"\n", b"\r\n", 1)), ("t.csv", b"\xef\xbb\xbf" + CSV),
        ("t.csv", CSV.rstrip()), ("t.csv.zip", zipped(CSV)), ("t.csv.gz", gzip.compress(CSV, mtime=0)),
        ("t.tsv", CSV.replace(b"id,name,late", b"id\tname\tlate").replace(b"1,", b"1\t").replace(b",3", b"\t3")
         .replace(b"2,NA,", b"2\tNA\t").replace(b"3,", b"3\t").replace(b",-4", b"\t-4")),
        ("T.PARQUET", parquet()), ("t.json", JSON), ("t.jsonl", LINES), ("t.ndjson", LINES + b"\n\n"),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_rows(ws: hs.Workspace, tmp_path: Path, filename: str, data: bytes) -> None:
    path = tmp_path / filename
    path.write_bytes(data)
    version = ws.data.import_file("t", str(path))
    assert (version.rows, version.source, version.operation) == (3, filename, "overwrite")
    assert ws.data.read_table("t").rows() == ROWS
    assert ws.data.import_file("t", str(path), once="x").version == 2
    assert ws.data.import_file("t", str(path), once="x").version == 2


@pytest.mark.parametrize(
    ("filename", "data", "says"),
    [
        ("t.csv", b"", "t.csv is empty"),
        ("t.csv", b" \n\n", "t.csv is empty"),
        ("t.csv", CSV[:-7], "after line 3: .*opened and never closed"),
        ("t.csv", b"a,b,c\n1,2,3\n4,5\n", "line 3 has 2 fields where the header has 3: the file ends in the middle"),
        (
            "t.csv",
            b"a,b,c\n1,2\n4,5,6\n",
            "line 2 has 2 fields where the header has 3: a separator or a quote is missing",
        ),
        ("t.csv", b"a,b\n1,2\n3,4,5\n", "line 3 has 3 fields where the header has 2: a text with a separator"),
        ("t.csv", b'a,b\n1,"x\n2,y\n', "after line 1: .*a quote is misplaced, or opened and never closed"),
        ("t.csv", b'a,b\n1,2\n3,"x" y\n', "after line 2: .*a quote is misplaced"),
        ("t.csv", b"\n\na,b\n\n1\n", "line 5 has 1 fields where the header has 2"),
        ("t.csv", b"a,\xc3\xa9\n1,2\n\n3\n4,5\n", "line 4 has 1 fields"),
        ("t.csv", b'a,b\n1,"x ""quoted"" y"\n2,"z', "after line 2: .*opened and never closed"),
        ("t.csv", b"a,b,a\n1,2,3\n", "line 1: the column 'a' occurs twice"),
        ("t.csv", b"a,b\n1,caf\xe9\n", "line 2: byte 0xe9 is not utf-8"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "line 1: byte 0x89 is not utf-8"),
        ("t.csv.zip", zipped(CSV)[:-20], "t.csv.zip is not a whole zip file"),
        ("t.csv.zip", zipped(CSV)[:60], "t.csv.zip is not a whole zip file"),
        ("t.csv.zip", CSV, "t.csv.zip is not a whole zip file"),
        ("t.csv.zip", zipped(CSV, **{"u.csv": CSV}), r"holds 2 files \(t.csv, u.csv\)"),
        ("t.csv.zip", zipped(b"a,b\n1\n2,3\n"), "t.csv in t.csv.zip line 2 has 1 fields"),
        ("t.csv.gz", gzip.compress(CSV, mtime=0)[:-9], "t.csv.gz is not a whole gzip file"),
        ("t.csv.gz", CSV, "t.csv.gz is not a whole gzip file"),
        ("t.parquet", parquet()[:-1], "t.parquet is cut off"),
        ("t.parquet", parquet()[:4], "t.parquet is cut off"),
        ("t.parquet", b"PAR1" + b"\x00" * 40 + b"PAR1", "t.parquet is a damaged Parquet file"),
        ("t.parquet", CSV, "t.parquet does not begin like a Parquet file"),
        ("t.json", b"", "t.json is empty"),
        ("t.json", JSON[:-5], "t.json is not whole JSON"),
        ("t.json", b"[1, 2]", "element 0 of the array is not an object"),
        ("t.json", LINES[:-4], "t.json line 3 is not a whole JSON object"),
        ("t.json", b'{"a": 1}\n{"a": \n', "t.json line 2 is not a whole JSON object"),
        ("t.json", b'[{"a": 1}, {"a": "x"}]', "t.json: column 'a' holds text, but 1 in row 1"),
        ("t.json", b'[{"a": 1}, {"a": [2]}]', "t.json: the values of a column are of different kinds"),
        ("t.json", b"[]", "t.json holds no objects"),
        ("t.bin", b"", "does not tell the file's format"),
    ],
)
def test_what_is_not_whole_is_refused_and_leaves_nothing(
    ws: hs.Workspace, tmp_path: Path, filename: str, data: bytes, says: str
) -> None:
    path = tmp_path / filename
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=says):
        ws.data.import_file("t", str(path))
    assert ws.data.list_tables() == []
    assert not list(ws.home.glob("tables/**/*.parquet"))


@given(st.integers(min_value=0, max_value=len(zipped(CSV * 40)) - 1))
def test_a_zip_cut_off_anywhere_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match="not a whole zip file"):
        unzip(zipped(CSV * 40)[:size], "t.zip")


@given(st.integers(min_value=0, max_value=len(gzip.compress(CSV * 40, mtime=0)) - 1))
def test_a_gzip_cut_off_anywhere_is_refused(size: int) -> None:
    data = gzip.compress(CSV * 40, mtime=0)[:size]
    if not data:
        assert gunzip(data, "t.gz") == b""  # an empty file; the CSV reader then says that it is empty
        return
    with pytest.raises(InvalidInput, match="not a whole gzip file"):
        gunzip(data, "t.gz")


@given(st.integers(min_value=0, max_value=len(parquet()) - 1))
def test_a_parquet_cut_off_anywhere_is_refused(size: int) -> None:
    from homeostat.data.connectors.parquet import read_parquet

    with pytest.raises(InvalidInput, match=r"cut off|does not begin like"):
        read_parquet(parquet()[:size], "t.parquet")


cells = st.text(st.characters(codec="ascii", exclude_characters="\r\x00"), max_size=8)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=8), st.data())
def test_csv_rows_survive_and_a_lost_cell_never_becomes_a_null(rows: list[list[str]], data: st.DataObject) -> None:
    import csv

    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    text = sink.getvalue().encode()
    read = read_csv(text, "t", null_values=[], types={"a": "string", "b": "string"})
    assert [list(row) for row in read.rows()] == rows
    plain = [row for row in rows if not set('\n",') & set("".join(row))]
    lines = [",".join(f'"{cell}"' for cell in row) for row in [["a", "b"], *plain]]
    cut = data.draw(st.integers(min_value=1, max_value=max(len(lines) - 1, 1)))
    if cut < len(lines):
        lines[cut] = lines[cut].split(",")[0]
        with pytest.raises(InvalidInput, match=f"t line {cut + 1} has 1 fields"):
            read_csv("\n".join(lines).encode() + b"\n", "t")


def test_types_are_inferred_from_every_row_or_declared() -> None:
    rows = "\n".join(["n,t,d,flag,code", *["1,2013-01-01T10:00:00Z,2013-01-01,true,007"] * 2000])
    last = "\n1.5,2013-01-01T10:00:00Z,2013-01-01,false,008\n"
    types = {"t": "datetime[UTC]", "d": "date", "flag": "boolean", "code": "string"}
    frame = read_csv((rows + last).encode(), "t.csv", types=types)
    assert frame.row(-1) == (1.5, datetime(2013, 1, 1, 10, tzinfo=UTC), date(2013, 1, 1), False, "008")


@pytest.mark.parametrize(
    ("types", "says"),
    [
        ({"n": "int64"}, "t.csv line 3: 'x' in column 'n' is not int64"),
        ({"n": "datetime[UTC]"}, "t.csv line 2: '1' in column 'n' is not"),
        ({"no": "int64"}, "has no column 'no' to give a type"),
        ({"n": "integer"}, "'integer' is not a column type"),
    ],
)
def test_a_value_of_another_type_is_placed(types: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read_csv(b"n,m\n1,2\nx,3\n", "t.csv", types=types)


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\n1,2\n\n3,4\n\n\n", [(1, 2), (3, 4)]),
        (b"\r\n\na,b\r\n1,2\r\n\r\n", [(1, 2)]),
        (b"a\n1\n\n3\n", [(1,), (None,), (3,)]),
        (b"a,b\n", []),
        (b"a,b", []),
        (b"a,b\r1,2\r", [(1, 2)]),
        (b'a,b\n1,x"y\n2,z"\n', [(1, 'x"y'), (2, 'z"')]),
        (b'a,b\n1,"x\n\ny"\n\n2,z\n', [(1, "x\n\ny"), (2, "z")]),
    ],
)
def test_blank_lines_odd_quotes_and_line_ends(data: bytes, rows: list[tuple[object, ...]]) -> None:
    assert read_csv(data, "t").rows() == rows


def test_columns_without_name_are_named_by_their_place() -> None:
    frame = read_csv(b",x,\n007,1,a\n", "t", types={"column_1": "string"})
    assert frame.to_dicts() == [{"column_1": "007", "x": 1, "column_3": "a"}]


def test_a_misfit_is_placed_by_its_line_not_its_row() -> None:
    with pytest.raises(InvalidInput, match="t line 6: 'x' in column 'n' is not int64"):
        read_csv(b'n,s\n1,"two\nlines"\n\n2,b\nx,c\n', "t", types={"n": "int64"})


def test_other_encodings_separators_and_nulls(ws: hs.Workspace) -> None:
    data = "näme;x\nzoë;-\n".encode("latin-1")
    ws.data.import_bytes("t", data, separator=";", encoding="latin-1", null_values=["-"], filename="f.csv")
    assert ws.data.read_table("t").to_dicts() == [{"näme": "zoë", "x": None}]
    ws.data.import_bytes("t", "a,b\n1,NA\n".encode("utf-16"), null_values=[])
    assert ws.data.read_table("t").to_dicts() == [{"a": 1, "b": "NA"}]
    with pytest.raises(InvalidInput, match="'nope' is not an encoding"):
        ws.data.import_bytes("t", b"a\n", encoding="nope")


@pytest.mark.parametrize(("whole", "format"), [(parquet(), "parquet"), (zipped(CSV), "csv.zip"), (CSV, "csv")])
def test_no_damage_is_a_fault_of_ours_or_ends_the_process(ws: hs.Workspace, whole: bytes, format: str) -> None:
    chance = random.Random(format)
    for _ in range(120):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 4])):
            at = chance.randrange(len(broken) - 8)
            evil = [b"\xff" * 8, bytes(8), b"\x80" * 8, (1 << 62).to_bytes(8, "little"), chance.randbytes(1)]
            piece = chance.choice(evil)
            broken[at : at + len(piece)] = piece
        with contextlib.suppress(HomeostatError):
            ws.data.import_bytes("t", bytes(broken), format=format)


@pytest.mark.parametrize(
    ("data", "format", "encoding"),
    [
        (CSV, "csv", "punycode"), (CSV, "csv", "undefined"), (CSV, "csv", "zlib"), (CSV, "csv", ""),
        (b'[{"a": {}}]', "json", "utf-8"), (b'[{"a": {"b": {}}}]', "json", "utf-8"),
        (b'[{"a": [{}]}]', "json", "utf-8"),
        (b'[{"a":' + b"[" * 5000 + b"]" * 5000 + b"}]", "json", "utf-8"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "json", "utf-8"),
    ],
)  # fmt: skip
def test_what_no_table_can_hold_is_told_as_such(ws: hs.Workspace, data: bytes, format: str, encoding: str) -> None:
    with pytest.raises(InvalidInput):
        ws.data.import_bytes("t", data, format=format, encoding=encoding)
    assert ws.data.list_tables() == []


def test_a_body_that_unpacks_too_large_is_refused(ws: hs.Workspace, tmp_path: Path) -> None:
    """Over HTTP a few kilobytes may become ten times the largest body at most; a file of this machine may be larger."""
    ws.settings = Settings({"HOMEOSTAT_MAX_BODY_MB": "1"})
    columns = ",".join(f"c{i}" for i in range(100))
    text = f"{columns}\n" + ("0," * 99 + "0\n") * 60_000
    bombs = {"csv.zip": zipped(text.encode()), "csv.gz": gzip.compress(text.encode(), mtime=0)}
    sink = io.BytesIO()
    pl.select(pl.repeat(0, 2_000_000, dtype=pl.Int64).alias("a")).write_parquet(sink)
    bombs["parquet"] = sink.getvalue()
    for format, bomb in bombs.items():
        assert len(bomb) < 1 << 20
        with pytest.raises(TooLarge, match="unpacks to"):
            ws.data.import_bytes("t", bomb, format=format)
    file = tmp_path / "bomb.parquet"
    file.write_bytes(bombs["parquet"])
    assert ws.data.import_file("t", str(file)).rows == 2_000_000


def test_what_unpacks_too_large_is_refused() -> None:
    with pytest.raises(TooLarge, match="unpacks to more than 1,000 bytes"):
        unzip(zipped(b"0" * 100_000), "bomb.zip", limit=1000)
    with pytest.raises(TooLarge, match="unpacks to more than 1,000 bytes"):
        gunzip(gzip.compress(b"0" * 100_000, mtime=0), "bomb.gz", limit=1000)


def test_a_missing_file_is_named(ws: hs.Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        ws.data.import_file("t", str(tmp_path / "no.csv"))
    with pytest.raises(InvalidInput, match="is a folder"):
        ws.data.import_file("t", str(tmp_path))


def test_a_query_on_an_sqlite_file(ws: hs.Workspace, tmp_path: Path) -> None:
    path = tmp_path / "source.db"
    with sqlite3.connect(path) as source:
        source.execute("create table t (id integer, name text, late real)")
        source.executemany("insert into t values (?, ?, ?)", ROWS)
    source.close()
    version = ws.data.import_query("t", str(path), "select * from t order by id")
    assert ws.data.read_table("t").rows() == ROWS
    assert version.source == "source.db: select * from t order by id"
    for query, says in (
        ("select * from nope", "no such table: nope"), ("selec 1", "syntax error"),
        ("select 1 as a, 2 as a", "two columns of one name"), ("delete from t", "readonly|gives no rows"),
    ):  # fmt: skip
        with pytest.raises(HomeostatError, match=says):
            ws.data.import_query("t", str(path), query)
    with pytest.raises(NotFound, match="there is no file"):
        ws.data.import_query("t", str(tmp_path / "no.db"), "select 1")
    assert ws.data.get_table("t").version == 1
    with sqlite3.connect(path) as source:
        assert source.execute("select count(*) from t").fetchone() == (3,)
    source.close()


def test_a_query_on_postgresql_never_shows_its_password(any_ws: hs.Workspace) -> None:
    if not any_ws.url.startswith("postgresql"):
        with pytest.raises(HomeostatError, match="does not answer|not installed") as raised:
            any_ws.data.import_query("t", "postgresql+psycopg://ann:hunter2@127.0.0.1:1/x", "select 1")
        assert "hunter2" not in str(raised.value)
        return
    url = any_ws.url.replace("postgresql://", "postgresql+psycopg://", 1)
    any_ws.data.import_query("t", url, "select g as id, g * 1.5 as x from generate_series(1, 3) g")
    assert [tuple(map(float, row)) for row in any_ws.data.read_table("t").rows()] == [(1, 1.5), (2, 3.0), (3, 4.5)]
