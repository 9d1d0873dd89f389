"""What is shipped: light enough, compressed, nothing inline that the policy would refuse; and the pages' own tests."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import BUILT

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
needs_build = pytest.mark.skipif(not BUILT.is_file(), reason="the pages are not built (`make web`)")


def node(*words: str) -> str:
    """What a command of the pages' tools says; skips where they are not installed."""
    program = shutil.which("node")
    if program is None or not (WEB / "node_modules").is_dir():
        pytest.skip("node or web/node_modules is not there (`make web`): the pages' own tests not run")
    done = subprocess.run([program, *words], cwd=WEB, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pure_functions_pass_their_own_tests() -> None:
    assert "passed" in node("node_modules/vitest/vitest.mjs", "run")


@needs_build
def test_first_view_stays_within_its_budget() -> None:
    assert "first view" in node("scripts/size.mjs")


@needs_build
def test_every_asset_has_its_compressed_twins() -> None:
    assets = BUILT.parent / "assets"
    texts = [path for path in assets.iterdir() if path.suffix in (".js", ".css", ".svg")]
    assert len(texts) > 5
    for path in texts:
        assert gzip.decompress(path.with_name(path.name + ".gz").read_bytes()) == path.read_bytes()
        assert path.with_name(path.name + ".br").stat().st_size < path.stat().st_size
        assert re.search(r"-[\w-]{8}\.\w+$", path.name), "named by its content, so that browsers may keep it for good"


@needs_build
def test_index_holds_no_inline_script_or_style_and_can_be_moved_below_a_prefix() -> None:
    html = BUILT.read_text(encoding="utf-8")
    assert re.search(r"<script(?![^>]*\bsrc=)", html) is None
    assert "<style" not in html and " style=" not in html and " onload=" not in html
    assert html.count('<base href="/" />') == 1
    for address in re.findall(r'(?:src|href)="([^"]+)"', html.replace('<base href="/" />', "")):
        assert address.startswith("./assets/")


def test_lock_names_no_registry() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
