from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, InvalidInput, NotFound
from homeostat.core.events import events_after
from homeostat.core.statements import rows
from homeostat.registry import DataVersion

Put = Callable[..., str]


def test_a_model_may_be_there_before_its_first_version(any_ws: hs.Workspace, package: Put):
    made = any_ws.registry.create_model("Flight delay", description="late?", tags={"team": "ops", "at": 1})
    assert (made.versions, list(made.tags.items()), made.description, made.aliases) == (
        0, [("at", "1"), ("team", "ops")], "late?", {},
    )  # fmt: skip
    assert any_ws.registry.get_model("Flight delay") == made == any_ws.registry.list_models()[0]
    with pytest.raises(AlreadyExists, match="'Flight delay' exists already"):
        any_ws.registry.create_model("Flight delay")
    assert any_ws.registry.list_versions("Flight delay") == []
    assert any_ws.registry.register("Flight delay", package(any_ws)).version == 1
    assert [e.name for e in events_after(any_ws, 0)] == ["model_created", "version_registered"]
    assert [e.action for e in any_ws.registry.history("Flight delay")] == ["created"]
    assert any_ws.registry.verify_history("Flight delay").intact


def test_of_two_who_make_a_model_at_once_one_is_refused(postgres: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    with hs.open(url := postgres.new_database()) as ws, hs.open(url) as other, ThreadPoolExecutor(1) as pool:

        def make(c: sa.Connection) -> Future[Any]:
            ws.registry.create_model("m", tags={"whose": "first"})
            late = pool.submit(other.registry.create_model, "m", tags={"whose": "second"})
            while not late.done() and not rows(c, "select 1 from pg_locks where not granted"):
                sleep(0.01)
            return late

        with pytest.raises(AlreadyExists, match="'m' exists already"):
            ws.db.write(make).result()
        assert ws.registry.get_model("m").tags == {"whose": "first"}
        assert [entry.action for entry in ws.registry.history("m")] == ["created"]
        assert ws.registry.verify_history("m").intact


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "a:b", "a\nb", "a\x7f", "a\x85b", "a\u2028b", "x" * 257, "\ud800"]
)
def test_what_cannot_name_a_model(ws: hs.Workspace, name: str):
    with pytest.raises(InvalidInput, match="is not a valid model name"):
        ws.registry.create_model(name)


def test_tags_are_set_and_removed_on_models_and_versions(any_ws: hs.Workspace, package: Put):
    any_ws.registry.register("m", package(any_ws), tags={"a": 1})
    any_ws.registry.annotate("m", tags={"x": "y"})
    any_ws.registry.annotate("m", 1, tags={"a": 2, "b": ""})
    assert any_ws.registry.get_model("m").tags == {"x": "y"}
    assert any_ws.registry.get_version("m", 1).tags == {"a": "2", "b": ""}
    assert any_ws.registry.delete_tag("m", "a", 1) and not any_ws.registry.delete_tag("m", "a", 1)
    assert any_ws.registry.delete_tag("m", "x")
    assert any_ws.registry.get_version("m").tags == {"b": ""} and any_ws.registry.get_model("m").tags == {}
    told = [e.payload for e in events_after(any_ws, 0) if e.name == "model_tagged"]
    assert told[-1] == {"model": "m", "version": None, "key": "x", "value": None}
    for key in ("", "../x", "a//b", "x" * 251):
        with pytest.raises(InvalidInput, match="not a valid tag key"):
            any_ws.registry.annotate("m", tags={key: "v"})


def test_a_new_name_takes_everything_along(any_ws: hs.Workspace, package: Put):
    any_ws.registry.register("old", package(any_ws), tags={"a": "1"}, data=[DataVersion(table="t", version=1)])
    any_ws.registry.create_model("other")
    any_ws.registry.set_alias("old", "champion", 1)
    any_ws.registry.set_rule("old", "champion", 1)
    with pytest.raises(AlreadyExists):
        any_ws.registry.rename_model("old", "other")
    assert any_ws.registry.rename_model("old", "new", reason="clearer").aliases == {"champion": 1}
    version = any_ws.registry.get_version("new", alias="champion")
    assert (version.model, version.version, version.tags) == ("new", 1, {"a": "1"})
    assert [move.version for move in any_ws.registry.alias_history("new")] == [1]
    assert any_ws.registry.list_rules("new")[0].model == "new"
    assert [node.label for node in any_ws.lineage.of("model", "new", 1).nodes if node.kind == "model"] == ["new"]
    assert any_ws.registry.history("new")[0].detail == {"to": "new"}
    assert any_ws.registry.verify_history("new").intact
    with pytest.raises(NotFound):
        any_ws.registry.get_model("old")
    assert any_ws.registry.create_model("old").versions == 0


