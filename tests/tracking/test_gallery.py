"""What runs logged to be looked at, listed for pages."""

from __future__ import annotations

import json

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput


def test_media_are_listed_by_run_in_the_order_of_steps(ws: hs.Workspace):
    with hs.run(ws=ws, machine=False, surroundings=False) as first:
        first.log_text("note", "later", step=5)
        first.log_image("seen", [[0.0, 1.0]], step=2, caption="two")
    with hs.run(ws=ws, machine=False, surroundings=False) as second:
        second.log_histogram("weights", [1, 2, 2], bins=2)
    ws.tracking.create_run(id="none")
    found = ws.tracking.list_media([first.id, second.id, "none", "gone"])
    assert sorted(found) == sorted([first.id, second.id])
    assert [(m.kind, m.key, m.step, m.caption) for m in found[first.id]] == [
        ("image", "seen", 2, "two"), ("text", "note", 5, ""),
    ]  # fmt: skip
    assert found[second.id][0].facts["count"] == 3


def test_images_that_mlflow_kept_are_among_them(ws: hs.Workspace):
    ws.tracking.create_run(id="r")
    for path in (
        "images/dog~left+step+7+timestamp+1700000000000+0a-b1.png",
        "images/dog~left+step+6+timestamp+1700000000000+0a-b1.png",
        "images/dog~left+step+7+timestamp+1700000000000+0a-b1+compressed.webp",
        "images/other.png",
    ):
        ws.tracking.log_artifact("r", path, b"x")
    found = ws.tracking.list_media(["r"])["r"]
    assert [(m.key, m.step, m.at_ms) for m in found] == [("dog/left", n, 1_700_000_000_000) for n in (6, 7)]


@pytest.mark.parametrize("index", [b"{", b'"x"', b"[1, {}]", json.dumps([{"path": "p", "kind": "virus"}]).encode()])
def test_an_index_that_is_none_has_no_entries(ws: hs.Workspace, index: bytes):
    ws.tracking.create_run(id="r")
    ws.tracking.log_artifact("r", "media/index.json", index)
    assert ws.tracking.list_media(["r"]) == {}
    with pytest.raises(InvalidInput, match="51 runs"):
        ws.tracking.list_media([f"r{n}" for n in range(51)])
