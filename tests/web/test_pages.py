"""Every page against known records: what it says first, its figures, and that it stays whole in every condition."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.web import figures
from tests.web.conftest import Watched
from tests.web.mock_server import Mock

EVERY = [
    "/loop/flight-delay",
    "/loop/flight-delay?decision=dec-promote-v4",
    "/runs",
    "/runs?compare=run-train-4-tune,run-train-4-trial-03,run-train-4-trial-07,run-train-3-trial-01",
    "/runs/run-train-4",
    "/runs/run-train-4-tune",
    "/runs/run-train-4-trial-03",
    "/models",
    "/models/flight-delay",
    "/data",
    "/data/flights",
    "/deployments",
    "/deployments/flight-delay",
    "/deployments/flight-delay?request=1f0c0000",
    "/deployments/delay-by-season",
]


def say(page: Any) -> str:
    """The sentence a page opens with."""
    return page.locator(".say").inner_text()


def bold(page: Any) -> list[str]:
    return page.locator(".say b").all_inner_texts()


def settle(page: Any) -> None:
    """Wait until the page is drawn and nothing is asked any more (the event stream stays open)."""
    page.locator(".say").wait_for()
    page.locator(".skeleton").first.wait_for(state="detached")
    page.evaluate("document.fonts.ready.then(() => true)")


def test_loop_opens_with_its_sentence_and_shows_the_ring(page: Any) -> None:
    page.goto("/")
    assert "All six essential variables hold" in say(page)
    assert bold(page) == ["v4", "+0.032 AUC"]
    assert page.locator("h1").inner_text() == "flight-delay"
    ring = page.locator(".ring")
    for words in ("336,776 rows", "54 · no leak", "11 of 11 gates", "labels 96 % in", "0.742", "± 0.008", "≥ 0.72"):
        assert words in ring.text_content()
    assert page.title() == "flight-delay · Loop · Homeostat"


def test_essential_variables_have_value_interval_limit_and_a_state_in_words(page: Any) -> None:
    page.goto("/loop/flight-delay")
    rows = page.locator(".vars tbody tr")
    rows.first.wait_for()
    told = [re.sub(r"\s+", " ", text) for text in rows.all_inner_texts()]
    assert len(told) == 6
    assert "AUC" in told[0] and "0.742 ± 0.008" in told[0] and "≥ 0.72" in told[0] and "within" in told[0]
    assert "worst: YV" in told[1]
    assert "6 ms" in told[3] and "≤ 20 ms" in told[3]
    assert "freshness of weather" in told[5] and "1 h 40" in told[5] and "at risk" in told[5]
    assert page.locator(".vars .pill .icon").count() == 6


def test_one_cursor_moves_through_the_whole_page(page: Any) -> None:
    page.goto("/loop/flight-delay")
    chart = page.locator(".quality-chart")
    chart.focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    readout = page.locator(".readout")
    readout.wait_for()
    point = figures.quality()[-30]
    assert f"{point['live']:.3f}" in readout.inner_text()
    assert f"+{point['live'] - point['frozen']:.3f}" in readout.inner_text()
    assert page.locator(".vars thead").inner_text().split("room")[1].strip().startswith("on ")
    assert page.locator(".vars .cursor").count() == 6


def test_a_mark_on_the_chart_opens_its_decision(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.get_by_role("button", name=re.compile("promoted v4")).first.click()
    opened = page.locator(".decision.open")
    opened.locator(".recomputed.ok").wait_for()
    text = opened.inner_text()
    for words in ("v4 is better where it counts", "Recomputed from its record: the same decision", "+0.022 to +0.032",
                  "+0.061 AUC (+0.054 to +0.068) on 27,010 rows", "min_gain=0.005", "flights@90"):  # fmt: skip
        assert words in text
    assert "decision=dec-promote-v4" in page.url


def test_many_inputs_that_moved_are_told_in_part_and_shown_on_request(page: Any) -> None:
    page.goto("/loop/flight-delay?decision=dec-retrain-aug")
    rows = page.locator(".evidence tbody tr")
    rows.first.wait_for()
    assert rows.count() == 7
    page.get_by_role("button", name="show 6 more inputs that moved").click()
    assert rows.count() == 13


def test_quiet_reviews_are_folded_and_can_be_shown(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.locator(".decision").first.wait_for()
    folded = page.get_by_role("button", name=re.compile("quiet reviews"))
    before, groups = page.locator(".decision").count(), folded.count()
    folded.first.click()
    folded.nth(groups - 1).wait_for(state="detached")
    assert page.locator(".decision").count() > before


def test_months_tell_the_year_as_figures(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.get_by_role("button", name="months", exact=True).click()
    september = page.locator(".quality tbody tr", has_text="Sep 2013")
    september.get_by_text("promoted v4").wait_for()
    assert re.search(r"\+0\.0\d\d", september.inner_text())
    assert page.locator(".quality tbody tr").count() == 9


def test_span_is_kept_in_the_address(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.get_by_role("button", name="8 weeks").click()
    assert page.url.endswith("?span=8w")
    page.reload()
    assert page.get_by_role("button", name="8 weeks").get_attribute("aria-pressed") == "true"


def test_an_event_is_seen_without_reloading(page: Any, mock: Mock) -> None:
    page.goto("/loop/flight-delay")
    page.locator(".link-state.live").wait_for()
    loop = mock.loops[0]
    loop["state"], loop["sentence"] = "out", "AUC is out: 0.701 against 0.72. A challenger is being trained."
    mock.emit("variable_changed", model="flight-delay", variable="auc", was="within")
    page.locator(".say", has_text="0.701").wait_for()
    assert page.locator(".title .pill").inner_text() == "out"
    assert mock.asked.count("loop/status") == 2, "asked once for the page and once for the event"


def test_runs_sort_filter_and_keep_it_in_the_address(page: Any) -> None:
    page.goto("/runs")
    settle(page)
    assert "1,341" in bold(page) and "0.781" in bold(page)
    page.get_by_title("Sort by auc").click()
    page.locator(".row", has_text="train-v3").first.wait_for()
    assert "order=-m%3Aauc" in page.url
    page.get_by_role("combobox", name="Find runs").fill("run.kind == 'trial' and run.metrics.auc > 0.78")
    page.locator(".row", has_not_text="trial").first.wait_for(state="detached")
    values = [float(text) for text in page.locator(".row .metric-cell").all_inner_texts()[::2]]
    assert values and values == sorted(values, reverse=True) and min(values) >= 0.78
    page.reload()
    assert (
        page.get_by_role("combobox", name="Find runs").input_value() == "run.kind == 'trial' and run.metrics.auc > 0.78"
    )


def test_a_long_table_draws_only_what_is_in_sight_and_fetches_the_rest(page: Any) -> None:
    page.goto("/runs?kind=run")
    settle(page)
    rows = page.locator(".rows")
    for _ in range(12):
        rows.evaluate("e => { e.scrollTop = e.scrollHeight }")
        page.wait_for_timeout(80)
    page.locator(".found", has_text=re.compile(r"^1,201 runs$")).wait_for()
    assert page.locator(".row").count() < 80


def test_a_row_opens_by_keyboard(page: Any) -> None:
    page.goto("/runs")
    settle(page)
    page.locator(".rows").focus()
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**/runs/run-now")
    assert "going on since" in say(page)


def test_run_shows_steps_and_trials(page: Any) -> None:
    page.goto("/runs/run-train-4")
    settle(page)
    assert bold(page) == ["41 s", "0.754", "0.461"]
    page.locator(".steps li").first.wait_for()
    assert "cached" in page.locator(".steps li", has_text="collect").inner_text()
    page.locator(".steps a", has_text="tune").click()
    page.locator(".trials .trial.top").wait_for()
    assert page.locator(".trials .trial").count() == 20


def test_run_that_failed_shows_why(page: Any) -> None:
    page.goto("/runs?q=run.status == 'failed'")
    settle(page)
    page.locator(".row a").first.click()
    assert "known only after departure" in page.locator(".run-error").inner_text()


def test_model_shows_gates_agreement_signature_and_lineage(page: Any) -> None:
    page.goto("/models")
    settle(page)
    assert bold(page) == ["2", "6", "1"]
    page.get_by_role("link", name="flight-delay").click()
    settle(page)
    assert bold(page) == ["5", "2", "v4", "0.754"]
    text = page.locator("main").inner_text()
    for words in ("7 of 7 passed", "agrees", "2.1e−7", "features FP32 [n, 28]", "lightgbm==4.7.0", "v3 in shadow"):
        assert words in text
    page.get_by_role("button", name="Version 5, refused").click()
    assert page.url.endswith("?version=5")
    failed = page.locator(".gates li.bad")
    failed.first.wait_for()
    assert failed.count() == 2 and "better than champion" in failed.first.inner_text()
    page.locator(".graph .node").first.wait_for()
    assert page.locator(".graph .node").count() == 8
    page.locator(".graph a", has_text="weather").click()
    page.wait_for_url("**/data/weather")


def test_table_shows_checks_cleaning_versions_and_what_is_inside(page: Any) -> None:
    page.goto("/data")
    settle(page)
    assert bold(page) == ["5", "367,687", "15.1 MB"]
    page.get_by_role("link", name="flights").click()
    settle(page)
    assert bold(page) == ["336,776", "12", "6"]
    checks = page.locator(".card", has=page.get_by_role("heading", name="Checks")).inner_text()
    assert "warning" in checks and "2,512 rows have no tail number" in checks
    assert "31 rows dropped" in page.locator("main").inner_text()
    page.get_by_role("button", name="show all 112").click()
    assert page.get_by_role("rowheader", name="v1", exact=True).is_visible()
    page.get_by_role("button", name="look inside").click()
    page.locator(".inside svg").first.wait_for()
    assert page.locator(".inside svg").count() == 12


def test_palette_finds_by_keyboard(page: Any) -> None:
    page.goto("/loop/flight-delay")
    settle(page)
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox")
    box.fill("weath")
    page.get_by_role("option", name=re.compile("weather")).wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/data/weather")
    page.keyboard.press("Control+k")
    box.fill("zzzz")
    assert "Nothing is called that" in page.get_by_role("listbox").inner_text()
    page.keyboard.press("Escape")
    box.wait_for(state="detached")


def test_keys_lead_to_pages_and_to_the_sheet(page: Any) -> None:
    page.goto("/loop/flight-delay")
    settle(page)
    for keys, path in (("gr", "runs"), ("gm", "models"), ("gd", "data"), ("gl", "loop")):
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_url(f"**/{path}")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    sheet.wait_for()
    page.keyboard.press("Escape")
    sheet.wait_for(state="detached")
    page.keyboard.press("g")
    page.keyboard.press("r")
    settle(page)
    page.keyboard.press("/")
    page.keyboard.type("gm")
    assert page.get_by_role("combobox", name="Find runs").input_value() == "gm", "keys are letters while one types"


def test_theme_is_remembered_and_set_before_the_first_paint(page: Any) -> None:
    page.goto("/runs")
    settle(page)
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(251, 251, 250)"
    page.get_by_role("button", name=re.compile("^Theme: system")).click()
    page.get_by_role("button", name=re.compile("^Theme: light")).click()
    assert page.evaluate(colour) == "rgb(14, 16, 19)"
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.early = document.documentElement.dataset.theme })"
    )
    page.reload()
    settle(page)
    assert page.evaluate("window.early") == "dark"
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name=re.compile("^Theme: dark")).click()
    assert page.evaluate("document.documentElement.dataset.theme") is None
    assert page.evaluate(colour) == "rgb(14, 16, 19)"


def test_a_message_that_was_given_up_is_sent_again(page: Any, mock: Mock) -> None:
    mock.channels = [{"name": "mlflow-1", "kind": "mlflow", "target": "hooks.example", "events": ["model_version.created"],
                      "models": []}]  # fmt: skip
    mock.deliveries = [{"id": "d1", "channel": "mlflow-1", "event": "model_version.created", "title": "", "attempts": 9,
                        "status": "dead", "error": "503 from hooks.example", "created_ms": 0}]  # fmt: skip
    page.goto("/models")
    card = page.locator(".channels", has_text="1 message given up")
    card.get_by_role("button", name="send again").click()
    page.locator(".toast", has_text="sent again").wait_for()
    assert mock.deliveries[0]["status"] == "waiting"


@pytest.mark.parametrize("path", ["/", "/runs", "/models", "/data", "/deployments"])
def test_an_empty_workspace_says_what_to_type(page: Any, mock: Mock, path: str) -> None:
    mock.empty()
    page.goto(path)
    page.locator(".empty pre").wait_for()
    assert re.search(r"homeostat|import homeostat as hs", page.locator(".empty").inner_text())
    assert say(page)


def test_an_error_is_readable_and_heals(watched: Watched, mock: Mock) -> None:
    page = watched.page
    mock.failing = {"code": "storage_full", "message": "The disk is full.", "hint": "Free some space.", "facts": {}}
    page.goto("/models")
    trouble = page.get_by_role("alert")
    trouble.wait_for()
    assert "The disk is full." in trouble.inner_text() and "Free some space." in trouble.inner_text()
    page.locator(".link-state.live").wait_for()
    mock.failing = None
    mock.emit("version_registered", model="flight-delay", version=5)
    page.locator(".say").wait_for()
    assert all("500" in complaint for complaint in watched.complaints)
    watched.complaints.clear()


def test_an_unknown_model_is_told_so(watched: Watched) -> None:
    watched.page.goto("/loop/nobody")
    assert "nobody" in watched.page.get_by_role("alert").inner_text()
    assert all("404" in complaint for complaint in watched.complaints)
    watched.complaints.clear()


def test_an_unknown_page_leads_home(page: Any) -> None:
    page.goto("/loop/a/b")
    page.get_by_role("link", name="Go to the Loop").click()
    assert "hold" in say(page)
