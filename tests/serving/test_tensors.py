"""The tensor codec: what is written is read back, in bytes and in JSON."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensor_json, tensors

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
NUMBERS = [name for name in tensors.NUMPY if name not in ("BYTES", "BF16", "FP16")]


@given(st.data(), st.sampled_from([*NUMBERS, "FP16"]), SHAPES)
def test_numbers_survive_bytes(data: st.DataObject, datatype: str, shape: tuple[int, ...]) -> None:
    array = data.draw(hnp.arrays(tensors.NUMPY[datatype], shape))
    back = tensors.from_bytes("x", datatype, shape, tensors.to_bytes(datatype, array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(st.data(), st.sampled_from(NUMBERS), SHAPES, st.booleans())
def test_numbers_survive_json_flat_and_nested(
    data: st.DataObject, datatype: str, shape: tuple[int, ...], nested: bool
) -> None:
    dtype = tensors.NUMPY[datatype]
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else None
    array = data.draw(hnp.arrays(dtype, shape, elements=finite))
    text = msgspec.json.encode(array.tolist()) if nested else tensor_json.to_json(datatype, array)
    back = tensor_json.from_json("x", datatype, shape, text)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(st.lists(st.binary(max_size=20)), st.booleans())
def test_byte_strings_survive(items: list[bytes], column: bool) -> None:
    shape = (len(items), 1) if column else (len(items),)
    array = np.array(items, dtype=object).reshape(shape)
    back = tensors.from_bytes("x", "BYTES", shape, tensors.to_bytes("BYTES", array))
    assert back.shape == shape
    assert back.reshape(-1).tolist() == items


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20)))
def test_texts_survive_json(texts: list[str]) -> None:
    array = np.array([text.encode() for text in texts], dtype=object)
    back = tensor_json.from_json("x", "BYTES", (len(texts),), tensor_json.to_json("BYTES", array))
    assert [item.decode() for item in back.tolist()] == texts


@given(hnp.arrays("<f4", 5, elements=st.floats(width=32, allow_nan=False)))
def test_bf16_keeps_the_upper_half(array: np.ndarray) -> None:
    back = tensors.from_bytes("x", "BF16", (5,), tensors.to_bytes("BF16", array))
    again = tensors.from_bytes("x", "BF16", (5,), tensors.to_bytes("BF16", back))
    np.testing.assert_array_equal(again, back)
    assert (back.view("<u4") & 0xFFFF == 0).all()
    finite = np.isfinite(array) & (np.abs(array) > 1e-37)
    np.testing.assert_allclose(back[finite], array[finite], rtol=2**-7)


def test_null_stands_for_nan_both_ways() -> None:
    array = tensor_json.from_json("x", "FP32", (3,), b"[1, null, 2.5]")
    assert math.isnan(array[1])
    assert tensor_json.to_json("FP32", array) == b"[1.0,null,2.5]"
    assert tensor_json.from_json("x", "FP64", (1, 2), b"[[null, 1]]")[0, 1] == 1


@pytest.mark.parametrize(
    ("datatype", "shape", "text", "message"),
    [
        ("FP32", (3,), b"[1, 2]", "holds 3 values, 2 were sent"),
        ("FP32", (1,), b'["a"]', "not a list of FP32"),
        ("FP32", (1,), b'"a"', "not a list of FP32"),
        ("FP32", (2,), b"[[1], 2]", "not a list of FP32"),
        ("FP32", (1,), b"[true]", "not a list of FP32"),
        ("INT64", (1,), b"[1.5]", "not a list of INT64"),
        ("INT64", (1,), b"[[true]]", "not a list of INT64"),
        ("INT64", (1,), b"[null]", "not a list of INT64"),
        ("UINT8", (1,), b"[256]", "outside of UINT8"),
        ("INT32", (1,), b"[3000000000]", "outside of INT32"),
        ("FP32", (2,), b"[1, -1e39]", "outside of FP32"),
        ("FP32", (1, 2), b"[[null, 1e39]]", "outside of FP32"),
        ("FP32", (1, 1), b"[[1e400]]", "outside of FP32"),
        ("FP64", (1,), b"[1e400]", "outside of FP64"),
        ("BOOL", (1,), b"[1]", "not a list of BOOL"),
        ("BYTES", (1,), b"[1]", "not a list of BYTES"),
        ("FP16", (1,), b"[1]", "no JSON form"),
        ("FP32", (-1,), b"[1]", "negative dimension"),
        ("FP32", (1,), b"[" * 50 + b"]" * 50, "not a list of FP32"),
    ],
)
def test_json_that_does_not_fit_is_told(datatype: str, shape: tuple[int, ...], text: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        tensor_json.from_json("x", datatype, shape, text)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4))
def test_no_number_becomes_an_infinity(values: list[float]) -> None:
    text = msgspec.json.encode(values)
    fits = all(abs(value) < 3.4028235677973366e38 for value in values)  # what is nearer to the largest FP32
    for read in (
        lambda: tensor_json.from_json("x", "FP32", [len(values)], text),
        lambda: np.frombuffer(tensor_json.floats_from_json("x", [len(values)], text, len(values)), "<f4"),
    ):
        if fits:
            assert np.isfinite(read()).all()
        else:
            with pytest.raises(InvalidInput, match="outside of FP32"):
                read()


@given(st.binary(max_size=40), st.integers(0, 5))
def test_broken_byte_strings_are_refused_never_misread(data: bytes, count: int) -> None:
    try:
        items = tensors.split_bytes("x", count, data)
    except InvalidInput:
        return
    assert tensors.to_bytes("BYTES", np.array(items, dtype=object)) == data
    assert len(items) == count


def test_bytes_of_the_wrong_length_are_told() -> None:
    with pytest.raises(InvalidInput, match=r"FP32 of shape \[2, 2\] takes 16 bytes, 15 were sent"):
        tensors.from_bytes("x", "FP32", [2, 2], bytes(15))


def test_every_datatype_has_a_name_and_back() -> None:
    for name, dtype in tensors.NUMPY.items():
        if name != "BF16":
            assert tensors.datatype_of(dtype) == name
    assert tensors.datatype_of(">f4") == "FP32"
    with pytest.raises(InvalidInput, match="no datatype"):
        tensors.datatype_of("complex64")


@pytest.mark.parametrize("shape", [(0, 1 << 62), (1 << 70, 0), (0, 1 << 31, 1 << 31), (1 << 62, 1, 0)])
@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_a_shape_that_no_array_can_have_beside_an_empty_dimension_is_refused(
    datatype: str, shape: tuple[int, ...]
) -> None:
    for read, data in ((tensors.from_bytes, b""), (tensor_json.from_json, b"[]")):
        with pytest.raises(InvalidInput, match="is larger than any tensor may be"):
            read("x", datatype, shape, data)
        assert read("x", datatype, (0, 5), data).shape == (0, 5)
