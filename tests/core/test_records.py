from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import InvalidInput, MissingExtra
from homeostat.core.extras import require
from homeostat.core.ids import new_hex_id, new_id
from homeostat.core.records import Record, canonical_json, from_json, to_json


class Inner(Record):
    x: int
    words: list[str] = []


class Outer(Record):
    inner: Inner
    note: str | None = None


@given(st.integers(-(2**63), 2**63 - 1), st.lists(st.text()), st.none() | st.text())
def test_a_record_survives_json(x: int, words: list[str], note: str | None):
    record = Outer(inner=Inner(x=x, words=words), note=note)
    assert from_json(to_json(record), Outer) == record


def test_a_record_does_not_change():
    with pytest.raises(AttributeError, match="immutable"):
        Inner(x=1).x = 2  # type: ignore[misc]
    assert Inner(x=1).words is not Inner(x=2).words


def test_json_that_does_not_fit_names_the_field():
    with pytest.raises(InvalidInput, match=r"not a valid Outer: Expected `int`, got `str` - at `\$.inner.x`"):
        from_json('{"inner":{"x":"1"}}', Outer)


@given(st.dictionaries(st.text(), st.integers()))
def test_canonical_json_does_not_depend_on_order(value: dict[str, int]):
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


def test_ids_sort_by_time_and_never_meet():
    given_: list[str] = []
    threads = [threading.Thread(target=lambda: given_.extend([new_id() for _ in range(500)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given_)) == 2000
    alone = [new_id() for _ in range(1000)]
    assert alone == sorted(alone)
    assert {len(i) for i in alone} == {26}
    assert len(new_hex_id()) == 32


def test_a_missing_extra_is_named():
    with pytest.raises(MissingExtra, match="comes with the extra 's3'") as caught:
        require("no_such_module", extra="s3")
    assert caught.value.hint == "pip install 'homeostat[s3]'"
    assert caught.value.status == 501