def test_deleted_models_come_back_and_leave_their_name_free(any_ws: hs.Workspace, package: Put):
    any_ws.registry.register("m", package(any_ws, "a"), tags={"t": "1"})
    any_ws.registry.set_alias("m", "champion", 1)
    any_ws.registry.delete_model("m", reason="a mistake")
    for ask in (any_ws.registry.get_model, any_ws.registry.get_version, any_ws.registry.list_versions):
        with pytest.raises(NotFound, match="'m' is not registered"):
            ask("m")
    assert any_ws.registry.list_models() == []
    hidden = any_ws.registry.list_models(deleted=True)[0]
    assert hidden.name == "m" and hidden.deleted_ms
    assert any_ws.registry.register("m", package(any_ws, "b")).version == 1
    with pytest.raises(AlreadyExists):
        any_ws.registry.restore_model("m")
    assert any_ws.registry.restore_model("m", as_name="m-old").aliases == {"champion": 1}
    assert any_ws.registry.get_version("m-old").tags == {"t": "1"}
    assert [entry.action for entry in any_ws.registry.history("m-old")] == ["restored", "deleted", "alias_moved"]
    with pytest.raises(NotFound, match="no model 'm' was deleted"):
        any_ws.registry.restore_model("m")


def test_deleted_versions_keep_their_number(any_ws: hs.Workspace, package: Put):
    for content in "ab":
        any_ws.registry.register("m", package(any_ws, content))
    any_ws.registry.set_alias("m", "champion", 2)
    any_ws.registry.delete_version("m", 2)
    assert any_ws.registry.get_version("m").version == 1 and any_ws.registry.get_model("m").aliases == {}
    with pytest.raises(NotFound, match="has no version 2"):
        any_ws.registry.set_alias("m", "champion", 2)
    assert any_ws.registry.register("m", package(any_ws, "c")).version == 3
    assert [v.version for v in any_ws.registry.list_versions("m")] == [3, 1]
    assert any_ws.registry.restore_version("m", 2).version == 2
    with pytest.raises(NotFound, match="no deleted version 2"):
        any_ws.registry.restore_version("m", 2)
    assert [v.version for v in any_ws.registry.list_versions("m")] == [3, 2, 1]


def test_stages_archive_what_was_there(any_ws: hs.Workspace, package: Put):
    for content in "abc":
        any_ws.registry.register("m", package(any_ws, content))
    any_ws.registry.set_stage("m", 1, "Production")
    assert any_ws.registry.set_stage("m", 2, "Production", archive_existing=True).stage == "Production"
    assert [v.stage for v in any_ws.registry.list_versions("m")] == ["None", "Production", "Archived"]
    with pytest.raises(InvalidInput):
        any_ws.registry.set_stage("m", 2, "None", archive_existing=True)
    moves = [(e.version, e.detail["to"]) for e in any_ws.registry.history("m") if e.action == "stage_changed"]
    assert moves == [(1, "Archived"), (2, "Production"), (1, "Production")]


def test_what_one_change_of_stage_moves_carries_one_time(
    any_ws: hs.Workspace, package: Put, monkeypatch: pytest.MonkeyPatch
):
    for content in "ab":
        any_ws.registry.register("m", package(any_ws, content))
    any_ws.registry.set_stage("m", 1, "Production")
    ticks = count(now_ms())
    for module in ("store", "lifecycle"):
        monkeypatch.setattr(f"homeostat.registry.{module}.now_ms", lambda: next(ticks))
    any_ws.registry.set_stage("m", 2, "Production", archive_existing=True)
    first, second = any_ws.registry.list_versions("m")
    assert (first.stage, second.stage) == ("Production", "Archived")
    assert first.updated_ms == second.updated_ms


def test_two_versions_compared(any_ws: hs.Workspace, package: Put):
    any_ws.registry.register(
        "m", package(any_ws, "a"), params={"depth": 6}, metrics={"auc": 0.7}, data=[DataVersion(table="t", version=1)]
    )
    any_ws.registry.register(
        "m", package(any_ws, "b"), params={"depth": 8, "lr": 0.1}, metrics={"auc": 0.7},
        data=[DataVersion(table="t", version=2)], tags={"by": "me"},
    )  # fmt: skip
    found = any_ws.registry.diff_versions("m", 1, 2)
    assert [(c.name, c.first, c.second) for c in found.params] == [("depth", "6", "8"), ("lr", None, "0.1")]
    assert found.metrics == found.signature == found.environment == [] and not found.same_package
    assert [c.name for c in found.files] == ["model.txt"]
    assert [(c.name, c.first, c.second) for c in found.data] == [("t", 1, 2)]
    assert [c.second for c in found.tags] == ["me"]
    assert any_ws.registry.diff_versions("m", 1, 1).same_package
