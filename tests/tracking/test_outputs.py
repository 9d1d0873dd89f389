from __future__ import annotations

import pytest

from homeostat.core.errors import InvalidInput
from homeostat.tracking.scripts.outputs import Scalars


def found(text: str, *patterns: str) -> list[tuple[dict[str, float], int | None]]:
    told: list[tuple[dict[str, float], int | None]] = []
    scalars = Scalars(lambda values, step: told.append((values, step)), patterns)
    for line in text.splitlines():
        scalars.line(line)
    return told


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("loss: 0.25", {"loss": 0.25}),
        ("  val loss = -1e-3", {"val_loss": -0.001}),
        ("auc/test: 91%", {"auc/test": 91.0}),
        ("loss=0.25 acc=0.9", {"loss": 0.25, "acc": 0.9}),
        ("loss: 0.25, acc: .9 | lr: 1e-4", {"loss": 0.25, "acc": 0.9, "lr": 1e-4}),
        ("  9%|███   \rloss: 2", {"loss": 2.0}),
        ("loss: nan", {"loss": pytest.approx(float("nan"), nan_ok=True)}),
    ],
)
def test_lines_of_nothing_but_pairs_are_metrics(line: str, values: dict[str, float]):
    assert found(line) == [(values, None)]


@pytest.mark.parametrize(
    "line",
    ["", "done", "saved 3 files", "loading model from: /tmp/1.0/x", "error: 3 files missing", "10:30:15", "a 1 b 2",
     "ratio 3:4", "https://example.com:8080", "version: 1.2.3"],
)  # fmt: skip
def test_prose_is_not(line: str):
    assert found(line) == []


def test_steps_are_those_that_the_output_tells():
    text = "loss: 3\nEpoch 1/3 - loss=2, acc: 0.5\nloss: 1\nstep: 40\nloss: 0.5\nepoch: 2\nloss: 0.25"
    assert [(values.get("loss"), step) for values, step in found(text)] == [
        (3.0, None), (2.0, 1), (1.0, 1), (0.5, 40), (0.25, 40)
    ]  # fmt: skip


def test_patterns_of_one_s_own_replace_the_rule():
    text = "loss: 9\nvalidation loss is 0.5 after 3\nacc 0.75"
    assert found(text, r"val=loss is ([\d.]+)") == [({"val": 0.5}, None)]
    assert found(text, r"(?P<key>acc|loss) (is )?(?P<value>[\d.]+)( after (?P<step>\d+))?") == [
        ({"loss": 0.5}, 3), ({"acc": 0.75}, 3)
    ]  # fmt: skip
    for wrong in ("val=loss", "(", "no group"):
        with pytest.raises(InvalidInput):
            found(text, wrong)
