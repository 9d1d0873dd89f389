"""Wheels made in a moment, so that environments can be made without a network."""

from __future__ import annotations

import base64
import hashlib
import importlib
import zipfile
from importlib import metadata
from pathlib import Path


def write_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A wheel of pure Python with these files."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    listed = ""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            listed += f"{path},sha256={digest},{len(text.encode())}\n"
        wheel.writestr(f"{info}/RECORD", f"{listed}{info}/RECORD,,\n")


def borrow(folder: Path, links: Path, name: str) -> None:
    """A wheel of an installed distribution, by a link to its modules alone: nothing of what lies beside them."""
    links.mkdir(parents=True, exist_ok=True)
    (links / name).symlink_to(Path(importlib.import_module(name).__file__ or "").parent)
    write_wheel(folder, name, metadata.version(name), {f"{name}_borrowed.pth": f"{links}\n"})
