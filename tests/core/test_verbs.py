from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import Any, Literal, TypedDict, Unpack

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import HomeostatError, InvalidInput, NotFound
from homeostat.core.frames import Frame
from homeostat.core.records import Record
from homeostat.core.slices import SLICES
from homeostat.core.stray import stray_field
from homeostat.core.verbs import Verb, describe, find, verb, verbs_of

ALL = [v for name in SLICES if find_spec(f"homeostat.{name}") for v in verbs_of(name).values()]


class Point(Record):
    x: int
    label: str = ""


@verb(permission="core:write")
def sample(
    ws: hs.Workspace,
    name: str,
    count: int = 1,
    ratio: float | None = None,
    on: bool = False,
    tags: list[str] = [],  # noqa: B006
    params: dict[str, str] = {},  # noqa: B006
    version: int | str | None = None,
    mode: Literal["append", "overwrite"] = "append",
    point: Point | None = None,
) -> Point:
    """One line of help.

    More words.
    """
    return Point(x=count, label=name)


@verb(permission="core:read")
def framed(ws: hs.Workspace, frame: Frame, name: str = "x") -> bytes:
    """Takes a table, gives bytes."""
    return b""


class Square(Record, tag_field="kind", tag="square"):
    corners: dict[str, Point] = {}


class Pair(Record, tag_field="kind", tag="pair"):
    both: list[Square] = []


class Shared(TypedDict, total=False):
    key: str | None
    limit: float | None


@verb(permission="core:write")
def shared(ws: hs.Workspace, name: str, **options: Unpack[Shared]) -> str:
    """Takes options that other verbs take too."""
    return f"{name} {sorted(options.items())}"


def test_options_that_verbs_share_are_parameters_of_each():
    declared = describe(shared)
    assert [(p.name, p.required, p.default) for p in declared.parameters] == [
        ("name", True, None), ("key", False, None), ("limit", False, None),
    ]  # fmt: skip
    assert declared.arguments({"name": "x", "limit": "0.5"}, text=True) == {"name": "x", "limit": 0.5}
    with pytest.raises(InvalidInput, match="did you mean 'limit'"):
        declared.arguments({"name": "x", "limti": 1})


def test_fields_that_no_record_has_are_found_wherever_they_lie():
    one: dict[str, Any] = {"kind": "pair", "both": [{"kind": "square", "corners": {"a": {"x": 1}}}]}
    assert stray_field([one], list[Square | Pair]) is None
    one["both"][0]["corners"]["a"]["y"] = 2
    found = stray_field([one], list[Square | Pair])
    assert found is not None
    assert (found.message, found.hint) == ("[0].both[0].corners.a has no field 'y'", "it has x, label")


def test_a_declaration_says_it_all():
    declared = describe(sample)
    assert (declared.slice, declared.name, declared.permission) == ("core", "sample", "core:write")
    assert (declared.safe, declared.body, declared.gives) == (False, None, "")
    assert (declared.help, declared.description) == ("One line of help.", "One line of help.\n\nMore words.")
    assert [p.name for p in declared.parameters if p.required] == ["name"]
    assert declared.result is Point


def test_raw_bodies_are_recognised():
    declared = describe(framed)
    assert (declared.safe, declared.gives) == (True, "bytes")
    assert declared.body is not None
    assert (declared.body.name, declared.body.body) == ("frame", "frame")


@pytest.mark.parametrize("permission", ["", "read", "data:delete", "data:", ":read", "Data:read", "data:read\n"])
def test_a_permission_has_a_form(permission: str):
    with pytest.raises(InvalidInput, match="is not a permission"):
        verb(permission=permission)


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({}, "needs name"),
        ({"name": "x", "cuont": 1}, "takes no argument 'cuont'\n  → did you mean 'count'"),
        ({"name": "x", "count": "many"}, "count: Expected `int`"),
        ({"name": "x", "count": 1.5}, "count: Expected `int`"),
        ({"name": 1}, "name: Expected `str`"),
        ({"name": "x", "mode": "delete"}, "mode: Invalid enum value 'delete'"),
        ({"name": "x", "tags": "a"}, "tags: Expected `array`"),
        ({"name": "x", "point": {"y": 1}}, "point: Object missing required field `x`"),
        ({"name": "x", "point": {"x": 1, "lable": ""}}, "point: it has no field 'lable'\n  → did you mean 'label'?"),
        ({"name": "x", "mode": "delete"}, "one of append, overwrite"),
        ({"name": None}, "name: Expected `str`"),
    ],
)
def test_unfitting_arguments_are_named(given_: dict[str, Any], says: str):
    with pytest.raises(InvalidInput) as caught:
        describe(sample).arguments(given_)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "3", 3),
        ("ratio", "0.5", 0.5),
        ("ratio", "null", None),
        ("on", "true", True),
        ("on", "0", False),
        ("tags", '["a","b"]', ["a", "b"]),
        ("tags", "a,b", ["a", "b"]),
        ("tags", "", []),
        ("params", '{"a":"1"}', {"a": "1"}),
        ("mode", "overwrite", "overwrite"),
        ("point", '{"x":1}', Point(x=1)),
        ("name", "null", "null"),
        ("name", "3", "3"),
        ("version", "champion", "champion"),
        ("version", "3", 3),
        ("tags", "a", ["a"]),
        ("tags", "3", ["3"]),
    ],
)
def test_text_from_a_query_or_a_shell_is_understood(name: str, text: str, value: object):
    assert describe(sample).arguments({"name": "x", name: text}, text=True)[name] == value


@pytest.mark.parametrize(("name", "text"), [("count", "many"), ("params", "{"), ("on", "perhaps"), ("point", "[1]")])
def test_text_that_means_nothing_is_refused(name: str, text: str):
    with pytest.raises(InvalidInput):
        describe(sample).arguments({"name": "x", name: text}, text=True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.text(max_size=12) | st.sampled_from([p.name for p in describe(sample).parameters])


@given(st.dictionaries(names, json_values, max_size=5), st.booleans())
def test_whatever_is_sent_fits_or_is_refused(given_: dict[str, Any], text: bool):
    """No input reaches a verb unconverted, and none ends in an error that is not ours."""
    try:
        arguments = describe(sample).arguments(given_, text=text)
    except HomeostatError:
        return
    for parameter in describe(sample).parameters:
        if parameter.name in arguments:
            msgspec.convert(msgspec.to_builtins(arguments[parameter.name]), parameter.kind)


def test_an_unknown_verb_or_slice_names_the_nearest():
    with pytest.raises(NotFound, match="did you mean 'tracking'"):
        verbs_of("trackin")
    some = ALL[0]
    with pytest.raises(NotFound, match=f"did you mean '{some.name}'"):
        find(some.slice, some.name + "x")


@pytest.mark.parametrize("declared", ALL, ids=lambda v: f"{v.slice}.{v.name}")
def test_every_verb_is_well_declared(declared: Verb):
    assert declared.help, "a verb needs a line of help"
    assert declared.permission.startswith(f"{declared.slice}:")
    assert "return" in declared.function.__annotations__
    first = next(iter(inspect.signature(declared.function).parameters.values()))
    assert first.name == "ws"
    for parameter in declared.parameters:
        assert parameter.name not in ("ws", "home", "json", "args"), "this name is taken by the faces"
        if not parameter.required and not parameter.body:
            assert msgspec.convert(msgspec.to_builtins(parameter.default), parameter.kind) == parameter.default
    assert sum(1 for p in declared.parameters if p.body) <= 1
