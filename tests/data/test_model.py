"""Any sequence of writes equals a plain Python model, at every version, for us and for Delta readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.ids import new_id

SCHEMA = {"k": pl.Int64, "s": pl.String, "v": pl.Int64}
rows = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.none() | st.integers(-3, 3)), min_size=0, max_size=5
)
writes = st.lists(st.tuples(st.sampled_from(["append", "overwrite", "upsert"]), rows), min_size=1, max_size=6)
Row = tuple[int, str, int | None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hs.Workspace]:
    """One workspace for all examples; each uses a table of its own."""
    with hs.open(tmp_path_factory.mktemp("model") / "home") as workspace:
        yield workspace


def after(state: list[Row], mode: str, given: list[Row]) -> list[Row]:
    """What a table holds after a write. Keys are (k, s)."""
    if mode == "append":
        return state + given
    if mode == "overwrite":
        return given
    last = {row[:2]: row for row in given}
    return [row for row in state if row[:2] not in last] + list(last.values())


def ordered(found: list[Row]) -> list[Row]:
    return sorted(found, key=repr)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(writes)
def test_every_version_equals_the_model(shared: hs.Workspace, steps: list[tuple[str, list[Row]]]) -> None:
    name, states = f"t{new_id()}", [[]]
    for mode, given_rows in steps:
        frame = pl.DataFrame(given_rows, schema=SCHEMA, orient="row")
        version = shared.data.write_table(name, frame, mode=mode, key=["k", "s"])
        states.append(after(states[-1], mode, given_rows))
        assert (version.version, version.rows) == (len(states) - 1, len(states[-1]))
    folder = str(shared.home / "tables" / name)
    for number, state in enumerate(states[1:], start=1):
        found = shared.data.read_table(name, version=number)
        assert ordered(found.rows()) == ordered(state)
        assert ordered(pl.read_delta(folder, version=number).rows()) == ordered(state)
        if all(mode != "upsert" for mode, _ in steps[:number]):
            assert found.rows() == state  # without upserts, also in order
    assert shared.data.verify_table(name) <= len(steps)


def test_reopened_it_is_the_same(tmp_path: Path) -> None:
    with hs.open(tmp_path / "home") as first:
        first.data.write_table("t", pl.DataFrame({"x": [1, 2]}))
        before = (first.data.list_versions("t"), first.data.get_table("t"))
    with hs.open(tmp_path / "home") as second:
        assert (second.data.list_versions("t"), second.data.get_table("t")) == before
        assert second.data.read_table("t")["x"].to_list() == [1, 2]
