"""Every page against known records: what it says first, its figures, and that it stays whole in every condition."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.web import figures
from tests.web.conftest import Watched, addressed, counted, pressed, said, soon, titled, valued, worded
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


def settle(page: Any, title: str | None = None) -> None:
    """Wait until the page has its sentence and nothing grey in place of what is coming. `title`: of the page that was
    led to, whose predecessor is still there for a moment."""
    if title is not None:
        page.locator("h1", has_text=re.compile(f"^{re.escape(title)}$")).wait_for()
    page.locator(".say").wait_for()
    page.locator(".skeleton").first.wait_for(state="detached")
    page.evaluate("document.fonts.ready.then(() => true)")


def test_loop_opens_with_its_sentence_and_shows_the_ring(page: Any) -> None:
    page.goto("/")
    said(page.locator(".say"), "All six essential variables hold")
    worded(page.locator(".say b"), ["v4", "+0.032 AUC"])
    worded(page.locator("h1"), ["flight-delay"])
    words = ("336,776 rows", "54 · no leak", "11 of 11 gates", "labels 96 % in", "0.742", "± 0.008", "≥ 0.72")
    soon(page, lambda: [word for word in words if word not in page.locator(".ring").text_content()], [])
    titled(page, "flight-delay · Loop · Homeostat")


def test_essential_variables_have_value_interval_limit_and_a_state_in_words(page: Any) -> None:
    page.goto("/loop/flight-delay")
    rows = page.locator(".vars tbody tr")
    counted(rows, 6)
    counted(page.locator(".vars .pill .icon"), 6)
    told = [re.sub(r"\s+", " ", text) for text in rows.all_inner_texts()]
    assert "AUC" in told[0] and "0.742 ± 0.008" in told[0] and "≥ 0.72" in told[0] and "within" in told[0]
    assert "worst: YV" in told[1]
    assert "6 ms" in told[3] and "≤ 20 ms" in told[3]
    assert "freshness of weather" in told[5] and "1 h 40" in told[5] and "at risk" in told[5]


def test_one_cursor_moves_through_the_whole_page(page: Any) -> None:
    page.goto("/loop/flight-delay")
    chart = page.locator(".quality-chart")
    chart.focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    point = figures.quality()[-30]
    readout = page.locator(".readout", has_text=f"{point['live']:.3f}")
    readout.wait_for()
    said(readout, f"+{point['live'] - point['frozen']:.3f}")
    counted(page.locator(".vars .cursor"), 6)
    page.locator(".vars thead", has_text=re.compile(r"room\s*on ")).wait_for()


def test_a_mark_on_the_chart_opens_its_decision(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.get_by_role("button", name=re.compile("promoted v4")).first.click()
    opened = page.locator(".decision.open")
    opened.locator(".recomputed.ok").wait_for()
    said(opened, "v4 is better where it counts", "Recomputed from its record: the same decision", "+0.022 to +0.032",
         "+0.061 AUC (+0.054 to +0.068) on 27,010 rows", "min_gain=0.005", "flights@90")  # fmt: skip
    addressed(page, "decision=dec-promote-v4")


def test_many_inputs_that_moved_are_told_in_part_and_shown_on_request(page: Any) -> None:
    page.goto("/loop/flight-delay?decision=dec-retrain-aug")
    rows = page.locator(".evidence tbody tr")
    counted(rows, 7)
    page.get_by_role("button", name="show 6 more inputs that moved").click()
    counted(rows, 13)


def test_quiet_reviews_are_folded_and_can_be_shown(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.locator(".decision").first.wait_for()  # all of them come in one answer
    folded = page.get_by_role("button", name=re.compile("quiet reviews"))
    before, groups = page.locator(".decision").count(), folded.count()
    folded.first.click()
    counted(folded, groups - 1)
    page.locator(".decision").nth(before).wait_for()


def test_months_tell_the_year_as_figures(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.get_by_role("button", name="months", exact=True).click()
    september = page.locator(".quality tbody tr", has_text="Sep 2013")
    september.get_by_text("promoted v4").wait_for()
    september.filter(has_text=re.compile(r"\+0\.0\d\d")).wait_for()
    counted(page.locator(".quality tbody tr"), 9)


def test_span_is_kept_in_the_address(page: Any) -> None:
    page.goto("/loop/flight-delay")
    page.get_by_role("button", name="8 weeks").click()
    soon(page, lambda: page.url.endswith("?span=8w"), True)
    page.reload()
    pressed(page.get_by_role("button", name="8 weeks"))


def test_an_event_is_seen_without_reloading(page: Any, mock: Mock) -> None:
    page.goto("/loop/flight-delay")
    page.locator(".link-state.live").wait_for()
    page.locator(".say", has_text="hold").wait_for()
    loop = mock.loops[0]
    loop["state"], loop["sentence"] = "out", "AUC is out: 0.701 against 0.72. A challenger is being trained."
    mock.emit("variable_changed", model="flight-delay", variable="auc", was="within")
    page.locator(".say", has_text="0.701").wait_for()
    worded(page.locator(".title .pill"), ["out"])
    assert mock.asked.count("loop/status") == 2, "asked once for the page and once for the event"


def test_runs_sort_filter_and_keep_it_in_the_address(page: Any) -> None:
    page.goto("/runs")
    settle(page)
    for figure in ("1,341", "0.781"):
        page.locator(".say b", has_text=figure).wait_for()
    page.get_by_title("Sort by auc").click()
    page.locator(".row", has_text="train-v3").first.wait_for()
    addressed(page, "order=-m%3Aauc")
    page.get_by_role("combobox", name="Find runs").fill("run.kind == 'trial' and run.metrics.auc > 0.78")
    counted(page.locator(".row", has_not_text="trial"), 0)

    def best_first() -> bool:
        values = [float(text) for text in page.locator(".row .metric-cell").all_inner_texts()[::2]]
        return values != [] and values == sorted(values, reverse=True) and min(values) >= 0.78

    soon(page, best_first, True)
    page.reload()
    valued(page.get_by_role("combobox", name="Find runs"), "run.kind == 'trial' and run.metrics.auc > 0.78")


def test_a_long_table_draws_only_what_is_in_sight_and_fetches_the_rest(page: Any) -> None:
    page.goto("/runs?kind=run")
    settle(page)
    rows = page.locator(".rows")
    soon(page, lambda: rows.evaluate(
        """rows => {
            rows.scrollTop = rows.scrollHeight;
            return document.querySelector(".found").textContent.trim();
        }"""
    ), "1,201 runs")  # fmt: skip
    assert page.locator(".row").count() < 80


def test_a_row_opens_by_keyboard(page: Any) -> None:
    page.goto("/runs")
    settle(page)
    page.locator(".row").nth(2).wait_for()
    page.locator(".rows").focus()
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**/runs/run-now")
    page.locator(".say", has_text="going on since").wait_for()


def test_run_shows_steps_and_trials(page: Any) -> None:
    page.goto("/runs/run-train-4")
    settle(page)
    worded(page.locator(".say b"), ["41 s", "0.754", "0.461"])
    page.locator(".steps li", has_text="collect").filter(has_text="cached").wait_for()
    page.locator(".steps a", has_text="tune").click()
    page.locator(".trials .trial.top").wait_for()
    counted(page.locator(".trials .trial"), 20)


def test_run_that_failed_shows_why(page: Any) -> None:
    page.goto("/runs?q=run.status == 'failed'")
    settle(page)
    page.locator(".row a").first.click()
    said(page.locator(".run-error"), "known only after departure")


def test_model_shows_gates_agreement_signature_and_lineage(page: Any) -> None:
    page.goto("/models")
    settle(page)
    worded(page.locator(".say b"), ["2", "6", "1"])
    page.get_by_role("link", name="flight-delay").click()
    settle(page, "flight-delay")
    worded(page.locator(".say b"), ["5", "2", "v4", "0.754"])
    page.locator(".chip", has_text="v3 in shadow").wait_for()
    said(page.locator("main"), "7 of 7 passed", "agrees", "2.1e−7", "features FP32 [n, 28]", "lightgbm==4.7.0")
    page.get_by_role("button", name="Version 5, refused").click()
    soon(page, lambda: page.url.endswith("?version=5"), True)
    failed = page.locator(".gates li.bad")
    counted(failed, 2)
    said(failed.first, "better than champion")
    counted(page.locator(".graph .node"), 8)
    page.locator(".graph a", has_text="weather").click()
    page.wait_for_url("**/data/weather")


def test_table_shows_checks_cleaning_versions_and_what_is_inside(page: Any) -> None:
    page.goto("/data")
    settle(page)
    worded(page.locator(".say b"), ["5", "367,687", "15.1 MB"])
    page.get_by_role("link", name="flights").click()
    settle(page, "flights")
    worded(page.locator(".say b"), ["336,776", "12", "6"])
    checks = page.locator(".card", has=page.get_by_role("heading", name="Checks"))
    said(checks, "warning", "2,512 rows have no tail number")
    page.locator("main", has_text="31 rows dropped").wait_for()
    page.get_by_role("button", name="show all 112").click()
    page.get_by_role("rowheader", name="v1", exact=True).wait_for()
    page.get_by_role("button", name="look inside").click()
    counted(page.locator(".inside svg"), 12)


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
    page.get_by_role("listbox").filter(has_text="Nothing is called that").wait_for()
    page.keyboard.press("Escape")
    box.wait_for(state="detached")


def follow(page: Any, keys: str, path: str) -> None:
    """Presses keys until they lead there: a sequence counts only when no second lies between its keys."""

    def led() -> bool:
        for key in keys:
            page.keyboard.press(key)
        return page.url.endswith(f"/{path}")

    soon(page, led, True)


def test_keys_lead_to_pages_and_to_the_sheet(page: Any) -> None:
    page.goto("/loop/flight-delay")
    settle(page)
    for keys, path in (("gr", "runs"), ("gm", "models"), ("gd", "data"), ("gl", "loop")):
        follow(page, keys, path)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    sheet.wait_for()
    page.keyboard.press("Escape")
    sheet.wait_for(state="detached")
    follow(page, "gr", "runs")
    settle(page, "Runs")
    page.get_by_role("combobox", name="Find runs").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("gm")
    valued(page.get_by_role("combobox", name="Find runs"), "gm")  # keys are letters while one types


def test_theme_is_remembered_and_set_before_the_first_paint(page: Any) -> None:
    page.goto("/runs")
    settle(page)
    colour = "getComputedStyle(document.body).backgroundColor"
    soon(page, lambda: page.evaluate(colour), "rgb(251, 251, 250)")
    page.get_by_role("button", name=re.compile("^Theme: system")).click()
    page.get_by_role("button", name=re.compile("^Theme: light")).click()
    soon(page, lambda: page.evaluate(colour), "rgb(14, 16, 19)")
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.early = document.documentElement.dataset.theme })"
    )
    page.reload()
    settle(page)
    assert page.evaluate("window.early") == "dark"
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name=re.compile("^Theme: dark")).click()
    soon(page, lambda: page.evaluate("document.documentElement.dataset.theme"), None)
    soon(page, lambda: page.evaluate(colour), "rgb(14, 16, 19)")


def test_a_message_that_was_given_up_is_sent_again(page: Any, mock: Mock) -> None:
    mock.channels = [{"name": "mlflow-1", "kind": "mlflow", "target": "hooks.example", "events": ["model_version.created"],
                      "models": []}]  # fmt: skip
    mock.deliveries = [{"id": "d1", "channel": "mlflow-1", "event": "model_version.created", "title": "", "attempts": 9,
                        "status": "dead", "error": "503 from hooks.example", "created_ms": 0}]  # fmt: skip
    page.goto("/models")
    card = page.locator(".channels", has_text="1 message given up")
    card.get_by_role("button", name="send again").click()
    page.locator(".toast", has_text="sent again").wait_for()
    assert mock.deliveries[0]["status"] == "waiting"  # the toast tells of the answer


@pytest.mark.parametrize("path", ["/", "/runs", "/models", "/data", "/deployments"])
def test_an_empty_workspace_says_what_to_type(page: Any, mock: Mock, path: str) -> None:
    mock.empty()
    page.goto(path)
    page.locator(".empty pre").wait_for()
    page.locator(".empty", has_text="homeostat").wait_for()
    page.locator(".say", has_text=re.compile(r"\w")).wait_for()


def test_an_error_is_readable_and_heals(watched: Watched, mock: Mock) -> None:
    page = watched.page
    watched.expect("500")
    mock.failing = {"code": "storage_full", "message": "The disk is full.", "hint": "Free some space.", "facts": {}}
    page.goto("/models")
    trouble = page.get_by_role("alert")
    said(trouble, "The disk is full.", "Free some space.")
    page.locator(".link-state.live").wait_for()
    mock.failing = None
    mock.emit("version_registered", model="flight-delay", version=5)
    page.locator(".say").wait_for()


@pytest.mark.parametrize(
    ("code", "status", "hint", "way"),
    [
        ("unauthenticated", 401, "send a token", "log in"),
        ("permission_denied", 403, "ask for `homeostat team create-token ann --role editor`", None),
        ("unreachable", None, "Start it with homeostat up", None),
    ],
)
def test_a_page_that_may_not_or_cannot_be_shown_says_what_to_do(
    watched: Watched, code: str, status: int | None, hint: str, way: str | None
) -> None:
    page = watched.page
    body = {"error": {"code": code, "message": "No.", "hint": hint, "facts": {}}}
    page.route(
        "**/api/v1/serving/list_deployments",
        lambda route: route.abort() if status is None else route.fulfill(status=status, json=body),
    )
    watched.expect("error: ")
    page.goto("/deployments")
    trouble = page.get_by_role("alert").filter(has_text=hint.replace("`", ""))
    trouble.wait_for()
    if "`" in hint:
        worded(trouble.locator("code"), ["homeostat team create-token ann --role editor"])
    if way is not None:
        assert trouble.get_by_role("link", name=way).get_attribute("href") == "/login"


def test_an_unknown_model_is_told_so_and_leads_to_those_there_are(watched: Watched) -> None:
    watched.expect("404")
    watched.page.goto("/loop/nobody")
    watched.page.get_by_role("alert").filter(has_text="nobody").wait_for()
    assert watched.page.get_by_role("link", name="every loop").get_attribute("href") == "/loop"


def test_an_unknown_page_leads_home(page: Any) -> None:
    page.goto("/loop/a/b")
    page.get_by_role("link", name="Go to the Loop").click()
    page.locator(".say", has_text="hold").wait_for()
