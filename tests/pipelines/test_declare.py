"""Declaring steps and pipelines: plain functions until a pipeline is described."""

from __future__ import annotations

import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.pipelines.codecs import encode
from homeostat.pipelines.declare import describe
from homeostat.pipelines.graph import WORKSPACE, predecessors


@hs.step
def one(x: int, y: int = 2) -> int:
    """Adds."""
    return x + y


@hs.step(retries=3, timeout_s=5.0)
def two(a, *, b: list) -> tuple[int, str]:
    return a, str(b)


@hs.step
def placed(ws: hs.Workspace, text: str) -> str:
    return text


@hs.pipeline
def flow(n: int, word: str = "w"):
    first = one(n)
    number, text = two(first, b=[first, {"k": one.named("other")(first, y=n)}])
    return {"number": number, "text": text, "said": placed(text=word)} if n else placed(text=word)


def graph(pipeline, **params):
    return describe(pipeline, params, lambda value: encode(value, None)).graph


def test_outside_a_pipeline_a_step_is_its_function():
    assert one(1) == 3
    assert one.__doc__ == "Adds."
    assert flow.function is not None
    assert two(1, b=[2]) == (1, "[2]")


def test_a_pipeline_is_described_without_running_anything():
    found = graph(flow, n=3)
    assert [(node.name, predecessors(node)) for node in found.steps] == [
        ("one", []), ("other", ["one"]), ("two", ["one", "other"]), ("placed", []),
    ]  # fmt: skip
    assert found.steps[0].arguments["y"].data == 2
    assert found.steps[2].options.retries == 3
    assert found.steps[3].arguments["ws"].codec == WORKSPACE
    assert set(found.outputs) == {"number", "text", "said"}
    assert set(graph(flow, n=0).outputs) == {"result"}


def described(body):
    return lambda: graph(hs.pipeline(body))


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (lambda: one(1) + 1, "while the pipeline is still being described"),
        (lambda: [x for x in one(1)], "how many parts step 'one' gives is not known"),  # noqa: C416
        (lambda: one(1).real, "still being described"),
        (lambda: f"{one(1) or 2}", "still being described"),
        (lambda: one(), "step 'one' is called without x"),
        (lambda: one(1, 2, 3), "too many positional"),
        (lambda: placed("hello"), "step 'placed' takes the workspace as 'ws', not 'hello'"),
        (lambda: one(z=1), "unexpected keyword argument 'z'"),
    ],
)
def test_what_a_pipeline_may_not_do(body, match):
    body.__name__ = body.__qualname__ = "body"
    with pytest.raises(InvalidInput, match=match):
        described(body)()


def test_the_workspace_is_not_there_while_describing():
    def body(ws: hs.Workspace):
        return one(ws.data.read_table("x").height)

    body.__qualname__ = "body"
    with pytest.raises(InvalidInput, match="read and write inside a step"):
        graph(hs.pipeline(body))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"retry": 1}, "Unexpected keyword argument 'retry'"),
        ({"retries": -1}, "not negative"),
        ({"timeout_s": 0.0}, "not negative"),
        ({"retries": "many"}, "Expected `int`"),
        ({"isolation": "thread"}, "isolation is 'fork' or 'spawn'"),
        ({"name": "../x"}, "not a valid step name"),
    ],
)
def test_options_that_cannot_be_meant(options, match):
    with pytest.raises(InvalidInput, match=match):
        hs.step(**options)(lambda: 1)


def test_steps_need_names_that_another_process_can_import():
    inner = hs.step(name="inner")(lambda x: x)
    with pytest.raises(InvalidInput, match="move it to the top level"):
        inner.reference  # noqa: B018

    def starred(*xs):
        return xs

    starred.__qualname__ = "starred"
    with pytest.raises(InvalidInput, match="a step's parameters have names"):
        hs.step(starred).bind((1,), {})


def test_other_options_for_one_call():
    assert one.options_with(timeout_s=9.0).options.timeout_s == 9.0
    assert one.options.timeout_s is None
    with pytest.raises(InvalidInput, match="a step's options are"):
        one.options_with(speed=1)
