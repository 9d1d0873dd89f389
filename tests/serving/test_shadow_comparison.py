"""A shadow's answers beside those that were given."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.registry import log_model
from homeostat.serving import PredictionClient, Route, compare_shadow, deploy, fold, set_routes, wait_ready
from homeostat.serving.shadow import Shadow
from tests.serving.conftest import PlaneProcess
from tests.serving.models import register_logistic

ROWS = np.linspace(-1, 1, 60, dtype="f4").reshape(20, 1, 3)


def ask(plane: PlaneProcess, name: str = "r") -> None:
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", [(f"{name}{at}", {}, row) for at, row in enumerate(ROWS)])
        client.flush("delay")


def test_a_shadow_is_compared_row_by_row(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    weights = [np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 2.0, 0.0])]
    for own in weights:
        register_logistic(ws, tmp_path, "delay", own)
    deploy(ws, "delay", 1)
    assert compare_shadow(ws, "delay") == []
    routes = [Route(version=1), Route(version=2, role="shadow"), Route(version=3, role="shadow")]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    ask(plane)
    first, other, third = (1 / (1 + np.exp(-(ROWS[:, 0] @ own))) for own in weights)
    np.testing.assert_array_equal(first, other)
    same, differs = compare_shadow(ws, "delay", limit=3)
    assert (same.version, same.requests, same.rows, same.failed) == (2, 20, 20, 0)
    assert same.outputs[0].equal == 1
    assert same.outputs[0].correlation == pytest.approx(1)
    assert same.most_different == []
    (output,) = differs.outputs
    gap = np.abs(third - first)
    assert output.output == "probability"
    assert output.mean == pytest.approx(third.mean(), rel=1e-5)
    assert output.mean_answered == pytest.approx(first.mean(), rel=1e-5)
    assert output.difference_mean == pytest.approx(gap.mean(), rel=1e-4)
    assert output.difference_max == pytest.approx(gap.max(), rel=1e-4)
    assert output.equal == pytest.approx((gap <= 1e-6).mean())
    assert [answer.request_id for answer in differs.most_different] == [f"r{at}" for at in np.argsort(-gap)[:3]]
    assert differs.latency_ms is not None and differs.latency_answered_ms is not None
    fold(ws)
    assert compare_shadow(ws, "delay", limit=3) == [same, differs]
    assert compare_shadow(ws, "delay", tolerance=2)[1].outputs[0].equal == 1
    # Asked again by the same ids, each counts once.
    ask(plane)
    assert compare_shadow(ws, "delay")[0].rows == 20


def test_texts_rows_of_numbers_and_failures(ws: hs.Workspace, plane: PlaneProcess) -> None:
    def late(rows: np.ndarray) -> np.ndarray:
        return np.where(rows[:, 0] > 0, "late", "on time").astype(object)

    def later(rows: np.ndarray) -> np.ndarray:
        if (rows[:, 0] > 0.9).any():
            raise ValueError("not today")
        return np.where(rows[:, 0] > -0.5, "late", "on time").astype(object)

    def pair(rows: np.ndarray) -> np.ndarray:
        return np.stack([rows[:, 0], -rows[:, 0]], axis=1)

    def turned(rows: np.ndarray) -> np.ndarray:
        return np.stack([rows[:, 0], rows[:, 0]], axis=1)

    for name, versions in (("text", (late, later)), ("pair", (pair, turned))):
        for model in versions:
            with hs.run("train", ws=ws) as run:
                log_model(ws, name, model, np.zeros((4, 3), "f4"), run_id=run.id)
        deploy(ws, name, 1)
        wait_ready(ws, name, set_routes(ws, name, [Route(version=1), Route(version=2, role="shadow")]).generation)
    with PredictionClient(plane.url) as client:
        for at, row in enumerate(ROWS):
            client.predict("text", row, id=f"r{at}")
            client.predict("pair", row, id=f"r{at}")
        client.flush("text")
        client.flush("pair")
    values = ROWS[:, 0, 0]
    (texts,), (pairs,) = compare_shadow(ws, "text", limit=100), compare_shadow(ws, "pair", limit=100)
    kept = values[values <= 0.9]
    assert (texts.rows, texts.failed) == (len(kept), len(values) - len(kept))
    (output,) = texts.outputs
    assert output.difference_mean is None
    between = (kept > -0.5) & (kept <= 0)
    assert output.equal == pytest.approx(1 - between.mean())
    assert [(answer.answered, answer.shadow) for answer in texts.most_different] == [
        ("on time", "late")
    ] * between.sum()
    assert pairs.outputs[0].difference_max == pytest.approx(2 * np.abs(values).max(), rel=1e-5)
    assert len(pairs.most_different) == (values != 0).sum()


def test_a_request_that_does_not_fit_a_shadow_takes_no_other_with_it() -> None:
    def accept(inputs: list[Any], body: bytes, at: int, known: frozenset[str]) -> SimpleNamespace:
        if not body:
            raise InvalidInput("a column is missing")
        return SimpleNamespace(payload=body)

    logged: list[Any] = []
    counts = SimpleNamespace(failures=0, shadow=0, compute_ns=0)
    loaded: Any = SimpleNamespace(model="delay", version=2, outputs=[], counts=counts, compute=lambda payload: [],
                                  contract=SimpleNamespace(accept=accept, asks=False))  # fmt: skip
    asked: Any = [SimpleNamespace(mirror=(SimpleNamespace(inputs=[]), body, 0)) for body in (b"a", b"", b"b")]
    log: Any = SimpleNamespace(add=lambda _, __, payload, *___: logged.append(payload))
    Shadow(log)._compute(loaded, asked, None, loaded.contract)
    assert logged == [b"a", b"b"]
    assert (counts.shadow, counts.failures) == (2, 1)


def test_mirrored_requests_wait_in_bounded_memory_however_large_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeostat.serving.shadow.MAX_WAITING", 1000)
    went_on, busy = threading.Event(), threading.Event()
    logged: list[str] = []

    def accept(inputs: list[Any], body: bytes, at: int, known: frozenset[str]) -> SimpleNamespace:
        busy.set()
        went_on.wait(60)
        return SimpleNamespace(payload=body)

    contract = SimpleNamespace(accept=accept, asks=False, inputs=[])
    counts = SimpleNamespace(failures=0, shadow=0, compute_ns=0)

    class Version(SimpleNamespace):
        __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]

    version: Any = Version(model="m", version=2, outputs=[], counts=counts, compute=lambda _: [], contract=contract)
    champion: Any = SimpleNamespace(contract=SimpleNamespace(inputs=[1]))
    log: Any = SimpleNamespace(add=lambda _, questions, *__: logged.append(questions[0].id))
    shadow = Shadow(log)

    def mirror(id: str, size: int) -> None:
        asked: Any = SimpleNamespace(id=id, shadows=[version], mirror=(SimpleNamespace(inputs=[]), bytes(size), 0))
        shadow.mirror(champion, [asked], None)

    mirror("alone", 5000)  # more than may wait, but nothing waits
    assert busy.wait(60)
    for id, size in (("first", 600), ("second", 400), ("third", 1)):
        mirror(id, size)
    assert shadow.dropped == 1
    went_on.set()
    shadow.close()
    assert logged == ["alone", "first", "second"]


def test_what_cannot_be_compared_is_told(ws: hs.Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not deployed"):
        compare_shadow(ws, "delay")
    register_logistic(ws, tmp_path, "delay", np.zeros(3))
    deploy(ws, "delay")
    for wrong in ({"tolerance": -1.0}, {"limit": -1}, {"limit": 1001}):
        with pytest.raises(InvalidInput):
            compare_shadow(ws, "delay", **wrong)
