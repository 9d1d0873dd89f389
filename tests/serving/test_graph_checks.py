"""What of a graph is refused before it is deployed, what it takes and gives, and how answers are put together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import InvalidInput
from homeostat.core.records import from_json, to_json
from homeostat.data import Column, Table
from homeostat.features import FeatureView, Latest, Windows
from homeostat.registry import Field, Signature
from homeostat.serving import Case, Ensemble, Lookup, Member, Sequence, Share, Splitter, Switch, When
from homeostat.serving.graphs.checking import Checked, check_graph
from homeostat.serving.graphs.combining import largest, mean, vote
from homeostat.serving.graphs.conditions import ends_of, is_met, rows_that_meet, share_of
from homeostat.serving.graphs.nodes import MAX_DEPTH, MAX_NODES, Node


def signature(inputs: dict[str, str], outputs: dict[str, str], matrix: bool = True) -> Signature:
    return Signature(
        inputs=[Field(name=name, dtype=dtype) for name, dtype in inputs.items()],
        outputs=[Field(name=name, dtype=dtype) for name, dtype in outputs.items()],
        tensor="features" if matrix else None,
    )


MODELS = {
    "score": signature({"age": "FP32", "amount": "FP32"}, {"probability": "FP32"}),
    "other": signature({"amount": "FP64", "age": "FP32"}, {"prediction": "FP32"}),
    "word": signature({"probability": "FP32"}, {"label": "BYTES"}),
    "text": signature({"country": "BYTES", "age": "INT64"}, {"label": "BYTES"}, matrix=False),
    "class": signature({"age": "FP32"}, {"label": "INT64"}),
    "scaler": Signature(inputs=[Field(name="age", dtype="FP32"), Field(name="amount", dtype="FP32")],
                        outputs=[Field(name="prediction", dtype="FP32", shape=[-1, 2])]),
    "whole": Signature(inputs=[Field(name="x", dtype="FP32", shape=[-1, -1])],
                       outputs=[Field(name="y", dtype="FP32", shape=[-1, -1])], tensor=None),
}  # fmt: skip
TABLE = Table(
    name="people", version=1, rows=3, bytes=1, key=[], updated_ms=0, description="",
    columns=[Column(name="id", type="int64"), Column(name="age", type="int32"), Column(name="born", type="date"),
             Column(name="amount", type="float64")],
)  # fmt: skip
VIEW = FeatureView(
    name="spent", source="people", known_at="age",
    features=[Windows(name="spent", key=["id"], value="amount", over=["1d"]), Latest(key=["id"], values=["amount"])],
)  # fmt: skip


def check(graph: Node) -> Checked:
    return check_graph(graph, lambda member: MODELS[member.name], lambda name: TABLE, lambda node: VIEW)


def m(name: str, **more: Any) -> Member:
    return Member(name=name, **more)


AGE = When(column="age", op=">", value=17)
REFUSED = [
    (Sequence(steps=[]), "graph: a sequence has steps"),
    (Sequence(steps=[m("score"), m("other")]), "graph.steps[0]: no later step takes what this one gives"),
    (Sequence(steps=[m("word"), m("score", inputs={"amount": "label"})]),
     "graph.steps[1]: model 'score' takes 'label' as FP32 of shape [-1], graph.steps[0] gives BYTES of shape [-1]"),
    (m("score", inputs={"wage": "age"}), "graph: model 'score' has no input 'wage'"),
    (Ensemble(members=[m("class", inputs={"age": "country"}), m("text")], combine="collect"),
     "graph.members[1]: model 'text' takes 'country' as BYTES of shape [-1], graph.members[0] with model 'class'"),
    (Ensemble(members=[m("score"), m("word")]), "graph: 'probability' is text, which has no mean"),
    (Ensemble(members=[m("score"), m("other")], combine="vote"), "members vote on 'probability' with FP32, FP32"),
    (Ensemble(members=[m("score"), m("other")], weights=[1.0]), "graph: 1 weights for 2 members"),
    (Ensemble(members=[m("score"), m("other")], combine="max", weights=[1.0, 2.0]), "weights mean nothing for 'max'"),
    (Ensemble(members=[m("score"), m("score")], combine="collect"), "two outputs are called 'score.probability'"),
    (Switch(cases=[], otherwise=m("score")), "graph: a switch has cases"),
    (Switch(cases=[Case(when=When(op="==", value=1), then=m("score"))], otherwise=m("score")),
     "graph.cases[0]: a condition names a column or a parameter"),
    (Switch(cases=[Case(when=When(column="age", value="old"), then=m("score"))], otherwise=m("score")),
     "graph.cases[0]: column 'age' is a number (FP32), it is compared with 'old'"),
    (Switch(cases=[Case(when=When(column="new", op="missing"), then=m("score"))], otherwise=m("score")),
     "nothing else takes the column 'new'"),
    (Switch(cases=[Case(when=When(column="age", op="in", value=3), then=m("score"))], otherwise=m("score")),
     "'in' compares with a list of values"),
    (Switch(cases=[Case(when=AGE, then=m("whole"))], otherwise=m("whole")), "rows are shared out here, but a member"),
    (Switch(cases=[Case(when=AGE, then=m("score"))], otherwise=m("word")), "its parts give FP32 and BYTES"),
    (Splitter(shares=[Share(weight=0.5, node=m("score"))]), "graph: the weights [0.5] are not shares that add up to 1"),
    (Lookup(table="people", key=["id"], columns=["age"]), "graph: a lookup stands in a sequence"),
    (Sequence(steps=[Lookup(table="people", key=["id"], columns=["wage"]), m("score")]),
     "graph.steps[0]: table 'people' has no column 'wage'"),
    (Sequence(steps=[Lookup(table="people", key=["amount"], columns=["age"]), m("score")]),
     "a key is of whole numbers"),
    (Sequence(steps=[Lookup(table="people", key=["id"], columns=["born"]), m("score")]), "column 'born' is date"),
    (Sequence(steps=[Lookup(table="people", key=["id"], columns=["age"], defaults={"age": "x"}), m("score")]),
     "the default of 'age' is 'x', the column is int32"),
    (Sequence(steps=[Lookup(table="people", key=["id"], columns=["age"]), m("text")]),
     "graph.steps[1]: model 'text' takes 'age' as INT64 of shape [-1], graph.steps[0] gives FP64"),
    (Sequence(steps=[Lookup(table="people", view="spent", key=["id"], columns=["age"]), m("score")]),
     "graph.steps[0]: a lookup names a table or a view"),
    (Sequence(steps=[Lookup(view="spent", columns=["earned"]), m("score")]),
     "graph.steps[0]: view 'spent' has no feature 'earned'"),
    (Sequence(steps=[Lookup(view="spent", key=["id"]), m("score")]), "the view says by what its features are found"),
    (Sequence(steps=[Lookup(view="spent", defaults={"age": 1}), m("score")]), "'age' has a default and is not among"),
    (Sequence(steps=[Lookup(view="spent", defaults={"amount": "x"}), m("score")]), "a feature is a number"),
    (Ensemble(members=[m("score")] * MAX_NODES), f"more than {MAX_NODES} nodes"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_a_graph_that_cannot_be_meant_is_refused_with_the_path_of_the_node(graph: Node, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(graph)
    assert message in str(raised.value)


def test_a_graph_too_deep_is_refused() -> None:
    graph: Node = m("score")
    for _ in range(MAX_DEPTH):
        graph = Sequence(steps=[graph])
    with pytest.raises(InvalidInput, match="deeper than"):
        check(graph)


def fields(found: list[Field]) -> dict[str, str]:
    return {field.name: field.dtype for field in found}


def test_what_a_graph_takes_and_gives() -> None:
    both = check(Ensemble(members=[m("score"), m("other")])).signature
    assert (fields(both.inputs), fields(both.outputs), both.tensor) == (
        {"age": "FP32", "amount": "FP32"}, {"probability": "FP32"}, "features",
    )  # fmt: skip
    chained = check(Sequence(steps=[m("scaler"), m("score"), m("word")])).signature
    assert (fields(chained.inputs), fields(chained.outputs)) == ({"age": "FP32", "amount": "FP32"}, {"label": "BYTES"})
    viewed = check(Sequence(steps=[Lookup(view="spent"), m("score")]))
    assert fields(viewed.signature.inputs) == {"id": "INT64", "age": "FP32"} and viewed.signature.tensor is None
    assert fields(viewed.outputs_of["graph.steps[0]"]) == {
        "spent_mean_1d": "FP32", "spent_count_1d": "FP32", "amount": "FP32",
    }  # fmt: skip
    lookup = Lookup(table="people", key=["id"], columns=["age"], defaults={"age": 30})
    looked = check(Sequence(steps=[lookup, m("text")])).signature
    assert (fields(looked.inputs), looked.tensor) == ({"id": "INT64", "country": "BYTES"}, None)
    when = When(column="tier", value="gold")
    switched = check(Switch(cases=[Case(when=when, then=m("score"))], otherwise=m("other"))).signature
    assert (fields(switched.inputs), switched.tensor) == ({"age": "FP32", "amount": "FP32", "tier": "BYTES"}, None)
    votes = check(Ensemble(members=[m("class"), m("class", outputs={"label": "x"})], combine="vote")).signature
    assert fields(votes.outputs) == {"label": "INT64"}
    assert not check(m("whole")).rowwise


def test_a_graph_is_the_same_after_a_trip_through_json() -> None:
    class Holder(msgspec.Struct):
        graph: Node

    graph = Sequence(steps=[
        Lookup(table="people", key=["id"], columns=["age"], defaults={"age": 3}),
        Switch(cases=[Case(when=AGE, then=Ensemble(members=[m("score"), m("other", version=2)], weights=[1, 2]))],
               otherwise=Splitter(shares=[Share(weight=1.0, node=m("score"))])),
    ])  # fmt: skip
    assert from_json(to_json(Holder(graph)), Holder).graph == graph


numbers = st.floats(-1e6, 1e6, width=32)
weights = st.integers(1, 5)


@given(st.lists(st.tuples(weights, st.lists(numbers, min_size=4, max_size=4)), min_size=1, max_size=5))
def test_mean_and_max_against_plain_python(members: list[tuple[int, list[float]]]) -> None:
    arrays = [np.array(values) for _, values in members]
    shares = [float(weight) for weight, _ in members]
    want = [sum(w * v[at] for w, v in members) / sum(shares) for at in range(4)]
    np.testing.assert_allclose(mean(arrays, shares, "FP64"), want, rtol=1e-9, atol=1e-6)
    assert largest(arrays, "FP64").tolist() == [max(v[at] for _, v in members) for at in range(4)]


@given(st.lists(st.tuples(weights, st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=3, max_size=3)), min_size=1,
                max_size=6))  # fmt: skip
def test_votes_against_plain_python(members: list[tuple[int, list[bytes]]]) -> None:
    got = vote([np.array(values, dtype=object) for _, values in members], [float(weight) for weight, _ in members])
    for at in range(3):
        counted: Counter[bytes] = Counter()
        for weight, values in members:  # the first that was met stands first among equals
            counted[values[at]] += weight
        assert got[at] == max(counted, key=lambda value: counted[value])


VALUES = st.one_of(st.floats(allow_nan=True, width=32), st.integers(-3, 3).map(float))
OPS = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
       ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}  # fmt: skip


@given(st.lists(VALUES, max_size=6), st.sampled_from(sorted(OPS)), st.integers(-3, 3))
def test_conditions_on_numbers_against_plain_python(values: list[float], op: Any, value: int) -> None:
    column = np.array(values, "f8")
    assert rows_that_meet(When(column="x", op=op, value=value), column).tolist() == [OPS[op](v, value) for v in values]
    missing = rows_that_meet(When(column="x", op="missing"), column)
    assert missing.tolist() == [value != value for value in values]


@given(st.lists(st.text(max_size=2), max_size=6), st.sampled_from(sorted(OPS)), st.text(max_size=2))
def test_conditions_on_texts_and_parameters_against_plain_python(values: list[str], op: Any, value: str) -> None:
    column = np.array([text.encode() for text in values], dtype=object)
    want = [OPS[op](text.encode(), value.encode()) for text in values]
    assert rows_that_meet(When(column="x", op=op, value=value), column).tolist() == want
    for text in values:
        assert is_met(When(parameter="p", op=op, value=value), {"p": text}) is OPS[op](text, value)
    assert is_met(When(parameter="p", op=op, value=value), {}) is (op == "!=")
    assert is_met(When(parameter="p", op="missing"), {})


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.text(max_size=8))
def test_every_key_falls_into_one_share(parts: list[int], key: str) -> None:
    ends = ends_of([part / sum(parts) for part in parts])
    assert ends[-1] == 1 << 64
    assert 0 <= share_of(ends, "salt", key) < len(parts)
