"""`hs.open("http://…")` gives what `hs.open(folder)` gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import HomeostatError, Unavailable
from homeostat.core.records import plain
from homeostat.core.verbs import Verb
from homeostat.server.app import all_verbs
from tests.server.running import Running

FLIGHTS = pl.DataFrame({
    "flight": pl.Series([1, 2, 3], dtype=pl.Int64), "delay": [0.5, None, -3.0], "carrier": ["UA", "Ω", None],
    "late": [True, False, None],
})  # fmt: skip


@pytest.fixture
def remote(server: Running) -> Iterator[hs.Workspace]:
    with hs.open(server.url) as workspace:
        yield workspace


def settled(value: Any) -> Any:
    """`value` without what differs from one time to the next."""
    if isinstance(value, pl.DataFrame):
        return value.to_dict(as_series=False)
    if isinstance(value, bytes):
        return value
    return _without_times(plain(value))


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if not k.endswith("_ms") and k != "source"}
    return [_without_times(v) for v in value] if isinstance(value, list) else value


# One life of a workspace: each step is a call whose result, or whose error, must be the same.
STORY: list[tuple[str, Callable[[hs.Workspace], Any]]] = [
    ("write", lambda ws: ws.data.write_table("flights", FLIGHTS, key=["flight"], message="Ω first")),
    ("write once", lambda ws: ws.data.write_table("flights", FLIGHTS, mode="overwrite", once="k")),
    ("write once again", lambda ws: ws.data.write_table("flights", FLIGHTS, mode="overwrite", once="k")),
    ("write, positional", lambda ws: ws.data.write_table("flights", FLIGHTS.head(1), "append")),
    ("read", lambda ws: ws.data.read_table("flights")),
    ("read old", lambda ws: ws.data.read_table("flights", version=1, columns=["late", "delay"])),
    ("read unknown", lambda ws: ws.data.read_table("flihgts")),
    ("read unknown column", lambda ws: ws.data.read_table("flights", columns=["dealy"])),
    ("list", lambda ws: ws.data.list_tables()),
    ("limit", lambda ws: ws.data.list_versions("flights", limit=1)),
    ("bad name", lambda ws: ws.data.write_table("../x", FLIGHTS)),
    ("run", lambda ws: ws.tracking.create_run(id="a" * 32, name="null", params={"x": "1", "é": ""}, tags={"a": "b"})),
    ("run again", lambda ws: ws.tracking.create_run(id="a" * 32, name="null")),
    ("metrics", lambda ws: ws.tracking.log_metrics("a" * 32, {"auc": 0.5, "loss": 1e-300}, step=3, at_ms=7)),
    ("history", lambda ws: ws.tracking.metric_history("a" * 32, "auc")),
    ("artifact", lambda ws: ws.tracking.log_artifact("a" * 32, "plots/Ω 1.bin", bytes(range(256)))),
    ("artifacts", lambda ws: ws.tracking.list_artifacts("a" * 32)),
    ("artifact back", lambda ws: ws.tracking.read_artifact("a" * 32, "plots/Ω 1.bin")),
    ("artifact outside", lambda ws: ws.tracking.read_artifact("a" * 32, "../x")),
    ("finish", lambda ws: ws.tracking.finish_run("a" * 32, status="failed", error="it\nbroke")),
    ("get", lambda ws: ws.tracking.get_run("a" * 32)),
    ("search", lambda ws: ws.tracking.search_runs(query="null", limit=10)),
    ("search none", lambda ws: ws.tracking.search_runs(query="3")),
    ("unknown run", lambda ws: ws.tracking.get_run("b" * 32)),
    ("model", lambda ws: ws.registry.get_version("nope", alias="champion")),
    ("models", lambda ws: ws.registry.list_models()),
    ("user", lambda ws: ws.team.add_user("ann", role="editor")),
    ("user again", lambda ws: ws.team.add_user("ann")),
    ("users", lambda ws: ws.team.list_users()),
    ("lineage", lambda ws: ws.lineage.of("table", "flights", 1)),
]  # fmt: skip


def outcome(call: Callable[[hs.Workspace], Any], ws: hs.Workspace) -> Any:
    try:
        result = call(ws)
    except HomeostatError as error:
        return type(error).__name__, error.message.replace(str(ws.home), "HOME"), error.hint, error.facts
    return type(result).__name__, settled(result)


def test_a_remote_workspace_lives_the_same_life(remote: hs.Workspace, tmp_path):
    with hs.open(tmp_path / "local") as local:
        for name, call in STORY:
            assert outcome(call, remote) == outcome(call, local), name


ALONE = [v for v in all_verbs() if v.safe and not any(p.required for p in v.parameters)]


@pytest.mark.parametrize("verb", ALONE, ids=lambda v: f"{v.slice}.{v.name}")
def test_every_question_has_the_same_answer(server: Running, remote: hs.Workspace, verb: Verb):
    """On one workspace, asked directly and over HTTP."""
    local = server.workspace
    local.data.write_table("flights", FLIGHTS)
    local.tracking.create_run(name="x")
    here, there = (outcome(lambda ws: getattr(getattr(ws, verb.slice), verb.name)(), ws) for ws in (local, remote))
    assert there == here


def test_nothing_but_what_was_said_is_sent(server: Running, remote: hs.Workspace):
    """None is an argument like any other, not a wish for the default."""
    server.workspace.data.write_table("flights", FLIGHTS)
    assert remote.data.list_versions("flights", before=None, limit=5)
    with pytest.raises(HomeostatError, match="limit: Expected `int`, got `null`"):
        remote.data.list_versions("flights", limit=None)


def test_a_wrong_call_fails_here_as_python_does(remote: hs.Workspace):
    with pytest.raises(TypeError, match="unexpected keyword argument 'vesrion'"):
        remote.data.read_table("x", vesrion=1)
    with pytest.raises(TypeError, match="missing a required argument"):
        remote.data.read_table()
    with pytest.raises(HomeostatError, match="takes no argument 'ratelimit'\n  → did you mean 'rate_limit'"):
        remote.serving.configure("x", ratelimit=1.0)
    with pytest.raises(HomeostatError, match="has no verb 'raed_table'"):
        remote.data.raed_table("x")


def test_a_remote_workspace_has_no_database_here(remote: hs.Workspace):
    with pytest.raises(Unavailable, match="its database is not at hand"):
        _ = remote.db


def test_nobody_there_says_what_to_start(server: Running):
    with hs.open("http://127.0.0.1:9") as nobody, pytest.raises(Unavailable, match="no Homeostat answers") as caught:
        nobody.data.list_tables()
    assert "homeostat up" in caught.value.hint


def test_many_at_once(server: Running):
    from homeostat.testing.database import in_threads

    def work(mine: int) -> None:
        with hs.open(server.url) as ws:
            for step in range(10):
                run = ws.tracking.create_run(name=f"{mine}-{step}")
                ws.tracking.log_metrics(run.id, {"m": float(step)})
                ws.tracking.finish_run(run.id)

    in_threads([lambda mine=mine: work(mine) for mine in range(8)])
    found = server.workspace.tracking.search_runs(limit=500).runs
    assert {run.name for run in found} == {f"{mine}-{step}" for mine in range(8) for step in range(10)}
    assert {run.status for run in found} == {"finished"}
