"""The pages of deployments on the real server, a real data plane and real requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import homeostat as hs
from homeostat.server.app import make_app
from homeostat.serving import Ensemble, Member, PredictionClient, Route
from tests.serving.conftest import PlaneProcess
from tests.serving.models import register_logistic
from tests.web.conftest import addressed, counted, said, soon, worded
from tests.web.mock_server import serving

ROWS = np.linspace(-1, 1, 120, dtype="f4").reshape(40, 1, 3)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[hs.Workspace, PlaneProcess, str]]:
    """A workspace with three versions of a model, its data plane, and the address of its pages."""
    folder: Path = tmp_path_factory.mktemp("live")
    with hs.open(folder / "home") as ws, serving(make_app(ws)) as address:
        for weights in ([1.0, 0.0, 0.0], [1.0, 0.1, 0.0], [0.0, 2.0, 0.0]):
            register_logistic(ws, folder, "delay", np.array(weights))
        ws.serving.deploy("delay", 1)
        plane = PlaneProcess(ws, folder / "plane.log")
        yield ws, plane, address
        plane.stop()


@pytest.fixture
def url(browser: Any, live: tuple[hs.Workspace, PlaneProcess, str]) -> str:
    ws, _, address = live
    ws.serving.deploy("delay", 1)
    ws.serving.wait_ready("delay")
    return address


@pytest.fixture
def ws(live: tuple[hs.Workspace, PlaneProcess, str]) -> hs.Workspace:
    return live[0]


@pytest.fixture
def plane(live: tuple[hs.Workspace, PlaneProcess, str]) -> PlaneProcess:
    return live[1]


def ask(plane: PlaneProcess, name: str) -> None:
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", [(f"{name}{at}", {}, row) for at, row in enumerate(ROWS)])
        client.flush("delay")


def routes_of(ws: hs.Workspace) -> list[tuple[int, float, str]]:
    return [(route.version, route.weight, route.role) for route in ws.serving.get_deployment("delay").routes]


def test_the_list_tells_who_answers_how_much_and_how_well(page: Any, ws: hs.Workspace, plane: PlaneProcess) -> None:
    ask(plane, "list")
    page.goto("/deployments")
    row = page.locator("tbody tr", has_text="delay")
    row.locator(".pill", has_text="ready").wait_for()
    row.locator("td", has_text="ms").first.wait_for()
    said(row, "v1 100 %", "steady")
    said(page.locator(".say"), "none of them failed in the last 15 min")
    row.get_by_role("link", name="delay").click()
    page.locator("h1", has_text="delay").wait_for()


def test_shares_are_set_by_keys_and_applied_by_a_button(page: Any, ws: hs.Workspace) -> None:
    page.goto("/deployments/delay")
    page.get_by_label("Add a canary").select_option("2")
    slider = page.get_by_role("slider", name="Share of v2, canary")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    soon(page, lambda: slider.get_attribute("aria-valuetext").replace("\u202f", " "), "10 %, champion 90 %")
    page.get_by_label("Share of v2, canary, in percent").fill("12.5")
    page.get_by_label("Add a shadow").select_option("3")
    assert routes_of(ws) == [(1, 1.0, "champion")], "nothing happens before the button"
    waiting = page.get_by_role("group", name="Changes that are not made yet")
    said(waiting, "v1 87.5\u202f%, v2 12.5\u202f% as canary, v3 in shadow of 100\u202f%")
    waiting.get_by_role("button", name="apply").press("Enter")
    page.locator(".toast", has_text="v2 12.5").wait_for()
    assert routes_of(ws) == [(1, 0.875, "champion"), (2, 0.125, "canary"), (3, 1.0, "shadow")]
    page.get_by_role("button", name="promote v2").click()
    promote = page.get_by_role("form", name="promote v2")
    said(promote, "v2 answers every request of delay from now on")
    promote.get_by_role("button", name="promote v2").press("Enter")
    page.locator(".toast", has_text="v2 is the champion").wait_for()
    assert routes_of(ws) == [(2, 1.0, "champion"), (3, 1.0, "shadow")]
    page.get_by_role("button", name="roll back").click()
    back = page.get_by_role("form", name="roll back")
    said(back, "v1 87.5")
    back.get_by_role("button", name="roll back").click()
    page.locator(".toast", has_text="rolled back").wait_for()
    assert routes_of(ws)[0] == (1, 0.875, "champion")
    page.locator(".history tbody tr", has_text="now").filter(has_text="rolled back").wait_for()


def test_whoever_comes_second_is_told_who_was_first(watched: Any, ws: hs.Workspace) -> None:
    page = watched.page
    watched.expect("409")
    page.goto("/deployments/delay")
    page.get_by_label("Add a canary").select_option("2")
    # Somebody else is faster, and their event has not reached this page when the button is pressed.
    page.route(
        "**/serving/set_routes", lambda route: (ws.serving.set_routes("delay", [Route(version=3)]), route.continue_())
    )
    page.get_by_role("button", name="apply").click()
    toast = page.locator(".toast", has_text="Nothing was changed")
    said(toast, "local was first", "v3 100")
    page.locator(".route-list", has_text="v3").wait_for()
    assert routes_of(ws) == [(3, 1.0, "champion")]
    watched.heard("409")


def test_a_canary_is_started_and_taken_back(page: Any, ws: hs.Workspace) -> None:
    page.goto("/deployments/delay")
    page.get_by_role("button", name="start a canary").click()
    form = page.get_by_role("form", name="start a canary")
    form.get_by_label("version").select_option("2")
    form.get_by_label("shares, %").fill("20, 100")
    form.get_by_role("button", name="start a canary").click()
    page.locator(".toast", has_text="begins as a canary").wait_for()
    canary = ws.serving.get_deployment("delay").canary
    assert canary is not None and (canary.version, canary.policy.weights) == (2, [0.2, 1.0])
    page.locator(".chip", has_text="canary v2, step 1 of 2").wait_for()
    page.locator(".card", has_text="0 of 500 requests of this step").wait_for()
    said(page.get_by_role("list", name="Steps"), "20\u202f%")
    page.get_by_role("button", name="take v2 back").click()
    page.get_by_role("form", name="take v2 back").get_by_role("button", name="take v2 back").click()
    page.locator(".toast", has_text="delay: v1 100").wait_for()
    assert routes_of(ws) == [(1, 1.0, "champion")] and ws.serving.get_deployment("delay").canary is None


def test_a_bandit_is_started_from_what_was_seen_and_taken_back(watched: Any, ws: hs.Workspace) -> None:
    page = watched.page
    watched.expect("409")
    page.goto("/deployments/delay")
    page.get_by_role("button", name="start a bandit").click()
    form = page.get_by_role("form", name="start a bandit")
    form.get_by_label("v2").uncheck()
    form.get_by_label("rewards of each first").fill("7")
    said(form, "v1, v3 share the requests equally at first")
    form.get_by_role("button", name="start a bandit").click()
    page.locator(".chip", has_text="bandit of v1, v3").wait_for()
    bandit = ws.serving.get_deployment("delay").bandit
    assert bandit is not None and (bandit.versions, bandit.policy.min_rewards) == ([1, 3], 7)
    page.locator(".card", has_text="No reward has been told of yet").wait_for()
    page.locator(".route-list", has_text="arm of the bandit").wait_for()
    page.get_by_role("button", name="undo").click()
    page.locator(".toast", has_text="v1 100\u202f% again").wait_for()
    assert routes_of(ws) == [(1, 1.0, "champion")]
    # What somebody else has done since is not undone with it.
    page.get_by_role("button", name="roll back").click()
    page.get_by_role("form", name="roll back").get_by_role("button", name="roll back").click()
    page.locator(".toast", has_text="is rolled back").wait_for()
    ws.serving.set_routes("delay", [Route(version=2)])
    page.get_by_role("button", name="undo").click()
    page.locator(".toast", has_text="Nothing was changed: local was first").wait_for()
    assert routes_of(ws) == [(2, 1.0, "champion")]
    watched.heard("409")


def test_options_are_changed_in_a_form_and_taken_back(watched: Any, ws: hs.Workspace) -> None:
    page = watched.page
    watched.expect("400", "409")
    page.goto("/deployments/delay")
    card = page.locator(".options-card")
    said(card, "As by default: one replica, 2,048 requests may wait, each is answered within 30 s and logged.")
    card.get_by_role("button", name="change").click()
    form = page.get_by_role("form", name="How it is served")
    apply = form.get_by_role("button", name="apply")
    soon(page, apply.is_disabled, True)
    form.get_by_label("max_waiting").fill("0")
    apply.click()
    page.locator(".toast", has_text="max_waiting=0 a number from 1 to").wait_for()
    form.get_by_label("max_waiting").fill("many")
    apply.click()
    page.locator(".toast", has_text="max_waiting").filter(has_text="int").wait_for()
    form.get_by_label("max_waiting").fill("")
    form.get_by_label("timeout_ms").fill("5000")
    form.get_by_label("log_share").fill("12.5")
    form.get_by_label("callers").fill("ann, web")
    said(form.get_by_role("status"), "timeout_ms 30,000 → 5,000, callers all who may read → ann, web, log_share 100\u202f%")
    form.get_by_label("redacted").fill("tail")
    form.get_by_label("redacted").press("Enter")
    page.locator(".toast", has_text="has no input 'tail' to redact its inputs are distance, hour, wind").wait_for()
    form.get_by_label("redacted").fill("wind")
    apply.click()
    page.locator(".toast", has_text="delay: timeout_ms 30,000 → 5,000").wait_for()
    told = page.get_by_role("list", name="How it is served")
    said(told, "answered within 5 s, or with 504", "answers ann, web only", "wind never logged")
    found = ws.serving.get_deployment("delay")
    assert (found.timeout_ms, found.callers, found.log_share, found.redacted) == (5000, ["ann", "web"], 0.125, ["wind"])
    assert found.max_waiting == 2048 and found.routes == [Route(version=1)]
    page.get_by_role("button", name="undo").click()
    page.locator(".toast", has_text="delay is served as before").wait_for()
    said(card, "As by default")
    # A canary's step in between is no trouble, other options are.
    card.get_by_role("button", name="change").click()
    form.get_by_label("idle_s").fill("60")
    ws.serving.set_routes("delay", [Route(version=1, weight=0.9), Route(version=2, weight=0.1, role="canary")])
    page.locator(".route-list", has_text="v2").wait_for()
    assert not apply.is_disabled()
    ws.serving.configure("delay", rate_limit=7)
    said(form, "local made generation", "options set")
    soon(page, apply.is_disabled, True)
    form.get_by_role("button", name="discard").click()
    said(told, "7 requests a second for each caller")
    ws.serving.configure("delay", rate_limit=0)


def test_an_undeployed_model_comes_back_as_it_was(watched: Any, ws: hs.Workspace) -> None:
    page = watched.page
    watched.expect("404")  # what was shown of it was asked for while it was away
    ws.serving.deploy("delay", 1, rate_limit=50, callers=["ann"], idle_s=600)
    ws.serving.set_routes("delay", [Route(version=1, weight=0.9), Route(version=2, weight=0.1, role="canary")])
    before = ws.serving.get_deployment("delay")
    page.goto("/deployments/delay")
    told = page.get_by_role("list", name="How it is served")
    said(told, "answers ann only", "50 requests a second for each caller")
    page.get_by_role("button", name="undeploy").click()
    page.get_by_role("form", name="undeploy").get_by_role("button", name="undeploy").click()
    page.locator(".toast", has_text="is undeployed").wait_for()
    page.get_by_role("button", name="undo").click()
    page.locator(".toast", has_text="v2 10\u202f% as canary again").wait_for()
    after = ws.serving.get_deployment("delay")
    assert (after.routes, after.rate_limit, after.callers, after.idle_s) == (before.routes, 50, ["ann"], 600)
    ws.serving.deploy("delay", 1, rate_limit=0, callers=[], idle_s=0)


def test_a_graph_is_drawn_with_its_models(watched: Any, ws: hs.Workspace, plane: PlaneProcess) -> None:
    page = watched.page
    watched.expect("422")
    pair = Ensemble(members=[Member(name="delay"), Member(name="delay", version=2)], weights=[3, 1])
    ws.serving.deploy_graph("pair", pair)
    ws.serving.wait_ready("pair")
    with PredictionClient(plane.url) as client:
        client.predict_many("pair", [(f"pair{at}", {}, row) for at, row in enumerate(ROWS)])
        client.flush("pair")
    page.goto("/deployments/pair")
    drawn = page.get_by_role("group", name="Graph of models")
    named = drawn.get_by_role(
        "link", name=re.compile("model delay, v2, named by the graph, .* a second .* none failed")
    )
    named.wait_for()
    counted(drawn.locator("text", has_text="mean"), 1)
    counted(drawn.locator("text", has_text="weight 3"), 1)
    counted(page.locator(".chip", has_text="graph of 2 models"), 1)
    named.click()
    page.locator(".chip", has_text="asked by the graph pair").wait_for()
    page.get_by_role("button", name="undeploy").click()
    page.get_by_role("form", name="undeploy").get_by_role("button", name="undeploy").click()
    page.locator(".toast", has_text="is asked by the graph 'pair'").wait_for()
    ws.serving.undeploy("pair")
    watched.heard("422")


def test_requests_are_seen_while_they_come(page: Any, ws: hs.Workspace, plane: PlaneProcess) -> None:
    ws.serving.set_routes("delay", [Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")])
    ws.serving.wait_ready("delay")
    page.goto("/deployments/delay")
    page.locator(".line-chart").nth(2).wait_for()
    ask(plane, "seen")
    figures = page.get_by_role("region", name="Figures by version")
    figures.locator("tr", has_text="v2 canary").wait_for()
    said(page.locator(".say"), "requests a second")
    page.get_by_role("button", name="1 hour").click()
    soon(page, lambda: page.url.endswith("?span=1h"), True)


def test_a_model_is_tried_with_its_recorded_rows_and_typed_ones(
    page: Any, ws: hs.Workspace, plane: PlaneProcess
) -> None:
    page.goto("/deployments/delay")
    form = page.get_by_role("form", name="Try it")
    form.get_by_label("distance, row 1").fill("far")
    soon(page, lambda: form.get_by_role("button", name="ask").is_disabled(), True)
    said(form.get_by_role("status"), "distance, row 1")
    form.get_by_role("button", name="add a row").click()
    for row, value in ((1, "0"), (2, "-1e3")):
        for column in ("distance", "hour", "wind"):
            form.get_by_label(f"{column}, row {row}").fill(value)
    third = form.get_by_role("button", name="Take row 3 out")
    while rows := third.count() and form.get_by_role("button", name=re.compile("^Take row .* out$")).count():
        third.click()
        counted(form.get_by_role("button", name=re.compile("^Take row .* out$")), rows - 1)
    form.get_by_role("button", name="ask").press("Enter")
    answer = form.get_by_role("status", name="Answer")
    said(answer, "v1 answered as champion in")
    worded(answer.locator("tbody tr:first-child td:nth-of-type(2)"), ["0.50000"])
    code = form.locator(".code pre")
    said(code, f"curl {plane.url}/v2/models/delay/infer -d ")
    form.get_by_role("button", name="Python").click()
    said(code, "print(")
    given: dict[str, Any] = {"print": lambda outputs: given.update(outputs=outputs)}
    exec(compile(code.inner_text(), "the lines of the form", "exec"), given)
    assert given["outputs"][0]["data"][0] == 0.5
    form.get_by_role("button", name="MLflow").click()
    said(code, "ScoringServerClient", '"distance": [0, -1000]')
    page.get_by_label("Which version").select_option("1")
    form.get_by_role("button", name="ask").click()
    answer.locator("p", has_text="by name").wait_for()


def test_an_answer_that_cannot_be_given_is_told_in_the_models_words(watched: Any, ws: hs.Workspace) -> None:
    page = watched.page
    watched.expect("400")
    page.route("**/predict/delay", lambda route: route.continue_(
        **({"post_data": '{"inputs": []}'} if route.request.method == "POST" else {})
    ))  # fmt: skip
    page.goto("/deployments/delay")
    page.get_by_role("form", name="Try it").get_by_role("button", name="ask").click()
    told = page.get_by_role("form", name="Try it").get_by_role("alert")
    said(told, "misses")
    watched.heard("400")


def test_a_shadow_is_seen_beside_what_was_answered(page: Any, ws: hs.Workspace, plane: PlaneProcess) -> None:
    ws.serving.set_routes("delay", [Route(version=1), Route(version=3, role="shadow")])
    ws.serving.wait_ready("delay")
    ask(plane, "shadow")
    page.goto("/deployments/delay")
    card = page.locator(".shadow-card")
    card.get_by_role("img", name="probability of v3 against what was answered: 40 rows").wait_for()
    differing = card.get_by_role("region", name="Rows that differ most")
    differing.get_by_role("button").first.click()
    request = page.locator(".request-card")
    request.get_by_role("region", name="What was answered").wait_for()
    addressed(page, "request=shadow")
    rows = request.locator("tbody tr")
    soon(page, lambda: [row.split("\t")[1] for row in rows.all_inner_texts()], ["v1 champion", "v3 shadow"])
    page.get_by_role("button", name="rows of the request above").click()
    logged = ws.serving.logged_request("delay", page.url.split("request=")[1])[0].inputs["hour"]
    soon(page, lambda: float(page.get_by_label("hour, row 1").input_value()), pytest.approx(logged))
    request.get_by_role("button", name="Close the request").click()
    addressed(page, without="request=")


def test_what_is_not_deployed_can_be_deployed(page: Any, ws: hs.Workspace) -> None:
    ws.serving.undeploy("delay")
    page.goto("/deployments/delay")
    page.get_by_role("button", name="deploy v3").click()
    page.get_by_role("form", name="deploy v3").get_by_role("button", name="deploy v3").click()
    page.locator(".toast", has_text="v3 of delay is deployed").wait_for()
    page.locator(".route-list", has_text="v3").wait_for()
    assert routes_of(ws) == [(3, 1.0, "champion")]
