"""What is encoded comes back equal; equal values have equal identities, different ones different."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.core.errors import Corrupt, InvalidInput, NotFound, Refused
from homeostat.core.records import from_json, to_json
from homeostat.engines.localfs import LocalBlobs
from homeostat.pipelines.codecs import blobs_of, decode, encode, identity, is_json
from homeostat.pipelines.model import Value


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blobs")
    return LocalBlobs(folder.as_uri(), folder)


def there_and_back(value, blobs, folder="/nowhere"):
    kept = from_json(to_json(encode(value, blobs)), Value)  # as it travels: through JSON
    return decode(kept, blobs, Path(folder), unpickle=True)


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.complex_numbers(allow_nan=False)
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.sets(st.integers(), max_size=1)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_any_value_comes_back_with_its_types(blobs, value):
    back = there_and_back(value, blobs)
    assert back == value
    assert repr(back) == repr(value)  # 1 is not 1.0 is not True, -0.0 is not 0.0


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_identity_is_equality_with_types(blobs, one, other):
    same = repr(one) == repr(other) and not isinstance(one, dict)
    if same or repr(one) != repr(other):
        assert (identity(encode(one, blobs)) == identity(encode(other, blobs))) == same


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, -(2**63) - 1, "\ud800", {1: 2}, (1,), {"a": (1,)}])
def test_what_json_cannot_say_is_not_said_in_json(value, blobs):
    assert not is_json(value)
    assert repr(there_and_back(value, blobs)) == repr(value)


def test_small_values_need_no_blob_and_large_ones_one(blobs):
    assert blobs_of(encode({"a": [1, 2.5, None]}, blobs)) == []
    assert len(blobs_of(encode("x" * 10_000, blobs))) == 1
    assert len(blobs_of(encode({"a": b"1", "b": (b"2", [b"3"])}, blobs))) == 3


FRAMES = {
    "plain": pl.DataFrame({"a": [1, None, 3], "b": ["x", None, "z"], "c": [0.5, float("nan"), None]}),
    "empty": pl.DataFrame({"a": []}, schema={"a": pl.Int16}),
    "none": pl.DataFrame(),
    "times": pl.DataFrame({"t": pl.datetime_range(pl.datetime(2013, 1, 1), pl.datetime(2013, 1, 3), eager=True)}),
    "nested": pl.DataFrame({"l": [[1, 2], []], "s": [{"x": 1}, {"x": None}]}),
    "categories": pl.DataFrame({"k": pl.Series(["a", "b", "a"], dtype=pl.Enum(["b", "a"]))}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_polars_frames(name, blobs):
    frame = FRAMES[name]
    back = there_and_back(frame, blobs)
    assert back.schema == frame.schema
    assert back.equals(frame, null_equal=True)
    assert identity(encode(frame, blobs)) == identity(encode(back, blobs))
    lazy = there_and_back(frame.lazy(), blobs)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(frame)


def test_frames_of_other_libraries(blobs):
    import pandas as pd
    import pyarrow as pa

    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pd.Index(["p", "q"], name="key"))
    pd.testing.assert_frame_equal(there_and_back(frame, blobs), frame)
    odd = pd.DataFrame({"a": [1, "x", object]})
    assert there_and_back(odd, blobs).to_dict() == odd.to_dict()
    table = pa.table({"a": [1, 2]})
    assert there_and_back(table, blobs) == table


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3), np.array(1.5), np.zeros((0, 3), "f4"), np.array(["a", "bc"]),
     np.asfortranarray([[1, 2]]),
     np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.array([None, "x"], dtype=object)],
)  # fmt: skip
def test_arrays(array, blobs):
    back = there_and_back(array, blobs)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array)
    kept = encode(array, blobs)
    assert kept.codec == ("pickle" if array.dtype.hasobject else "numpy")


def test_numbers_of_numpy_become_plain_ones(blobs):
    assert there_and_back({"auc": np.float64(0.5), "n": np.int32(3), "ok": np.bool_(True)}, blobs) == {
        "auc": 0.5, "n": 3, "ok": True,
    }  # fmt: skip


def test_files_and_folders(tmp_path, blobs):
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("A")
    back = there_and_back({"all": folder, "one": folder / "deep" / "a.txt"}, blobs, tmp_path / "out")
    assert back["all"].name == "model"
    assert (back["all"] / "deep" / "a.txt").read_text() == "A"
    assert (back["one"].name, back["one"].read_text()) == ("a.txt", "A")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        encode(tmp_path / "none", blobs)


def test_what_cannot_be_kept_says_so(blobs):
    with pytest.raises(InvalidInput, match=r"_thread\.lock cannot be kept"):
        encode(threading.Lock(), blobs)


def test_pickles_need_leave_and_bytes_must_be_there(blobs, tmp_path):
    kept = encode({1, 2}, blobs)
    with pytest.raises(Refused, match=r"pickled builtins\.set"):
        decode(kept, blobs, tmp_path)
    gone = encode(b"soon gone", blobs)
    blobs.local_path(gone.digest).write_bytes(b"damaged")
    with pytest.raises(Corrupt):
        decode(gone, blobs, tmp_path)
    blobs.local_path(gone.digest).unlink()
    with pytest.raises(NotFound):
        decode(gone, blobs, tmp_path)
    with pytest.raises(InvalidInput, match="no codec 'new'"):
        decode(Value(codec="new"), blobs, tmp_path)
