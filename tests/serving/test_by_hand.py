"""What somebody types wrongly: one line that says what is wrong, an exit code, and nothing half done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import homeostat as hs
from homeostat.cli.main import main
from homeostat.cli.tables import show
from homeostat.core.errors import Conflict, InvalidInput, NotFound, Refused
from homeostat.core.records import plain
from homeostat.serving import (
    CanaryPolicy,
    Deployment,
    Route,
    configure,
    deploy,
    deployment_history,
    get_deployment,
    rollback,
    start_canary,
)
from tests.serving.models import register_logistic

CANARY = '[{"version": 1, "weight": %s}, {"version": 2, "weight": %s, "role": "canary"}]'


@pytest.fixture
def spam(ws: hs.Workspace, tmp_path: Path) -> hs.Workspace:
    """Three versions, of which the first is deployed."""
    for number in range(3):
        register_logistic(ws, tmp_path, "spam", np.full(3, float(number)))
    deploy(ws, "spam", 1)
    return ws


def typed(ws: hs.Workspace, *words: str) -> int:
    return main([*words, "--home", str(ws.home)])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["deploy", "spam", "9"], NotFound, "model 'spam' has no version 9\n  → it has versions 1 to 3"),
        (["deploy", "spam", "-1"], NotFound, "no version -1"),
        (["deploy", "spam", "x"], InvalidInput, "serving.deploy: version: Expected `int | null`, got `str` in 'x'"),
        (["deploy", "spam", "2", "3"], SystemExit, "unrecognized arguments: 3"),
        (["deploy", "spam", "2", "--version", "3"], InvalidInput, "'2' is one word too many"),
        (["deploy", "spam", "--sticky", "both"], InvalidInput, "'both'\n  → one of request, key"),
        (["deploy", "spam", "--rate-limit", "nan"], InvalidInput, "rate_limit=nan\n  → requests a second"),
        (["configure", "spam", "--log-share", "-0.5"], InvalidInput, "log_share=-0.5"),
        (["configure", "spam", "--max-replicas", "0"], InvalidInput, "there is nothing"),
        (["configure", "spam", "--redacted", "wnd"], InvalidInput, "has no input 'wnd' to redact"),
        (["configure", "nothing", "--log-share", "1"], NotFound, "'nothing' is not deployed"),
        (["set-routes", "spam", CANARY % (1.5, -0.5)], InvalidInput, "1.5 is not between 0 and 1"),
        (["set-routes", "spam", CANARY % (0.5, 0.6)], InvalidInput, "add up"),
        (["set-routes", "spam", CANARY % ("NaN", 0.1)], InvalidInput, "is not JSON"),
        (["set-routes", "spam", CANARY % (0.9, '"a tenth"')], InvalidInput, "Expected `float`, got `str`"),
        (["set-routes", "spam", '[{"version": 1, "wieght": 0.5}]'], InvalidInput, "has no field 'wieght'\n  → did you"),
        (["set-routes", "spam", '[{"version": 1, "role": "boss"}]'], InvalidInput, "'boss'"),
        (["set-routes", "spam", "1"], InvalidInput, "Expected `array`"),
        (["set-routes", "spam", "@nowhere.json"], NotFound, "no file nowhere.json"),
        (["set-routes", "spam", '[{"version": 9}]'], NotFound, "no version 9"),
        (["start-canary", "spam", "1"], InvalidInput, "is the champion of 'spam' already"),
        (["start-canary", "spam", "2", '{"weigths": [1]}'], InvalidInput, "no field 'weigths'\n  → did you mean"),
        (["start-canary", "spam", "2", '{"weights": [0.5, 0.2]}'], InvalidInput, "do not rise"),
        (["start-canary", "spam", "2", '{"alpha": 0}'], InvalidInput, "alpha lies between 0 and 1"),
        (["start-bandit", "spam", "two"], InvalidInput, "Expected `int`"),
        (["rollback", "spam"], Refused, "no earlier deployment"),
        (["rollback", "spam", "7"], Conflict, "is at generation 1, not 7"),
        (["deploy-graph", "spam", '{"type": "sequence", "steps": [], "stesp": []}'], InvalidInput, "no field 'stesp'"),
        (["deploy-graph", "spam", '{"type": "circle"}'], InvalidInput, "'circle'"),
    ],
)  # fmt: skip
def test_a_slip_is_told_and_changes_nothing(
    spam: hs.Workspace, capsys: pytest.CaptureFixture[str], words: list[str], code: Any, says: str
):
    before = get_deployment(spam, "spam")
    if code is SystemExit:
        with pytest.raises(SystemExit) as left:
            typed(spam, "serving", *words)
        assert left.value.code == 2
    else:
        assert typed(spam, "serving", *words) == code.exit_code
    told = capsys.readouterr()
    assert (told.out, says in told.err) == ("", True), told
    assert get_deployment(spam, "spam") == before


def test_what_is_deployed_is_not_deleted_and_what_was_deleted_is_not_returned_to(
    spam: hs.Workspace, capsys: pytest.CaptureFixture[str]
):
    for version in ("2", "3"):  # a second canary takes the place of the first
        assert typed(spam, "serving", "start-canary", "spam", version) == 0
    assert [route.version for route in get_deployment(spam, "spam").routes] == [1, 3]
    assert typed(spam, "registry", "delete-version", "spam", "3") == Refused.exit_code
    assert "is deployed, as canary" in capsys.readouterr().err
    assert typed(spam, "serving", "deploy", "spam", "2") == 0
    assert typed(spam, "serving", "deploy", "spam", "3") == 0
    assert typed(spam, "registry", "delete-version", "spam", "2") == 0
    assert typed(spam, "serving", "rollback", "spam") == Refused.exit_code
    assert "`homeostat serving deploy spam VERSION`" in capsys.readouterr().err
    assert get_deployment(spam, "spam").champion == 3


def test_words_stand_for_the_first_option_and_files_for_json(
    spam: hs.Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert typed(spam, "serving", "deploy", "spam", "--key", "flight", "2") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["routes"][0]["version"], found["key"]) == (2, "flight")
    (tmp_path / "routes.json").write_text(CANARY % (0.75, 0.25))
    assert typed(spam, "serving", "set-routes", "spam", f"@{tmp_path / 'routes.json'}") == 0
    assert [route.weight for route in get_deployment(spam, "spam").routes] == [0.75, 0.25]
    assert typed(spam, "serving", "start-bandit", "spam", "2") == 0  # one version is a list of one
    assert get_deployment(spam, "spam").bandit is not None


def test_help_says_what_to_type(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    for words, says in (
        (["deploy"], "request | key"),
        (["set-routes"], 'JSON, or @FILE: [{"version": int, "weight": 1.0, "role": "champion"}, …]'),
        (["start-canary"], '"min_requests": 500'),
        (["deploy-graph"], '{"type": "sequence", "steps": [{…}, …]}'),
    ):
        with pytest.raises(SystemExit):
            main(["serving", *words, "--help"])
        assert says in capsys.readouterr().out


def test_options_change_alone(spam: hs.Workspace):
    first = start_canary(spam, "spam", 2, CanaryPolicy(weights=[0.2, 1.0]))
    found = configure(spam, "spam", rate_limit=200.0, callers=["web"])
    assert (found.rate_limit, found.callers, found.generation) == (200.0, ["web"], first.generation + 1)
    assert (found.routes, found.canary, found.updated_ms) == (first.routes, first.canary, first.updated_ms)
    assert configure(spam, "spam", rate_limit=200.0) == found
    assert deployment_history(spam, "spam", 1)[0].reason == "options"
    with pytest.raises(Conflict):
        configure(spam, "spam", expect_generation=first.generation, idle_s=1.0)
    back = rollback(spam, "spam")  # to the routes before the canary, with the options of now
    assert (back.routes, back.rate_limit) == ([Route(version=1)], 200.0)
    with pytest.raises(InvalidInput, match="there is no option 'rate_limmit'\n  → did you mean 'rate_limit'"):
        configure(spam, "spam", rate_limmit=1.0)  # pyright: ignore[reportCallIssue]


def test_a_person_reads_what_a_machine_gets_as_json(
    spam: hs.Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "160")
    configure(spam, "spam", rate_limit=5.0)
    deployed = start_canary(spam, "spam", 2, CanaryPolicy(weights=[0.2, 1.0]))
    show([plain(deployed)], list[Deployment])
    told = capsys.readouterr().out
    assert "version 1, weight 0.8, role champion" in told
    assert "as by default: sticky" in told
    show(plain(deployed), Deployment)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("rate_limit") and line.split()[-1] == "5" for line in lines)
    assert any("UTC" in line for line in lines if line.startswith("updated_ms"))
