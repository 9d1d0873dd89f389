"""The files of versions, unpacked once however many want them at the same moment."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import homeostat as hs
from homeostat.core.errors import Corrupt
from homeostat.serving.unpacked import unpack
from tests.serving.models import register_logistic


def test_who_is_second_leaves_what_the_first_has_put(
    ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models of one package are loaded at once: what one of them reads is not taken away from it."""
    version = register_logistic(ws, tmp_path, "delay", np.ones(3))
    materialise = ws.blobs.materialise_tree
    first: list[os.stat_result] = []

    def meanwhile(digest: str, destination: str | os.PathLike[str]) -> Path:
        if not first:
            first.append(Path(".").stat())
            first[0] = (unpack(ws, version) / "model.json").stat()
        return materialise(digest, destination)

    monkeypatch.setattr(ws.blobs, "materialise_tree", meanwhile)
    folder = unpack(ws, version)
    assert (folder / "model.json").stat().st_ino == first[0].st_ino
    assert [path.name for path in folder.parent.iterdir()] == [version.digest]


def test_damaged_files_are_unpacked_again(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = register_logistic(ws, tmp_path, "delay", np.ones(3))
    file = unpack(ws, version) / "model.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert (unpack(ws, version) / "model.onnx").read_bytes() == whole
    assert [path.name for path in file.parent.parent.iterdir()] == [version.digest]
    file.unlink()
    monkeypatch.setattr(ws.blobs, "materialise_tree", lambda digest, destination: Path(destination))
    with pytest.raises(Corrupt, match="not those that were registered"):
        unpack(ws, version)
