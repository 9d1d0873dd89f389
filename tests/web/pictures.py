"""Draws the pictures of the README from the test records.

python -m tests.web.pictures        # needs Chromium and Pillow
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.web.conftest import ARGS, chromium
from tests.web.mock_server import Mock, make_app, serving

FOLDER = Path(__file__).parents[2] / "docs" / "images"
SIZE = {"width": 1420, "height": 1130}
MOST_BYTES = 300_000


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as p, serving(make_app(Mock())) as url:
        browser = p.chromium.launch(executable_path=chromium(), args=ARGS)
        for theme in ("light", "dark"):
            context = browser.new_context(viewport=SIZE, device_scale_factor=1.6, color_scheme=theme)
            page = context.new_page()
            page.goto(f"{url}/loop/flight-delay")
            page.locator(".link-state.live").wait_for()
            page.evaluate("document.fonts.ready.then(() => true)")
            path = FOLDER / f"loop-{theme}.png"
            # Few enough colours for a palette, a third of the bytes; MAXCOVERAGE keeps the rare ones.
            drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            drawn.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(
                path, optimize=True
            )
            context.close()
            size = path.stat().st_size
            print(path.name, f"{size / 1000:.0f} KB")
            if size > MOST_BYTES:
                raise SystemExit(f"{path.name} is larger than {MOST_BYTES // 1000} KB")


if __name__ == "__main__":
    main()
