from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.core.records import to_json
from homeostat.registry import Field, OnnxReport, Package, Signature
from homeostat.registry.files import put_package


def write_package(folder: Path, content: str = "tree") -> Path:
    """A package with nothing learnt in it: what the registry itself looks at."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Package(
        format=1, flavor="lightgbm", file="model.txt", sample=None, environment=["lightgbm==4.7.0"],
        onnx=OnnxReport(available=False, agrees=False, tolerance=1e-5, reason="not tried"),
        signature=Signature(
            inputs=[Field(name="a", dtype="FP64")], outputs=[Field(name="probability", dtype="FP32")]
        ),
        created_by="test",
    )  # fmt: skip
    (folder / "model.json").write_text(to_json(manifest))
    (folder / "model.txt").write_text(content)
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., str]:
    """Puts a package into a workspace: `package(ws, "content")` gives its digest."""

    def put(ws: hs.Workspace, content: str = "tree") -> str:
        return put_package(ws, write_package(tmp_path / f"package-{abs(hash(content))}", content))

    return put
