"""Pages for every eye, hand and screen: contrast, names, focus, width, and nothing the policy would refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Watched, soon
from tests.web.test_pages import EVERY, settle

CSS = Path(__file__).parents[2] / "web" / "src" / "styles" / "tokens.css"

LEGIBLE = Path(__file__).with_name("legible.js").read_text(encoding="utf-8")


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def themes() -> dict[str, dict[str, str]]:
    text = CSS.read_text(encoding="utf-8")
    blocks = re.findall(r"(:root[^{]*)\{([^}]*)\}", text)
    found: dict[str, dict[str, str]] = {}
    for selector, body in blocks:
        found.setdefault(selector.strip(), tokens(body))
    dark, system = found[':root[data-theme="dark"]'], found[":root:not([data-theme])"]
    return {"light": found[":root"], "dark": dark, "system": system}


def test_tokens_have_contrast_and_dark_is_one_theme() -> None:
    known = themes()
    assert known["dark"] == known["system"], "the chosen and the system's dark are the same colours"
    assert known["light"].keys() == known["dark"].keys(), "a token of one theme is a token of the other"
    for theme in ("light", "dark"):
        t = known[theme]
        pairs = [(ink, paper) for ink in ("text", "muted", "accent", "ok", "warn", "bad")
                 for paper in ("bg", "surface", "raised")]  # fmt: skip
        pairs += [
            ("ok", "ok-bg"),
            ("warn", "warn-bg"),
            ("bad", "bad-bg"),
            ("accent", "accent-bg"),
            ("on-accent", "accent"),
        ]
        ratios = {pair: round(contrast(t[pair[0]], t[pair[1]]), 2) for pair in pairs}
        assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}, theme


@pytest.mark.parametrize("path", EVERY)
def test_a_page_is_named_ordered_legible_in_both_themes_and_fits_a_phone(watched: Watched, path: str) -> None:
    page = watched.page
    page.add_init_script(LEGIBLE)
    page.goto(path)
    settle(page)
    watched.quiet()
    for complaints in ("legible.unnamed()", "legible.structure()", "legible.contrast()"):
        soon(page, lambda asked=complaints: page.evaluate(asked), [])
    page.emulate_media(color_scheme="dark")
    soon(page, lambda: page.evaluate("legible.contrast()"), [])
    for width in (1920, 1290, 1200, 1000, 800, 390):
        page.set_viewport_size({"width": width, "height": 844})
        watched.quiet()  # charts measure themselves one frame after the window
        soon(page, lambda: page.evaluate("legible.overflowing()"), [])
        soon(page, lambda most=width: page.evaluate("document.documentElement.scrollWidth") <= most, True)

    def within_reach_of_a_thumb() -> list[bool]:
        boxes = [place.bounding_box() for place in page.locator(".places a").all()]
        return [box["height"] >= 44 and box["y"] + box["height"] <= 844 for box in boxes]

    soon(page, within_reach_of_a_thumb, [True] * 5)


def test_focus_is_always_seen(watched: Watched) -> None:
    page = watched.page
    page.add_init_script(LEGIBLE)
    page.goto("/loop/flight-delay")
    settle(page)
    watched.quiet()
    for _ in range(40):
        page.keyboard.press("Tab")
        soon(page, lambda: page.evaluate("legible.focusUnseen()"), None)


def test_nothing_is_asked_of_another_host(page: Any, url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/loop/flight-delay", "/runs", "/models/flight-delay", "/data/flights", "/deployments/flight-delay"):
        page.goto(path)
        settle(page)
    assert [address for address in asked if not address.startswith(url)] == []
