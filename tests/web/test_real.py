"""The pages on the real server and a real, empty workspace: the lines they ask for work, and are seen at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import homeostat as hs
from homeostat.server.app import make_app
from tests.web.conftest import Watched, counted, said, soon
from tests.web.mock_server import serving


def given() -> dict[str, Any]:
    """What the lines take for granted: an estimator that was fitted, and rows."""
    rows = np.random.default_rng(0).normal(size=(100, 3)).astype("float32")
    return {"estimator": LogisticRegression().fit(rows, rows[:, 0] > 0), "rows": rows}


@pytest.fixture
def url(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEOSTAT_HOME", "./.homeostat")
    (tmp_path / "flights.csv").write_text("flight,delay\n1,12.5\n2,-3\n", encoding="utf-8")
    with hs.open("./.homeostat") as ws, serving(make_app(ws)) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "then"),
    [("/runs", ["1", "0.760"]), ("/models", ["1", "1"]), ("/data", ["1", "2"])],
    ids=["runs", "models", "data"],
)
def test_the_lines_of_an_empty_page_work_and_are_seen_at_once(page: Any, path: str, then: list[str]) -> None:
    page.goto(path)
    page.locator(".link-state.live").wait_for()
    lines = page.locator(".empty pre").inner_text()
    exec(compile(lines, f"the lines of {path}", "exec"), given())
    # A run that is seen while it goes on is told as such first.
    soon(page, lambda: page.locator(".say b").all_inner_texts()[:2], then)
    page.locator("table, .rows").first.wait_for()


def test_runs_are_deleted_undone_restored_and_a_view_kept_for_everybody(page: Any) -> None:
    with hs.open("./.homeostat") as ws:
        ws.tracking.create_run(name="ash", kind="trial")
        birch = ws.tracking.create_run(name="birch").id
        ws.tracking.create_run(name="cedar")
        page.goto("/runs?kind=run&order=name")
        page.locator(".row").nth(1).wait_for()
        page.get_by_role("checkbox", name="Select all that are loaded").check()
        page.keyboard.press("#")
        page.locator(".toast", has_text="2 runs deleted").wait_for()
        assert [run.name for run in ws.tracking.search_runs().runs] == ["ash"]
        page.get_by_role("button", name="undo").click()
        page.locator(".toast", has_text="2 runs restored").wait_for()
        page.locator(".row").nth(1).wait_for()
        ws.tracking.delete_run(birch)
        page.get_by_role("button", name="deleted").click()
        page.locator(".found", has_text="1 run").wait_for()
        page.locator("summary", has_text="views").click()
        page.get_by_label("Name of the view").fill("thrown away")
        page.keyboard.press("Enter")
        page.locator(".toast", has_text="kept as").wait_for()
        (view,) = ws.tracking.list_views()
        assert (view.name, view.query) == ("thrown away", "kind=run&order=name&lifecycle=deleted")
        page.get_by_role("link", name="birch").click()
        page.get_by_role("button", name="restore").click()
        page.get_by_role("button", name="delete", exact=True).wait_for()
        assert len(ws.tracking.search_runs().runs) == 3


def test_a_version_is_compared_given_an_alias_and_approved(page: Any) -> None:
    estimator, rows = given().values()
    with hs.open("./.homeostat") as ws:
        for version in (1, 2):
            hs.log_model(ws, "delay", estimator, sample=rows, metrics={"auc": 0.7 + version / 100})
        ws.registry.set_alias("delay", "champion", 1)
        # What a model looks at takes seconds of another process, and is not asked here.
        page.route("**/explain/importance*", lambda route: route.fulfill(json=[]))
        page.goto("/models/delay?version=2")
        page.locator(".version-diff", has_text="better").wait_for()
        actions = page.get_by_role("form", name="What to do with v2")
        actions.get_by_label("Alias").fill("champion")
        actions.get_by_label("Reason").fill("the best yet")
        actions.get_by_role("button", name="point it here (now v1)").click()
        page.locator(".toast", has_text="champion points at v2").wait_for()
        page.locator(".history", has_text="the best yet").wait_for()
        page.get_by_role("button", name="undo").click()
        page.locator(".toast", has_text="champion points at v1 again").wait_for()
        assert ws.registry.get_version("delay", alias="champion").version == 1
        ws.registry.set_rule("delay", "champion", needed=1, own=True)
        page.reload()
        actions.get_by_label("Alias").fill("champion")
        actions.get_by_label("Reason").fill("the best yet")
        actions.get_by_role("button", name="ask to point it here").click()
        page.locator(".requests", has_text="waits for 1 more approval").wait_for()
        page.get_by_role("button", name="approve").click()
        page.locator(".requests", has_text="No request waits.").wait_for()
        assert ws.registry.get_version("delay", alias="champion").version == 2
        page.get_by_role("button", name="verify it").click()
        page.locator(".history", has_text="entries are what was written").wait_for()


def test_the_configuration_of_an_empty_loop_can_be_applied(page: Any) -> None:
    page.goto("/")
    lines = page.locator(".empty pre").inner_text()
    config, command = lines.split("$ ")
    assert command == "homeostat apply"
    with hs.open("./.homeostat") as ws:
        ws.loop.apply(config)
    page.reload()
    page.locator("h1", has_text="delay").wait_for()
    counted(page.locator(".vars tbody tr"), 2)
    page.locator(".vars", has_text="of 1,000 rows").wait_for()


def test_a_table_asks_for_expectations_that_can_be_declared(page: Any) -> None:
    with hs.open("./.homeostat") as ws:
        ws.data.import_file("flights", "flights.csv")
        page.goto("/data/flights")
        lines = page.locator(".code pre").inner_text()
        exec(compile(lines, "the lines of /data/flights", "exec"), {"ws": ws})
        ws.data.import_file("flights", "flights.csv")
        page.locator(".pill.ok").first.wait_for()
        page.locator("main", has_text=re.compile("checks? holds?")).wait_for()


def test_a_page_that_is_not_there_says_so_in_the_servers_words(watched: Watched) -> None:
    watched.expect("404")
    watched.page.goto("/models/nobody")
    said(watched.page.get_by_role("alert").first, "nobody")
