"""File trees: folders as versions, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

import homeostat as hs
from homeostat.core.context import acting_run
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.lineage_facts import table as facts
from homeostat.data import fetch_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    (root / "deep").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"a")
    (root / "deep" / "b.bin").write_bytes(bytes(range(256)))
    return root


def test_a_folder_comes_back_at_every_version(any_ws: hs.Workspace, folder: Path, tmp_path: Path) -> None:
    data = any_ws.data
    first = data.write_tree("images", str(folder), message="two files")
    assert data.write_tree("images", str(folder)) == first  # nothing has changed
    (folder / "a.txt").write_bytes(b"changed")
    second = data.write_tree("images", str(folder), once="x")
    (folder / "a.txt").write_bytes(b"again")
    assert data.write_tree("images", str(folder), once="x") == second
    assert (first.version, second.version, second.bytes) == (1, 2, 7 + 256)
    assert sorted(first.files) == ["a.txt", "deep/b.bin"]
    assert data.read_tree_file("images", "a.txt", version=1) == b"a"
    assert data.read_tree_file("images", "a.txt") == b"changed"
    out = fetch_tree(any_ws, "images", tmp_path / "out", version=1)
    assert (out / "a.txt").read_bytes() == b"a"
    assert (out / "deep" / "b.bin").read_bytes() == bytes(range(256))
    [summary] = data.list_trees()
    assert (summary.name, summary.version, summary.files) == ("images", 2, 2)


def test_trees_are_lineage(any_ws: hs.Workspace, folder: Path) -> None:
    with acting_run("r1"):
        any_ws.data.write_tree("images", str(folder))
        any_ws.data.read_tree("images")
    rows = any_ws.db.read(lambda c: c.execute(facts.select()).all())
    assert {(r.direction, r.kind, r.asset, r.version) for r in rows} == {
        ("write", "tree", "images", "1"),
        ("read", "tree", "images", "1"),
    }


def test_what_cannot_be_a_tree_is_refused(ws: hs.Workspace, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        ws.data.write_tree("t", str(tmp_path / "no"))
    with pytest.raises(InvalidInput, match="not a valid tree name"):
        ws.data.write_tree("../t", str(folder))
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="is a link"):
        ws.data.write_tree("t", str(folder))
    assert ws.data.list_trees() == []
    with pytest.raises(NotFound, match=r"there is no tree 't'"):
        ws.data.read_tree("t")
    (folder / "link").unlink()
    ws.data.write_tree("t", str(folder))
    for path in ("no", "../a.txt", "deep", "/etc/passwd", ""):
        with pytest.raises(NotFound, match="has no file"):
            ws.data.read_tree_file("t", path)
    with pytest.raises(NotFound, match="there is no version 2 of tree 't'"):
        ws.data.read_tree("t", version=2)
    with pytest.raises(InvalidInput, match="count from 1"):
        ws.data.read_tree("t", version=0)
