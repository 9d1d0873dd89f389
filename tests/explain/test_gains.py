from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from homeostat.core.errors import Corrupt
from homeostat.explain.gains import gains_of_trees

ROWS = np.random.default_rng(0).normal(size=(600, 4)).round(1)
KINDS = np.random.default_rng(1).integers(0, 6, 600)


@pytest.mark.parametrize(
    ("params", "target"),
    [
        ({"objective": "regression"}, ROWS[:, 0] + 0.1 * KINDS),
        ({"objective": "binary", "boosting": "dart"}, ROWS[:, 1] > 0),
        ({"objective": "multiclass", "num_class": 3}, KINDS % 3),
        ({"objective": "regression", "linear_tree": True}, ROWS[:, 2] * ROWS[:, 3]),
        ({"objective": "regression"}, np.ones(600)),  # not one split
    ],
)
def test_it_is_what_lightgbm_says(params: dict[str, Any], target: np.ndarray):
    given = {"verbose": -1, "num_threads": 1, "seed": 0, "num_leaves": 7, **params}
    table = lgb.Dataset(np.column_stack([ROWS, KINDS]), target, categorical_feature=[4], params=given)
    text = lgb.train(given, table, 12).model_to_string()
    expected = lgb.Booster(model_str=text).feature_importance("gain")
    assert gains_of_trees(text).tolist() == expected.tolist()
    assert bool(expected.any()) == (len(set(target)) > 1)


def test_what_is_no_model_is_told():
    with pytest.raises(Corrupt, match="how many columns"):
        gains_of_trees("tree\n")
