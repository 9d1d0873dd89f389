"""Trees of two classes are kept as the one score they add up, and answer as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from sklearn import ensemble, tree

from homeostat.registry.estimators import read_original
from homeostat.registry.onnx_form import convert, session
from homeostat.registry.original import Original
from homeostat.registry.tree_score import as_score

ROWS = np.random.default_rng(5).normal(size=(300, 6)).astype("f4").astype("f8")
TARGET = ROWS[:, 0] + ROWS[:, 1] > 0.3


def kept(model: Any, target: Any = TARGET) -> tuple[onnx.ModelProto, Original]:
    original = read_original(model.fit(ROWS, target))
    report, data = convert(original, ROWS)
    assert report.agrees and data is not None, report.reason
    return onnx.load_model_from_string(data), original


def operators(graph: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node]


@pytest.mark.parametrize(
    "model",
    [
        ensemble.RandomForestClassifier(12, random_state=1),
        ensemble.RandomForestClassifier(12, random_state=1, class_weight="balanced"),
        ensemble.ExtraTreesClassifier(12, random_state=1, min_samples_leaf=5),
        tree.DecisionTreeClassifier(max_depth=3),
    ],
)
@pytest.mark.parametrize("names", [(0, 1), ("no", "yes")])
def test_two_classes_are_one_score(model: Any, names: tuple[Any, Any]) -> None:
    graph, original = kept(model, np.where(TARGET, names[1], names[0]))
    assert operators(graph) == ["TreeEnsembleRegressor", "Gather"]
    for rows in (1, 7, 300):
        found = session(graph.SerializeToString())(ROWS[:rows])
        assert found == pytest.approx(original.predict(ROWS[:rows].astype("f4")), abs=1e-6)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (ensemble.RandomForestClassifier(5, random_state=1), np.abs(ROWS[:, 0] * 2).astype(int) % 3),
        (ensemble.GradientBoostingClassifier(n_estimators=5), TARGET),  # its score goes through the logistic function
        (ensemble.BaggingClassifier(n_estimators=3, random_state=1), TARGET),
    ],
)
def test_what_is_more_than_a_sum_stays_a_classifier(model: Any, target: Any) -> None:
    assert "TreeEnsembleClassifier" in operators(kept(model, target)[0])


def test_a_classifier_whose_label_is_wanted_stays() -> None:
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node(
                "TreeEnsembleClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", classlabels_int64s=[0, 1],
                class_ids=[0], class_nodeids=[0], class_treeids=[0], class_weights=[0.25], nodes_modes=["LEAF"],
                nodes_treeids=[0], nodes_nodeids=[0], nodes_featureids=[0], nodes_values=[0.0],
                nodes_truenodeids=[0], nodes_falsenodeids=[0],
            ),
            onnx.helper.make_node("Identity", ["label"], ["said"]),
        ],
        "one leaf", [onnx.helper.make_tensor_value_info("x", 1, [None, 1])], [],
    )  # fmt: skip
    before = graph.SerializeToString(deterministic=True)
    assert as_score(graph, "p") is None
    assert as_score(graph, "label") is None
    assert as_score(graph, "nothing") is None
    assert graph.SerializeToString(deterministic=True) == before
    del graph.node[1]
    assert as_score(graph, "p") == "p_score"
