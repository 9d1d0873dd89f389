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
from homeostat.registry.tree_score import as_column, as_score

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
    assert operators(graph) == ["TreeEnsembleRegressor"]
    answers_alike(graph, original)


def answers_alike(graph: onnx.ModelProto, original: Original) -> None:
    assert [one.name for one in graph.graph.output] == [original.output.name]
    for rows in (1, 7, 300):
        found = session(graph.SerializeToString(), 1)(ROWS[:rows])
        expected = np.asarray(original.predict(ROWS[:rows].astype("f4")))
        assert (found.shape, found) == (expected.shape, pytest.approx(expected, abs=1e-5))


@pytest.mark.parametrize(
    "model", [ensemble.RandomForestRegressor(12, random_state=1), tree.DecisionTreeRegressor(max_depth=3)]
)
def test_a_number_is_what_the_trees_add_up_to(model: Any) -> None:
    graph, original = kept(model, ROWS[:, 0] * 3 + ROWS[:, 1])
    assert operators(graph) == ["TreeEnsembleRegressor"]
    answers_alike(graph, original)


def test_several_numbers_and_what_is_made_of_one_stay_as_they_are() -> None:
    trees = onnx.helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=2)
    double = onnx.helper.make_node("Add", ["y", "y"], ["z"])
    for nodes, values in (([trees], "y"), ([trees, double], "y"), ([trees, double], "z"), ([], "y")):
        graph = onnx.helper.make_graph(nodes, "g", [], [])
        before = graph.SerializeToString(deterministic=True)
        assert not as_column(graph, values, "score")
        assert graph.SerializeToString(deterministic=True) == before


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
    for made in ("p", "label", "nothing"):
        assert not as_score(graph, made, "score")
    assert graph.SerializeToString(deterministic=True) == before
    del graph.node[1]
    assert as_score(graph, "p", "score")
    assert list(graph.node[0].output) == ["score"]
