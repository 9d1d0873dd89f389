"""A real browser on the built pages: found where it is, skipped by name where it is not."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.mock_server import Mock, make_app, serving

# A test never waits so long, but where something is broken: a machine may be busy with anything else.
PATIENCE_MS = 60_000
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

    expect(locator).to_have_count(many, timeout=PATIENCE_MS)


def worded(locator: Any, texts: list[str]) -> None:
    """Waits until these are the texts, in order."""
    from playwright.sync_api import expect

    expect(locator).to_have_text(texts, timeout=PATIENCE_MS)


def said(locator: Any, *words: str) -> None:
    """Waits until all of these stand in one thing, as one reads it."""
    from playwright.sync_api import expect

    for some in words:
        expect(locator).to_contain_text(some, use_inner_text=True, timeout=PATIENCE_MS)


def valued(locator: Any, value: str) -> None:
    """Waits until this is what a field holds."""
    from playwright.sync_api import expect

    expect(locator).to_have_value(value, timeout=PATIENCE_MS)


def pressed(button: Any) -> None:
    """Waits until a button that stays down is down."""
    from playwright.sync_api import expect

    expect(button).to_have_attribute("aria-pressed", "true", timeout=PATIENCE_MS)


def titled(page: Any, title: str) -> None:
    """Waits until the tab is called so."""
    from playwright.sync_api import expect

    expect(page).to_have_title(title, timeout=PATIENCE_MS)


def addressed(page: Any, *parts: str, without: str | None = None) -> None:
    """Waits until the address holds these parts, and not that one."""
    soon(page, lambda: [part for part in parts if part not in page.url], [])
    if without is not None:
        soon(page, lambda: without in page.url, False)


def soon(page: Any, read: Callable[[], Any], wanted: Any) -> None:
    """Waits until what is read is what is wanted: for whatever no other word of these waits for."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while (found := read()) != wanted and time.monotonic() < deadline:
        page.wait_for_timeout(20)  # the page and whoever listens to it go on meanwhile
    assert found == wanted


def slow_down(context: Any, page: Any) -> None:
    """Makes the browser as many times slower as HOMEOSTAT_WEB_SLOWER says: what a busy machine would make of it."""
    if rate := float(os.environ.get("HOMEOSTAT_WEB_SLOWER", "0")):
        context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": rate})


FRAMES = "n => new Promise(done => { const f = () => n-- ? requestAnimationFrame(f) : done(); f() })"


class Watched:
    """A page that remembers what it complained of: script errors, console errors, refused styles and scripts."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._expected: tuple[str, ...] = ()
        self._asked = 0
        self._awaited: set[Any] = set()
        page.on("request", self._asks)
        page.on("requestfinished", lambda request: self._awaited.discard(request))
        page.on("requestfailed", lambda request: self._awaited.discard(request))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._heard)
        # What goes away by itself stays: nobody knows when a busy test comes to look.
        page.add_init_script(
            "{ const own = setTimeout; window.setTimeout = (f, ms, ...more) => own(f, ms === 1e4 ? 6e5 : ms, ...more) }"
        )
        page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " e => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`))"
        )

    def expect(self, *words: str) -> None:
        """What complaints may hold, whenever they come: browsers log what was refused."""
        self._expected = words

    def heard(self, word: str, times: int = 1) -> None:
        """Waits until it has complained so often in such words."""
        soon(self.page, lambda: sum(word in complaint for complaint in self.complaints), times)

    @property
    def unexpected(self) -> list[str]:
        return [complaint for complaint in self.complaints if not any(word in complaint for word in self._expected)]

    def quiet(self) -> None:
        """Waits until nothing is asked any more (the event stream stays open) and what was answered is drawn."""

        def drawn() -> bool:
            asked = self._asked
            self.page.evaluate(FRAMES, 4)
            return not self._awaited and self._asked == asked

        soon(self.page, drawn, True)

    def _asks(self, request: Any) -> None:
        if "/api/v1/events" not in request.url:
            self._asked += 1
            self._awaited.add(request)

    def _heard(self, message: Any) -> None:
        # That nothing is recorded of where a thing came from is an answer, though browsers log every 404.
        if message.type in ("error", "warning") and "/lineage/of?" not in message.location.get("url", ""):
            self.complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")


@pytest.fixture
def watched(browser: Any, url: str) -> Iterator[Watched]:
    """A page of 1440 × 900 in light mode that must not complain but of what is expected."""
    context = browser.new_context(
        base_url=url, viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page())
    slow_down(context, watched.page)
    yield watched
    context.close()
    assert watched.unexpected == []


@pytest.fixture
def page(watched: Watched) -> Any:
    return watched.page
