"""What belongs to a run comes whole, however its texts look, on each database."""

from __future__ import annotations

import json
import math
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core import statements
from homeostat.tracking.mlflow import details, shapes

AWKWARD = [
    "plain", "", " ", "ünïcode ☃ 𝄞", 'a "quote"', "a\\b", "\\u0001", '\\"', "\\\\", "C:\\new\\table", '{"a": ["b\\n"]}',
    "line\nline\r\n\ttab", "".join(map(chr, range(6, 32))), "\x7f\x85\u2028",
]  # fmt: skip
MARKS = ["\x01", "a\x02b", "\x03\x04\x05", '\x05"\\', "\x01\x04\x01"]


def shown(ws: hs.Workspace, *run_ids: str) -> list[dict[str, Any]]:
    """The data of runs as the protocol has it."""

    def read(c: Any) -> bytes:
        seqs = [shapes.run_row(c, run_id)[0] for run_id in run_ids]
        made = shapes.encoded(c, seqs)
        return b"[" + b",".join(made[seq] for seq in seqs) + b"]"

    return [run["data"] for run in json.loads(ws.db.read(read))]


def pairs(data: dict[str, Any], part: str) -> dict[str, Any]:
    entries = data.get(part, [])
    found = {entry["key"]: entry["value"] for entry in entries}
    assert len(found) == len(entries)
    return found


@pytest.mark.parametrize("texts", [AWKWARD, [*AWKWARD, *MARKS]], ids=["any", "with what parts them"])
def test_parameters_and_tags_come_as_they_were_given(any_ws: hs.Workspace, texts: list[str]):
    given_ = {f'key "{number}" \\': text for number, text in enumerate(texts)}
    odd = any_ws.tracking.create_run(name="odd", params=given_, tags=given_)
    even = any_ws.tracking.create_run(name='"even"', params={"a": "b"})
    bare = any_ws.tracking.create_run(name="bare")
    first, second, third = shown(any_ws, odd.id, even.id, bare.id)
    assert pairs(first, "params") == given_
    assert pairs(first, "tags") == given_ | {"mlflow.runName": "odd"}
    assert pairs(second, "params") == {"a": "b"}
    assert pairs(second, "tags") == {"mlflow.runName": '"even"'}
    assert third.keys() == {"tags"}


def test_last_points_come_with_every_number(any_ws: hs.Workspace):
    values = {
        "a": 0.1 + 0.2, "b": -1e-300, "c": 5e-324, "d": 1.7976931348623157e308, "e": 3.0, "f": -0.0, "NaN": 1.5,
        "nan": math.nan, "Infinity": math.inf, '"value":NaN,': -math.inf, "big": 2.0**53,
    }  # fmt: skip
    run = any_ws.tracking.create_run()
    any_ws.tracking.log_metrics(run.id, values, step=-3, at_ms=1_700_000_000_001)
    others = any_ws.tracking.create_run()
    any_ws.tracking.log_metrics(others.id, {"only": 1.25}, step=2**62, at_ms=7)
    measured, other = shown(any_ws, run.id, others.id)
    assert pairs(measured, "metrics") == values | {"nan": "NaN", "Infinity": "Infinity", '"value":NaN,': "-Infinity"}
    assert {(each["step"], each["timestamp"]) for each in measured["metrics"]} == {(-3, 1_700_000_000_001)}
    assert other["metrics"] == [{"key": "only", "value": 1.25, "timestamp": 7, "step": 2**62}]


def test_a_key_that_was_kept_with_a_mark_comes_whole(any_ws: hs.Workspace):
    run = any_ws.tracking.create_run()
    any_ws.tracking.log_metrics(run.id, {"x": 1.5, "y": 2.5}, at_ms=7)
    any_ws.db.read(lambda _: None)
    any_ws.db.write(
        lambda c: statements.change(c, "update tracking_series set key = ? where key = 'x'", ("x\x02\x04\x01",))
    )
    assert pairs(shown(any_ws, run.id)[0], "metrics") == {"x\x02\x04\x01": 1.5, "y": 2.5}


kept = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.text(
    '\x01\x02\x03\x04\x05\\"' + string.ascii_letters[:3], max_size=8
)


@given(st.lists(st.dictionaries(kept, kept, min_size=1, max_size=4), min_size=1, max_size=4))
def test_joined_texts_are_told_apart_or_refused(runs: list[dict[str, str]]):
    texts = tuple("\x04".join(f"{key}\x01{value}" for key, value in run.items()) for run in runs)
    made = details.rewritten(details.PARAMS, sum(map(len, runs)), texts)
    if made is not None:
        assert [json.loads(each) for each in made] == [
            [{"key": key, "value": value} for key, value in run.items()] for run in runs
        ]
    else:
        assert any(
            mark in text for run in runs for entry in run.items() for text in entry for mark in "\x01\x02\x03\x04\x05"
        )
