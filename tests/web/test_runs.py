"""The runs: found, chosen, compared; the whole view in the address, everything by key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.web.conftest import Watched, addressed, counted, pressed, said, soon, titled, valued, worded
from tests.web.mock_server import Mock
from tests.web.test_pages import settle

TRIALS = "run-train-4-trial-03,run-train-4-trial-07,run-train-3-trial-01,run-train-3-trial-02"


def test_facets_count_all_and_keep_one(page: Any) -> None:
    page.goto("/runs")
    settle(page)
    facets = page.get_by_role("group", name="How they divide")
    words = "finished 1,310 failed 30 running 1 notebook 1,201 flight-delay 140 deleted"
    soon(page, lambda: re.sub(r"\s+", " ", facets.inner_text()), words)
    facets.get_by_role("button", name="failed").click()
    page.locator(".found", has_text=re.compile("^30 runs$")).wait_for()
    addressed(page, "status=failed")
    soon(page, lambda: {text.strip() for text in page.locator(".row .state").all_inner_texts()}, {"failed"})
    page.reload()
    pressed(facets.get_by_role("button", name="failed"))
    facets.get_by_role("button", name="failed").click()
    page.locator(".found", has_text="1,341 runs").wait_for()


def test_a_filter_holds_for_runs_that_were_never_loaded(page: Any, mock: Mock) -> None:
    page.goto("/runs?q=birch-1&kind=run")
    settle(page)
    wanted = [run for run in mock.runs if run["kind"] == "run" and "birch-1" in run["name"]]
    page.locator(".found", has_text=re.compile(f"^{len(wanted)} runs?$")).wait_for()
    page.get_by_role("combobox", name="Find runs").fill("'birch-1' and run.metrics.auc > 2")
    said(page.locator("p.none"), "No run fits")


def test_names_are_offered_and_a_slip_is_told_under_the_box(watched: Watched) -> None:
    page = watched.page
    watched.expect("400")
    page.goto("/runs")
    settle(page)
    box = page.get_by_role("combobox", name="Find runs")
    box.press_sequentially("run.params.num")
    page.get_by_role("option", name="run.params.num_leaves").wait_for()
    page.keyboard.press("Tab")
    valued(box, "run.params.num_leaves")
    box.fill("run.stat == 'failed'")
    told = page.locator("#query-error")
    told.filter(has_text=re.compile("^column 1: a run has no 'stat'")).wait_for()
    page.locator(".row").first.wait_for()
    box.fill("run.status == 'failed'")
    told.wait_for(state="detached")


def test_columns_on_demand_with_the_largest_value(page: Any) -> None:
    page.goto("/runs?kind=trial")
    settle(page)
    page.locator("summary", has_text="columns").click()
    page.get_by_role("button", name="largest AUC").click()
    page.get_by_label("num_leaves").check()
    page.locator(".rows-head", has_text="max AUC").wait_for()
    page.get_by_title("Sort by max auc").click()
    addressed(page, "columns=m%3Aauc%2Cm%3Alog_loss%2Cx%3Aauc%2Cp%3Anum_leaves", "order=-x%3Aauc")
    page.locator(".row .mono", has_text=re.compile(r"^\d+$")).first.wait_for()


def test_a_view_is_kept_under_a_name(page: Any) -> None:
    page.goto("/runs?kind=trial&q=run.metrics.auc > 0.75")
    settle(page)
    page.locator("summary", has_text="views").click()
    page.get_by_label("Name of the view").fill("good trials")
    page.keyboard.press("Enter")
    page.locator(".toast", has_text="kept as").wait_for()
    page.goto("/runs")
    page.locator("summary", has_text="views").click()
    page.get_by_role("link", name="good trials").click()
    page.locator(".row", has_not_text="trial").first.wait_for(state="detached")
    valued(page.get_by_role("combobox", name="Find runs"), "run.metrics.auc > 0.75")
    page.get_by_role("button", name="Forget good trials").click()
    page.get_by_role("link", name="good trials").wait_for(state="detached")


def test_runs_are_chosen_by_key_and_compared(page: Any) -> None:
    page.goto("/runs?kind=trial")
    settle(page)
    page.locator(".row").first.wait_for()
    for key in ("j", "x", "j", "j", "x"):
        page.keyboard.press(key)
    bar = page.get_by_role("region", name="Selected runs")
    bar.filter(has_text="2 runs selected").wait_for()
    page.keyboard.press("Escape")
    bar.wait_for(state="detached")
    boxes = page.get_by_role("checkbox", name="Select row")
    boxes.nth(1).click()
    boxes.nth(5).click(modifiers=["Shift"])
    bar.filter(has_text="5 runs selected").wait_for()
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill("compare")
    page.get_by_role("option", name="compare").first.wait_for()
    page.keyboard.press("Enter")
    page.locator(".line-card").first.wait_for()
    counted(page.get_by_role("list", name="Compared runs").get_by_role("listitem"), 5)
    page.go_back()
    settle(page)


def test_chosen_runs_are_tagged_together(page: Any, mock: Mock) -> None:
    page.goto("/runs?kind=pipeline")
    settle(page)
    page.locator(".row").nth(4).wait_for()
    page.get_by_role("checkbox", name="Select all that are loaded").check()
    page.get_by_label("Tag for the selected runs").fill("season=2013")
    page.keyboard.press("Enter")
    page.locator(".toast", has_text="5 runs tagged").wait_for()
    assert [run["tags"]["season"] for run in mock.runs if run["kind"] == "pipeline"] == ["2013"] * 5
    page.get_by_label("Tag for the selected runs").fill("-season")
    page.keyboard.press("Enter")
    page.locator(".toast", has_text="5 runs without the tag").wait_for()
    assert not any("season" in run["tags"] for run in mock.runs)


def test_all_that_fit_are_chosen_and_charts_need_no_choice(page: Any) -> None:
    page.goto("/runs?kind=run")
    settle(page)
    page.get_by_role("checkbox", name="Select row").first.check()
    bar = page.get_by_role("region", name="Selected runs")
    bar.get_by_role("button", name="select all 1,201").click()
    bar.locator("b", has_text="1,201 runs selected").wait_for()
    page.goto("/runs?kind=trial&show=charts")
    page.locator(".line-card").first.wait_for()
    page.locator(".parallel").wait_for()
    surface = page.locator(".contour")
    surface.get_by_role("group", name=re.compile("^AUC over .* and .*: 100 runs$")).wait_for()
    counted(surface.locator(".tried"), 100)
    counted(surface.locator(".tried.best"), 1)
    surface.locator(".surface rect").nth(100).wait_for(state="attached")
    assert "The first 120 of" not in page.locator("main").inner_text()
    surface.get_by_label("Metric as colour").select_option("log_loss")
    surface.get_by_label("Parameter across").select_option("p:num_leaves")
    surface.get_by_role("group", name=re.compile("^log loss over num_leaves")).wait_for()
    addressed(page, "cm=log_loss")
    page.get_by_role("button", name="media", exact=True).click()
    page.get_by_text("None of these runs logged images").wait_for()


def test_comparison_shows_only_what_differs(page: Any) -> None:
    page.goto(f"/runs?compare={TRIALS},nobody")
    settle(page)
    said(page.locator(".say"), "1 run of the address does not exist")
    soon(page, lambda: page.locator(".say b").all_inner_texts()[:2], ["4", "3"])
    names = page.locator(".diff tbody tr th")
    wanted = ["AUC", "log loss", "learning_rate", "min_child_samples", "num_leaves"]
    soon(page, lambda: [re.split(r"\n", text)[-1] for text in names.all_inner_texts()], wanted)
    counted(page.locator(".diff .icon"), 2)  # the best AUC and the lowest loss
    page.get_by_label("that are equal").check()
    page.locator(".diff", has_text="objective").wait_for()
    counted(page.locator(".parallel .run-path"), 4)
    counted(page.locator(".scatter circle"), 4)
    groups = page.locator(".by-group")
    counted(groups.locator("circle"), 4)
    groups.locator(".median").nth(1).wait_for(state="attached")
    page.get_by_label("Leave out trial-07").click()
    counted(page.locator(".scatter circle"), 3)
    addressed(page, without="trial-07")


def test_charts_share_one_cursor_and_stand_on_the_axis_asked_for(page: Any) -> None:
    page.goto(f"/runs?compare={TRIALS}")
    charts = page.locator(".line-chart")
    charts.nth(1).wait_for()
    charts.first.hover()
    counted(page.locator(".line-chart .cursor"), 2)
    counted(page.locator(".line-readout", has_text=re.compile("^step [45]")), 2)
    page.get_by_role("button", name="time since start").click()
    page.get_by_label("Group runs by").select_option("t:objective")
    page.locator(".run-band").first.wait_for(state="attached")
    counted(page.locator(".line-chart").first.locator(".run-path"), 1)
    page.get_by_label("smooth").fill("0.9")
    page.get_by_label("A metric as the axis").select_option("m:log_loss")
    page.locator(".line-chart").nth(1).wait_for(state="detached")
    addressed(page, "group=t%3Aobjective", "smooth=0.9", "x=m%3Alog_loss")
    page.reload()
    page.locator(".run-band").first.wait_for(state="attached")


def test_parallel_axes_keep_what_lies_in_a_span(page: Any) -> None:
    page.goto(f"/runs?compare={TRIALS}")
    grip = page.locator(".axis-grip").first
    grip.wait_for()
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] * 0.4, steps=4)
    page.mouse.up()
    kept = page.get_by_role("button", name=re.compile("of 4 runs: show all"))
    kept.wait_for()
    counted(page.locator(".parallel .quiet-line"), 4 - int(kept.inner_text().split()[0]))
    kept.click()
    kept.wait_for(state="detached")


@pytest.mark.parametrize("path", ["/runs?compare=nobody", "/runs?q=nothing-is-called-that"])
def test_nothing_found_is_told(page: Any, path: str) -> None:
    page.goto(path)
    settle(page)
    page.locator(".say", has_text=re.compile("None of these runs exists|0 runs")).wait_for()


def test_files_are_shown_and_none_of_them_can_act(watched: Watched) -> None:
    page = watched.page
    watched.expect("Blocked script execution")
    page.goto("/runs/run-train-4?file=report.csv")
    settle(page)
    page.locator(".preview td", has_text="Delta, Inc.").wait_for()
    files = page.locator(".files-card")
    page.get_by_role("button", name="config.json").click()
    page.locator("pre.preview", has_text='"seed": 7').wait_for()
    page.get_by_role("button", name="model.pkl").click()
    files.locator(".preview", has_text="download it").wait_for()
    page.get_by_role("button", name="report.md").click()
    page.locator(".markdown strong", has_text="evenings").wait_for()
    said(page.locator(".markdown"), "<script>")  # HTML in Markdown stays the text it is
    page.get_by_role("button", name="predictions.parquet").click()
    files.locator(".data-table", has_text="the first 20 of 5,000 rows").wait_for()
    frame = page.locator("iframe.preview")
    with page.expect_response("**/preview/run-train-4/report.html") as answered:
        page.get_by_role("button", name="report.html").click()
    assert answered.value.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert frame.get_attribute("sandbox") == ""
    page.frame_locator("iframe.preview").get_by_role("heading", name="Report").wait_for()
    titled(page, "train-v4 · Runs · Homeostat")


def test_media_stand_at_one_step_that_all_share(page: Any) -> None:
    page.goto("/runs/run-train-4")
    media = page.get_by_role("region", name="Media")
    media.locator("figcaption", has_text="after 20 · step 20").wait_for()
    worded(media.locator("h2"), ["samples/first", "delays", "worst", "summary", "alarm"])
    soon(page, lambda: media.locator("img").first.evaluate("image => image.naturalWidth"), 4)
    counted(media.locator(".histogram .bin"), 8)
    counted(media.locator("audio"), 1)
    media.get_by_role("slider").fill("1")
    media.locator("figcaption", has_text="after 10 · step 10").wait_for()
    addressed(page, "at=10")
    media.get_by_label("every step").check()
    counted(media.locator("img"), 3)
    media.get_by_label("Find in the table").fill("UA")
    media.locator(".data-table", has_text="150 of 300 rows").wait_for()
    media.get_by_title("Sort by flight").dblclick()
    media.locator(".data-table td").first.filter(has_text=re.compile("^299$")).wait_for()
    media.locator(".picture").first.click()
    page.get_by_role("dialog").locator("img").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def test_the_console_ends_at_its_last_line_and_is_searched(page: Any) -> None:
    page.goto("/runs/run-train-4")
    console = page.locator(".console")
    soon(page, lambda: console.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight < 2"), True)
    page.get_by_label("Find in the console").fill("epoch 39")
    page.locator(".console-card", has_text="11 of 400 lines").wait_for()


def test_notes_and_tags_are_written_where_they_are_read(page: Any, mock: Mock) -> None:
    page.goto("/runs/run-train-4")
    settle(page)
    page.get_by_role("button", name="write a note").click()
    page.get_by_label("Note", exact=True).fill("Learned from all history.")
    page.keyboard.press("Control+Enter")
    page.locator(".note-text", has_text="Learned from all history.").wait_for()
    page.get_by_label("Add a tag").fill("team=delay=ops")
    page.keyboard.press("Enter")
    page.locator(".tags li", has_text="delay=ops").wait_for()
    run = next(run for run in mock.runs if run["id"] == "run-train-4")
    assert run["tags"] == {"mlflow.note.content": "Learned from all history.", "team": "delay=ops"}


def places(chart: Any) -> list[float]:
    """What stands below a chart."""
    texts = chart.locator("text.axis[text-anchor=middle]").all_text_contents()
    return [float(text.replace(",", "")) for text in texts]


def test_a_stretch_drawn_over_a_chart_is_looked_at_closer(page: Any) -> None:
    page.goto(f"/runs?compare={TRIALS}")
    chart = page.locator(".line-chart").first
    chart.locator(".run-path").first.wait_for(state="attached")
    chart.scroll_into_view_if_needed()
    soon(page, lambda: places(chart)[-1:], [100])
    whole = places(chart)
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 70)
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 80)
    counted(chart.locator("rect.drawn"), 1)
    with page.expect_response(lambda answer: "metric_curves" in answer.url and "from_step" in answer.url):
        page.mouse.up()
    back = page.get_by_role("button", name="whole course")
    back.wait_for()
    addressed(page, "zoom=")
    soon(page, lambda: whole[0] < places(chart)[0] < places(chart)[-1] < whole[-1], True)
    closer = places(chart)
    page.reload()
    soon(page, lambda: places(chart), closer)
    back.click()
    soon(page, lambda: places(chart), whole)  # what lies closer stands until the whole has come
    back.wait_for(state="detached")
    addressed(page, without="zoom=")


def test_the_palette_finds_runs_that_are_not_among_the_newest(page: Any, mock: Mock) -> None:
    old = min((run for run in mock.runs if run["kind"] == "run"), key=lambda run: run["start_ms"])
    page.goto("/runs")
    settle(page)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find a page").fill(old["name"])
    page.get_by_role("option", name=re.compile(re.escape(old["name"]))).first.click()
    page.wait_for_url(f"**/runs/{old['id']}")
