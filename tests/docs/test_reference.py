"""What the code knows better than a writer is written from the code, and nothing is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from homeostat.cli.main import COMMANDS
from homeostat.core.settings import SETTINGS
from homeostat.events import EVENTS
from homeostat.server.app import all_verbs
from tools import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXT = {page.name: page.read_text("utf-8") for page in PAGES}


def test_the_reference_says_what_the_code_says():
    assert [page.name for page in reference.stale()] == [], "run `python tools/reference.py`"


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("verbs.md", [f"### {v.slice}.{v.name}" for v in all_verbs()]),
        ("settings.md", [s.variable for s in SETTINGS]),
        ("events.md", [f"`{name}`" for name in EVENTS]),
        ("cli.md", [f"## homeostat {name}" for name in COMMANDS]),
    ],
)
def test_nothing_is_left_out(page: str, names: list[str]):
    assert [name for name in names if name not in TEXT[page]] == []


def test_every_page_is_in_the_table_of_contents():
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert {page.relative_to(ROOT / "docs").as_posix() for page in PAGES} == listed


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors that headings of a page get."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s.-]", "", heading.lower())).replace(".", "").strip("-")
        for heading in headings
    } | {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
