from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.events import events_after
from homeostat.core.lineage_facts import table as facts
from homeostat.registry import DataVersion, GateResult, fetch

Put = Callable[..., str]


def test_a_version_says_what_it_is_and_where_it_comes_from(any_ws: hs.Workspace, package: Put):
    run = any_ws.tracking.create_run()
    digest = package(any_ws)
    made = any_ws.registry.register(
        "delay", digest, run_id=run.id, metrics={"auc": 0.7}, params={"depth": 6}, tags={"by": "me"},
        data=[DataVersion(table="flights", version=3)], description="first",
    )  # fmt: skip
    assert (made.model, made.version, made.status, made.digest, made.run_id) == ("delay", 1, "pending", digest, run.id)
    assert made.metrics == {"auc": 0.7} and made.params == {"depth": "6"} and made.flavor == "lightgbm"
    assert sorted(made.files) == ["model.json", "model.txt"] and made.size > 100
    assert any_ws.registry.get_version("delay") == any_ws.registry.get_version("delay", 1) == made
    model = any_ws.registry.list_models()[0]
    assert (model.name, model.versions, model.aliases) == ("delay", 1, {})
    rows = any_ws.db.read(lambda c: c.execute(facts.select()).all())
    assert sorted((r.run_id, r.direction, r.kind, r.asset, r.version) for r in rows) == [
        (run.id, "read", "table", "flights", "3"),
        (run.id, "write", "model", "delay", "1"),
    ]
    assert events_after(any_ws, 0)[-1].payload == {"model": "delay", "version": 1, "run_id": run.id}


def test_registering_once_is_done_once(any_ws: hs.Workspace, package: Put):
    first = any_ws.registry.register("m", package(any_ws, "a"), once="train-7")
    again = any_ws.registry.register("m", package(any_ws, "b"), once="train-7")
    other = any_ws.registry.register("m", package(any_ws, "b"), once="train-8")
    assert again == first and other.version == 2
    assert any_ws.registry.register("other", package(any_ws, "a"), once="train-7").version == 1


def test_versions_from_eight_threads_are_distinct_and_dense(any_ws: hs.Workspace, package: Put):
    digest = package(any_ws)
    made: list[int] = []

    def register(thread: int) -> None:
        for number in range(5):
            made.append(any_ws.registry.register("m", digest, once=f"{thread}-{number}").version)

    threads = [threading.Thread(target=register, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(1, 41))
    assert [v.version for v in any_ws.registry.list_versions("m")] == list(range(40, 0, -1))


def _register_in_a_process(url: str, digest: str, name: str) -> list[int]:
    with hs.open(url) as ws:
        return [ws.registry.register(f"m{n % 2}", digest, once=f"{name}-{n}").version for n in range(12)]


def test_versions_from_three_processes_are_distinct_and_dense(any_ws: hs.Workspace, package: Put):
    digest = package(any_ws)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        jobs = [pool.apply_async(_register_in_a_process, (any_ws.url, digest, name)) for name in "abc"]
        for job in jobs:
            job.get(60)
    for model in ("m0", "m1"):
        assert [v.version for v in any_ws.registry.list_versions(model)] == list(range(18, 0, -1))


def test_what_cannot_be_registered_is_refused_with_the_reason(any_ws: hs.Workspace, tmp_path: Path, package: Put):
    with pytest.raises(NotFound, match="no bytes are kept"):
        any_ws.registry.register("m", "0" * 64)
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "weights.bin").write_bytes(b"x")
    with pytest.raises(InvalidInput, match=r"not a model package: it has no model\.json"):
        any_ws.registry.register("m", any_ws.blobs.put_tree(tmp_path / "junk").digest)
    with pytest.raises(InvalidInput, match="is not a valid model name"):
        any_ws.registry.register("../m", package(any_ws))
    (tmp_path / "junk" / "model.json").write_text('{"format": 9}')
    with pytest.raises(InvalidInput):
        any_ws.registry.register("m", any_ws.blobs.put_tree(tmp_path / "junk").digest)
    assert any_ws.registry.list_models() == []


def test_what_is_not_there_is_named_with_what_is(any_ws: hs.Workspace, package: Put):
    with pytest.raises(NotFound, match="model 'm' is not registered"):
        any_ws.registry.get_version("m")
    with pytest.raises(NotFound, match="model 'm' is not registered"):
        any_ws.registry.list_versions("m")
    any_ws.registry.register("m", package(any_ws))
    with pytest.raises(NotFound, match="it has versions 1 to 1"):
        any_ws.registry.get_version("m", 2)
    with pytest.raises(NotFound, match="has no alias 'champion'"):
        any_ws.registry.get_version("m", alias="champion")
    with pytest.raises(NotFound, match=r"no file 'x'"):
        any_ws.registry.read_file("m", 1, "x")


def test_gates_make_a_version_valid_or_refused(any_ws: hs.Workspace, package: Put):
    any_ws.registry.register("m", package(any_ws))
    good = GateResult(gate="auc", passed=True, value=0.8, limit=0.7, reason="auc 0.80 ≥ 0.70")
    slow = GateResult(gate="latency", passed=False, value=30.0, limit=20.0, reason="p99 30 ms > 20 ms")
    assert any_ws.registry.record_gates("m", 1, [good, slow]).status == "refused"
    assert any_ws.registry.record_gates("m", 1, [good, slow]).gates == [good, slow]
    fast = GateResult(gate="latency", passed=True, value=10.0, limit=20.0, reason="p99 10 ms ≤ 20 ms")
    judged = any_ws.registry.record_gates("m", 1, [fast])
    assert judged.status == "valid" and judged.gates == [good, fast]
    assert any_ws.registry.get_version("m", 1) == judged
    told = [e.payload for e in events_after(any_ws, 0) if e.name == "gates_recorded"]
    assert [(t["status"], t["failed"]) for t in told] == [("refused", ["latency"]), ("valid", [])]
    with pytest.raises(InvalidInput, match="no gate results"):
        any_ws.registry.record_gates("m", 1, [])


def test_notes_are_kept_beside_the_version(any_ws: hs.Workspace, package: Put):
    any_ws.registry.register("m", package(any_ws), tags={"a": 1})
    any_ws.registry.annotate("m", description="late arrivals")
    any_ws.registry.annotate("m", 1, description="the first", tags={"b": 2})
    version = any_ws.registry.get_version("m", 1)
    assert (version.description, version.tags) == ("the first", {"a": "1", "b": "2"})
    assert any_ws.registry.list_models()[0].description == "late arrivals"


def test_fetching_gives_the_bytes_back(any_ws: hs.Workspace, package: Put, tmp_path: Path):
    any_ws.registry.register("m", package(any_ws, "the model"))
    folder = fetch(any_ws, "m", dest=tmp_path / "here")
    assert (folder / "model.txt").read_text() == "the model"
    assert any_ws.registry.read_file("m", 1, "model.txt") == b"the model"
