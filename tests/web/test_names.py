"""Names that are programs, on every page of the real server in a real browser: shown as text, run nowhere.

A run, a model, a table may be named by anybody who may write. What a page shows of them must not act, whatever the
place: text, titles, links, addresses, charts, notes, previews.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import polars as pl
import pytest

import homeostat as hs
from homeostat.server.app import make_app
from tests.web.conftest import PATIENCE_MS, Watched, slow_down
from tests.web.mock_server import serving

EVIL = [
    "<img src=x onerror=__act()>", "'\"><svg onload=__act()>", "</script><script>__act()</script>",
    "javascript:__act()//", "{{constructor.constructor('__act()')()}}", "[x](javascript:__act())",
    "![x](x\"onerror=\"__act())", "<iframe srcdoc='<script>parent.__act()</script>'>", "__proto__", "constructor",
    "\u202e<b onmouseover=__act()>", "data:text/html,<script>__act()</script>",
]  # fmt: skip
NOTE = "\n\n".join([*EVIL, "<a href='javascript:__act()'>x</a>", "[y]: javascript:__act()", "<details open ontoggle=__act()>"])

LINKS = """[...document.querySelectorAll("*")].flatMap(e => ["href", "src", "action", "formaction", "xlink:href"]
    .map(name => e.getAttribute(name)).filter(Boolean).map(value => new URL(value, document.baseURI).href))"""


def fill(ws: hs.Workspace) -> list[str]:
    """Something of everything with such names; the pages that show it."""
    runs: list[str] = []
    for number, evil in enumerate(EVIL):
        run = ws.tracking.create_run(
            evil, name=evil, params={evil: evil, "lr": number}, tags={evil: evil, "mlflow.note.content": NOTE}
        ).id
        runs.append(run)
        for step in range(3):
            ws.tracking.log_metrics(run, {evil: step / 2, "loss": 1 / (1 + step)}, step=step)
        for name in (f"x{number}.html", f"x{number}.svg", f"x{number}.md", f"x{number}.csv", f"x{number}.txt"):
            ws.tracking.log_artifact(run, name, f"<svg xmlns='http://www.w3.org/2000/svg' onload='__act()'/>{NOTE}".encode())
        ws.tracking.finish_run(run, error=evil if number % 2 else None, status="failed" if number % 2 else "finished")
    for evil in EVIL[:3]:
        ws.tracking.save_view(evil, f"q={quote(evil)}")
    # These keys are like paths.
    tags = {EVIL[0]: EVIL[0], **{f"k{number}": evil for number, evil in enumerate(EVIL)}}
    ws.registry.create_model("m", description=NOTE, tags=tags)
    made = ws.registry.register_source("m", f"runs:/{runs[0]}/x", tags=tags, description=NOTE)
    ws.registry.set_alias("m", "champion", made.version, reason=EVIL[0])
    frame = pl.DataFrame({evil: [evil, None] for evil in EVIL})
    ws.data.write_table("t", frame, message=EVIL[0], source=EVIL[1], description=NOTE)
    found = ["/", "/runs", "/models", "/data", "/models/m", f"/models/m?version={made.version}", "/data/t"]
    found += [f"/runs/{run}" for run in runs[:1]]
    found += [f"/runs?q={quote(evil)}" for evil in EVIL[:1]] + [f"/runs/{quote(EVIL[0], safe='')}"]
    strange = [quote(evil, safe="") for evil in EVIL]
    found += [f"/runs?group=params.{strange[0]}", f"/runs?order=-m:{strange[1]}&columns={strange[0]}&show={strange[0]}"]
    found += [f"/models/{strange[1]}", f"/data/{strange[2]}", f"/loop/{strange[0]}", f"/{strange[3]}"]
    found += [f"/runs/{runs[number]}?file=x{number}.{kind}" for number, kind in enumerate(["html", "svg", "md", "csv"])]
    several = ",".join(runs[:4])
    return [*found, f"/runs?compare={several}", f"/runs?compare={several}&x={strange[0]}&m={strange[0]}&gp={strange[1]}"]


@pytest.fixture
def pages(browser: Any, tmp_path: Path) -> Iterator[tuple[Any, list[str]]]:
    with hs.open(tmp_path / "home") as ws, serving(make_app(ws)) as address:
        context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE_MS)
        yield context, fill(ws)
        context.close()


def test_no_name_acts_on_any_page(pages: tuple[Any, list[str]]):
    context, addresses = pages
    seen: set[str] = set()
    acted: list[str] = []
    refused: list[str] = []
    context.expose_function("__act", lambda *_: acted.append("acted"))
    page = context.new_page()
    slow_down(context, page)
    watched = Watched(page)
    page.add_init_script("addEventListener('securitypolicyviolation', e => console.error(`CSP ${e.violatedDirective} ${e.sample}`))")
    page.on("console", lambda message: refused.append(message.text) if message.text.startswith("CSP") else None)
    page.on("dialog", lambda dialog: acted.append(dialog.message))
    for address in addresses:
        page.goto(address)
        page.locator("main, body:not(:has(#root))").first.wait_for()  # the page, or the server's own word
        page.wait_for_load_state("networkidle")  # nothing is asked for half a second: it asks step by step
        watched.quiet()
        for summary in page.locator("summary").all():
            summary.click(force=True)
        watched.quiet()
        text = page.locator("body").inner_text()
        seen |= {evil for evil in EVIL if evil in text}
        hrefs = page.evaluate(LINKS)
        assert {urlsplit(href).scheme for href in hrefs} <= {"http", "https", "blob"}, address
        strange = page.evaluate("[...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
                                ".filter(a => a.name.startsWith('on')).map(a => a.name)")
        assert strange == [], address
        assert acted == [], address
        assert refused == [], address
        assert page.evaluate("document.querySelectorAll('main script, main iframe[srcdoc]').length") == 0, address
    assert len(seen) > len(EVIL) // 2, seen  # they were there to act
    assert page.evaluate("({}).acted === undefined && Object.keys(Object.prototype).length === 0")
