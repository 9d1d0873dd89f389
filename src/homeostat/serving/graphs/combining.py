"""Answers of several members as one, element by element: the mean, the largest, the class with most votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homeostat.serving import tensors
from homeostat.serving.tensors import Array

_SINGLE = ("FP16", "BF16", "FP32")


def takes(have: str, want: str) -> bool:
    """Whether a tensor of datatype `have` may feed an input of `want`: texts to texts; any number to a float; whole
    numbers to those that hold them all.

    >>> takes("INT64", "FP32"), takes("FP32", "INT64"), takes("INT8", "INT64"), takes("BYTES", "FP32")
    (True, False, True, False)
    """
    if have == want:
        return True
    if "BYTES" in (have, want):
        return False
    return tensors.NUMPY[want].kind == "f" or np.can_cast(tensors.NUMPY[have], tensors.NUMPY[want], "safe")


def widest(one: str, other: str) -> str | None:
    """The datatype that holds the values of both; None for a text and a number.

    >>> widest("FP32", "INT64"), widest("FP32", "BYTES")
    ('FP64', None)
    """
    if one == other:
        return one
    if "BYTES" in (one, other):
        return None
    return tensors.datatype_of(np.result_type(tensors.NUMPY[one], tensors.NUMPY[other]))


def shared(one: str, other: str) -> str | None:
    """The datatype that may feed inputs of both, as wide as it can be; None where there is none.

    >>> shared("FP32", "FP64"), shared("FP32", "INT64"), shared("BYTES", "INT64")
    ('FP64', 'INT64', None)
    """
    for candidate in (widest(one, other), one, other):
        if candidate is not None and takes(candidate, one) and takes(candidate, other):
            return candidate
    return None


def mean_type(datatypes: Sequence[str]) -> str:
    """The datatype of a mean: FP32 where all are of 32 bits or less and none is a whole number, else FP64."""
    return "FP32" if all(datatype in _SINGLE for datatype in datatypes) else "FP64"


def mean(arrays: Sequence[Array], weights: Sequence[float], datatype: str) -> Array:
    """The weighted mean, summed in 64 bits. NaN where a member gave NaN.

    >>> mean([np.array([1.0, 4.0]), np.array([3.0, 8.0])], [3, 1], "FP64").tolist()
    [1.5, 5.0]
    """
    total = np.zeros(arrays[0].shape, "<f8")
    for array, weight in zip(arrays, weights, strict=True):
        total += array.astype("<f8") * weight
    return (total / sum(weights)).astype(tensors.NUMPY[datatype])


def largest(arrays: Sequence[Array], datatype: str) -> Array:
    """The largest value. NaN where a member gave NaN."""
    target = tensors.NUMPY[datatype]
    found = arrays[0].astype(target)
    for array in arrays[1:]:
        found = np.maximum(found, array.astype(target))
    return found


def vote(arrays: Sequence[Array], weights: Sequence[float]) -> Array:
    """The value with the largest sum of weights; of equal sums the one that an earlier member gave.

    >>> vote([np.array([1, 5]), np.array([2, 6]), np.array([2, 7])], [1, 1, 1]).tolist()
    [2, 5]
    """
    stacked = np.stack(arrays)
    scores = np.zeros(stacked.shape, "<f8")
    for array, weight in zip(stacked, weights, strict=True):
        scores += weight * (stacked == array)
    winner = np.argmax(scores, axis=0)
    return np.take_along_axis(stacked, winner[None], axis=0)[0]
