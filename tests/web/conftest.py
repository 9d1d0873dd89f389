"""A real browser on the built pages: found where it is, skipped by name where it is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.mock_server import Mock, make_app, serving

BUILT = Path(__file__).parents[2] / "src" / "homeostat" / "web" / "index.html"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
]  # fmt: skip


def chromium() -> str | None:
    """The browser: HOMEOSTAT_CHROMIUM, else the first of the usual names on PATH."""
    named = os.environ.get("HOMEOSTAT_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pages not tested")
    path = chromium()
    if path is None:
        pytest.skip("Chromium is not installed (or name one in HOMEOSTAT_CHROMIUM): pages not tested")
    if not BUILT.is_file():
        pytest.skip("the pages are not built (`make web`): pages not tested")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def mock() -> Mock:
    return Mock()


@pytest.fixture
def url(browser: Any, mock: Mock) -> Iterator[str]:
    with serving(make_app(mock)) as address:
        yield address


def counted(locator: Any, many: int) -> None:
    """Waits until there are so many: what is fetched or measured comes a moment after what is around it."""
    from playwright.sync_api import expect

    expect(locator).to_have_count(many, timeout=15_000)


def worded(locator: Any, texts: list[str]) -> None:
    """Waits until these are the texts, in order."""
    from playwright.sync_api import expect

    expect(locator).to_have_text(texts, timeout=15_000)


class Watched:
    """A page that remembers what it complained of: script errors, console errors, refused styles and scripts."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._heard)
        page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " e => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`))"
        )

    def _heard(self, message: Any) -> None:
        # That nothing is recorded of where a thing came from is an answer, though browsers log every 404.
        if message.type in ("error", "warning") and "/lineage/of?" not in message.location.get("url", ""):
            self.complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")


@pytest.fixture
def watched(browser: Any, url: str) -> Iterator[Watched]:
    """A page of 1440 × 900 in light mode that must not complain."""
    context = browser.new_context(
        base_url=url, viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    watched = Watched(context.new_page())
    yield watched
    context.close()
    assert watched.complaints == []


@pytest.fixture
def page(watched: Watched) -> Any:
    return watched.page
