"""Which rows a condition is met by, and where shares of the requests end."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensors
from homeostat.serving.graphs.nodes import When
from homeostat.serving.routes import position
from homeostat.serving.tensors import Array

_OPS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_SPAN = 1 << 64


def check_when(when: When, datatype: str | None, path: str) -> None:
    """InvalidInput when the condition cannot be meant; `datatype` is that of its column, None for a parameter."""
    if (when.column is None) == (when.parameter is None):
        raise InvalidInput(f"{path}: a condition names a column or a parameter, one of them")
    values = when.value if isinstance(when.value, list) else [when.value]
    if when.op == "missing":
        values = []
    elif when.value is None or isinstance(when.value, list) != (when.op == "in"):
        wanted = "a list of values" if when.op == "in" else "one value"
        raise InvalidInput(f"{path}: '{when.op}' compares with {wanted}", hint="set `value`")
    for value in values:
        text = isinstance(value, str)
        if datatype is not None and text != (datatype == "BYTES"):
            what = "text" if datatype == "BYTES" else f"a number ({datatype})"
            raise InvalidInput(f"{path}: column '{when.column}' is {what}, it is compared with {value!r}")


def rows_that_meet(when: When, column: Array) -> Array:
    """Booleans: which rows of a column meet the condition.

    >>> rows_that_meet(When(column="age", op=">=", value=18), np.array([17.0, 18.0, np.nan])).tolist()
    [False, True, False]
    """
    if when.op == "missing":
        if column.dtype == object:
            return np.fromiter((not item for item in column.tolist()), bool, len(column))
        return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)
    values = [_plain(value) for value in (when.value if isinstance(when.value, list) else [when.value])]
    if when.op == "in":
        wanted = set(values)
        return np.fromiter((item in wanted for item in column.tolist()), bool, len(column))
    if column.dtype == object:
        compare, value = _OPS[when.op], values[0]
        return np.fromiter((compare(item, value) for item in column.tolist()), bool, len(column))
    return _OPS[when.op](column, values[0])


def is_met(when: When, parameters: dict[str, Any]) -> bool:
    """Whether a request with these parameters meets a condition on one of them.

    >>> is_met(When(parameter="tier", op="in", value=["gold", "silver"]), {"tier": "gold"})
    True
    """
    value = parameters.get(when.parameter or "")
    if when.op == "missing" or value is None:
        return (value is None) if when.op == "missing" else when.op == "!="
    if when.op == "in":
        return value in (when.value if isinstance(when.value, list) else [])
    if isinstance(value, str) != isinstance(when.value, str):
        return when.op == "!="  # a text is never equal to a number, nor before or after one
    return bool(_OPS[when.op](value, when.value))


def ends_of(weights: Sequence[float]) -> list[int]:
    """Where each share of the circle of 2**64 places ends."""
    ends: list[int] = []
    total = 0.0
    for weight in weights:
        total += weight
        ends.append(round(total * _SPAN))
    ends[-1] = _SPAN
    return ends


def share_of(ends: Sequence[int], salt: str, key: str) -> int:
    """The share that `key` falls into."""
    return bisect_right(ends, position(salt, key))


def texts_of(column: Array) -> list[str]:
    """Keys as the hash takes them: the same for a key that came as text or as bytes."""
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in column.tolist()]


def _plain(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def distinct(datatype: str, array: Array) -> Array:
    """`array` in the datatype's own NumPy form."""
    target = tensors.NUMPY[datatype]
    return array if array.dtype == target else array.astype(target)
