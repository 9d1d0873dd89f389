"""Pages of deployments on a phone: nothing but lines of code is wider than the screen, and nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.conftest import PATIENCE_MS, Watched, said, soon, worded
from tests.web.mock_server import Mock

# What scrolls sideways, or sticks out of the page.
WIDER = """() => [document.documentElement, ...document.querySelectorAll("body *")]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && e.tagName !== "PRE" && !e.closest("svg"))
    .filter(e => e === document.documentElement || /auto|scroll/.test(getComputedStyle(e).overflowX))
    .map(e => `${e.tagName} ${e.className} ${e.getAttribute("aria-label")} ${e.scrollWidth}`)"""


@pytest.fixture
def phone(browser: Any, url: str) -> Iterator[Watched]:
    context = browser.new_context(
        base_url=url, viewport={"width": 390, "height": 844}, color_scheme="dark", reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page())
    yield watched
    context.close()
    assert watched.unexpected == []


def test_a_deployment_fits_with_its_tables_in_blocks(phone: Watched) -> None:
    page = phone.page
    page.goto("/deployments/flight-delay?request=1f0c0000")
    versions = page.get_by_role("region", name="Figures by version")
    said(versions, "v4 champion", "v3 shadow")
    soon(
        page,
        lambda: versions.locator("td").first.evaluate("e => getComputedStyle(e, '::before').content"),
        '"a second"',
    )
    said(page.get_by_role("region", name="History"), "generation 9", "canary raised")
    said(page.get_by_role("region", name="What was answered", exact=True), "shadow")
    said(page.get_by_role("region", name="v3 beside what was answered"), "probability")
    page.locator(".options-card").get_by_role("button", name="change").click()
    page.get_by_role("form", name="How it is served").get_by_label("timeout_ms").fill("5000")
    page.get_by_label("carrier, row 2").fill("AA")
    page.get_by_role("button", name="ask", exact=True).click()
    said(page.locator(".answered"), "v4")
    phone.quiet()
    soon(page, lambda: page.evaluate(WIDER), [])


def test_a_graph_is_a_list_of_what_a_request_goes_through(phone: Watched) -> None:
    page = phone.page
    page.goto("/deployments/delay-by-season")
    graph = page.get_by_role("list", name="Graph of models")
    said(graph, "airports", "switch", "otherwise", "flight-delay")
    worded(graph.locator(".member b").first, ["airports"])
    graph.get_by_role("link", name="model flight-delay").last.focus()
    phone.quiet()
    soon(page, lambda: page.evaluate(WIDER), [])
    page.keyboard.press("Enter")
    said(page.locator("h1"), "flight-delay")


def test_where_nobody_has_asked_a_sentence_stands_instead_of_charts(phone: Watched, mock: Mock) -> None:
    mock.busy = False
    page = phone.page
    page.goto("/deployments/delay-by-season")
    said(page.get_by_role("region", name="Live"), "Nobody has asked in this time", "ask by hand below")
    assert page.locator(".line-chart").count() == 0
