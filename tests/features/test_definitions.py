"""Views and sets by name, and features built from a workspace's own tables."""

from __future__ import annotations

import polars as pl
import pytest

import homeostat as hs
from homeostat.core.context import acting_run
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.features import FeatureSet, FeatureView, Latest, Windows

DELAYS = FeatureView(
    name="delays",
    source="departures",
    known_at="left_ms",
    features=[
        Windows(name="delay", key=["origin"], value="minutes", over=["1h"]),
        Latest(name="last", key=["origin"], values=["minutes"], within="2h"),
    ],
)
SET = FeatureSet(name="flight", at="at_ms", given=["hour"], views=[DELAYS])
SPINE = pl.DataFrame(
    {"origin": ["JFK", "LGA", "JFK"], "at_ms": [3_600_000, 3_600_000, 0], "hour": [1, 1, 0], "flight": ["a", "b", "c"]}
)


def departures(minutes: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"origin": ["JFK"] * len(minutes), "minutes": minutes, "left_ms": [1_000] * len(minutes)})


def test_equal_declarations_are_one_version_and_a_change_is_another(any_ws: hs.Workspace) -> None:
    first = any_ws.features.register_view(DELAYS)
    assert any_ws.features.register_view(DELAYS) == first
    assert first.columns == ["delay_mean_1h", "delay_count_1h", "last_minutes"]
    wider = FeatureView(name="delays", source="departures", known_at="left_ms", features=DELAYS.features[:1])
    second = any_ws.features.register_view(wider)
    assert (first.version, second.version) == (1, 2)
    assert any_ws.features.get_view("delays") == second
    assert any_ws.features.get_view("delays", version=1).view == DELAYS
    assert any_ws.features.list_views() == [second]
    assert any_ws.features.list_sets() == []
    assert any_ws.features.register_set(SET).set == SET


def test_an_unknown_name_and_a_wrong_declaration_say_what_to_do(ws: hs.Workspace) -> None:
    ws.features.register_set(SET)
    with pytest.raises(NotFound, match="there are flight"):
        ws.features.get_set("flihgt")
    with pytest.raises(NotFound, match="of version 7"):
        ws.features.get_set("flight", version=7)
    wrong = FeatureView(
        name="w", source="s", known_at="t", features=[Windows(name="w", key=[], value="v", over=["soon"])]
    )
    with pytest.raises(InvalidInput, match="'soon' is not a length of time"):
        ws.features.register_view(wrong)
    with pytest.raises(InvalidInput, match="not a valid feature set"):
        ws.features.register_set(FeatureSet(name="../x", at="at", views=[]))


def test_build_puts_the_features_beside_the_spine(ws: hs.Workspace) -> None:
    ws.data.write_table("departures", departures([10, 30]))
    ws.data.write_table("departures", departures([80]))
    ws.features.register_set(SET)
    built = ws.features.build("flight", SPINE)
    assert built.columns == ["origin", "at_ms", "flight", "hour", "delay_mean_1h", "delay_count_1h", "last_minutes"]
    assert built["flight"].to_list() == ["a", "b", "c"]
    assert built["delay_mean_1h"].to_list() == [40.0, None, None]
    pinned = ws.features.build("flight", SPINE, tables={"departures": 1})
    assert pinned["delay_mean_1h"].to_list() == [20.0, None, None]
    assert pinned["last_minutes"].to_list() == [30.0, None, None]
    with pytest.raises(InvalidInput, match="it reads departures"):
        ws.features.build("flight", SPINE, tables={"arrivals": 1})


def test_a_run_that_builds_features_has_read_the_set_and_the_tables(ws: hs.Workspace) -> None:
    ws.data.write_table("departures", departures([10]))
    ws.features.register_set(SET)
    run = ws.tracking.create_run(name="features")
    with acting_run(run.id):
        ws.features.build("flight", SPINE)
    kinds = {(node.kind, node.version) for node in ws.lineage.of("run", run.id).nodes}
    assert {("features", "1"), ("table", "1")} <= {(kind, str(version)) for kind, version in kinds}
