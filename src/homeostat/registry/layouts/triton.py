"""Triton's model repository: a folder a model, `config.pbtxt` in it, and a numbered folder a version.

Its default is to serve the newest version, so that is the one that is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.paths import inside
from homeostat.registry.layouts.found import Form, FoundModel, existing, read_small, text
from homeostat.registry.layouts.textproto import read_textproto

FILE = "config.pbtxt"
# By the backend, or by its older name as a platform: what the model's file is, and what it is called.
_KNOWN: dict[str, tuple[Form, str]] = {
    "": ("onnx", "model.onnx"), "onnxruntime": ("onnx", "model.onnx"), "onnxruntime_onnx": ("onnx", "model.onnx"),
    "pytorch": ("torch", "model.pt"), "pytorch_libtorch": ("torch", "model.pt"),
}  # fmt: skip


def numbered(folder: Path) -> list[Path]:
    """The folders of versions, oldest first."""
    return sorted((path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()), key=_number)


def read_triton(folder: Path, name: str) -> FoundModel:
    """The newest version of a model in Triton's layout. Raises: InvalidInput, also for backends of others than ONNX and
    PyTorch."""
    config: dict[str, list[Any]] = {}
    if (folder / FILE).is_file():
        config = read_textproto(read_small(folder / FILE).decode(errors="replace"))
    known = _one(config, "name") or name
    backend = _one(config, "backend") or _one(config, "platform")
    if backend not in _KNOWN:
        raise InvalidInput(
            f"'{known}' runs on Triton's backend '{backend}'; only ONNX and PyTorch models are read here",
            hint="export the model as ONNX",
        )
    versions = numbered(folder)
    if not versions:
        raise InvalidInput(f"'{known}' has no numbered folder with a version in it")
    newest = versions[-1]
    form, usual = _KNOWN[backend]
    path = existing(inside(newest, _one(config, "default_model_filename") or usual), FILE)
    return FoundModel(name=known, layout="triton", form=form, file=path, version=newest.name)


def _one(config: dict[str, list[Any]], field: str) -> str:
    return text(config.get(field, [""])[-1])


def _number(path: Path) -> int:
    return int(path.name)
