"""Forests asked tree by tree answer as scikit-learn does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import ensemble

from homeostat.registry.forests import quick_forest
from homeostat.registry.python_form import answer_of

ROWS = np.random.default_rng(5).normal(size=(300, 6)).astype("f4")
KINDS = ["RandomForestClassifier", "ExtraTreesClassifier", "RandomForestRegressor", "ExtraTreesRegressor"]


def fitted(kind: str, classes: int = 3) -> Any:
    target = np.abs(ROWS[:, 0] * 2).astype(int) % classes if "Classifier" in kind else ROWS[:, 0] * 3
    return getattr(ensemble, kind)(12, random_state=1).fit(ROWS, target)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2, 64, 300])
def test_the_same_to_the_last_bit(kind: str, rows: int):
    forest = fitted(kind)
    own = forest.predict_proba if "Classifier" in kind else forest.predict
    quick = quick_forest(forest, own)
    assert quick is not own
    for _ in range(2):  # the first time both ways are computed
        assert np.array_equal(quick(ROWS[:rows]), own(ROWS[:rows]))


def test_the_trees_answer_from_the_second_batch_on():
    forest = fitted("RandomForestClassifier", 2)
    asked: list[int] = []

    def own(rows: Any) -> Any:
        asked.append(len(rows))
        return forest.predict_proba(rows)

    quick = quick_forest(forest, own)
    for rows in (3, 4, 5):
        quick(ROWS[:rows])
    assert asked == [3]


def test_a_forest_that_its_trees_contradict_answers_itself():
    forest = fitted("RandomForestRegressor")
    quick = quick_forest(forest, lambda rows: forest.predict(rows) + 1)
    for _ in range(3):
        assert np.array_equal(quick(ROWS[:4]), forest.predict(ROWS[:4]) + 1)


def test_odd_input_goes_to_the_forest():
    forest = fitted("RandomForestClassifier")
    quick = quick_forest(forest, forest.predict_proba)
    quick(ROWS[:2])
    with pytest.raises(ValueError, match="6 features"):
        quick(ROWS[:2, :5])
    with pytest.raises(ValueError, match="infinity"):
        quick(np.full((1, 6), np.inf, "f4"))
    gaps = np.full((1, 6), np.nan, "f4")
    assert quick(gaps).shape == forest.predict_proba(gaps).shape


def test_what_is_no_forest_stays_as_it_is():
    several = ensemble.RandomForestRegressor(3, random_state=1).fit(ROWS, ROWS[:, :2])
    assert quick_forest(several, several.predict) == several.predict
    boosted = ensemble.GradientBoostingRegressor(n_estimators=3).fit(ROWS, ROWS[:, 0])
    assert np.array_equal(answer_of(boosted)(ROWS), boosted.predict(ROWS))
