"""Requests in MLflow's scoring forms, CSV and KServe's v1: read into the tensors that every request is checked as.

`dataframe_split`, `dataframe_records`, `instances`, `inputs` and CSV with a header line. Frames go by column name;
`instances` and `inputs` by position or by name. Numbers are read in the datatype that the signature has.
"""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import msgspec
import numpy as np

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensor_json, tensors
from homeostat.serving.contract import Contract, MatrixContract, TensorSpec, WireTensor
from homeostat.serving.http1 import JSON, Exchange
from homeostat.serving.loaded import LoadedVersion
from homeostat.serving.oip import Outputs, WireRequest
from homeostat.serving.question import Question
from homeostat.serving.request_ids import id_line

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_MAX_DEPTH = 8


class _Split(msgspec.Struct, gc=False):
    columns: list[str]
    data: msgspec.Raw
    index: Any = None


class _Body(msgspec.Struct, gc=False):
    dataframe_split: _Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | None = None
    inputs: Any = None
    params: dict[str, Any] | None = None
    signature_name: str | None = None


_decode = msgspec.json.Decoder(_Body).decode
_decode_rows = msgspec.json.Decoder(list[list[float | None]]).decode
_decode_any_rows = msgspec.json.Decoder(list[list[Any]]).decode


def read_json(body: bytes, contract: Contract, request_id: str) -> tuple[WireRequest, bytes]:
    """The request in `body`, and the bytes that its binary tensors lie in.

    Raises: InvalidInput when the JSON is malformed, or holds none or several of the forms.
    """
    try:
        found = _decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"not a scoring request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not valid JSON: {error}") from None
    given = [name for name in _FORMS if getattr(found, name) is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"the body holds {' and '.join(given) or 'none of the forms'}", hint=f"send one of {', '.join(_FORMS)}"
        )
    data = b""
    if found.dataframe_split is not None:
        wires, data = _split(found.dataframe_split, contract)
    elif found.dataframe_records is not None:
        wires = _columns(_records(found.dataframe_records), contract)
    else:
        wires = _positional(found.instances if found.inputs is None else found.inputs, given[0], contract)
    return WireRequest(wires, request_id, params=found.params), data


def read_csv(body: bytes, contract: Contract, request_id: str) -> WireRequest:
    """The request in a CSV text: a header line of column names, then a line for each row. Empty fields are missing.

    Raises: InvalidInput for text that is no CSV, rows of another length, and fields that are not of their datatype.
    """
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"the body is not CSV: {error}") from None
    rows = [row for row in rows if row]
    if not rows:
        raise InvalidInput("the CSV has no header line")
    names = rows[0]
    _check_names(names)
    for at, row in enumerate(rows[1:], 1):
        if len(row) != len(names):
            raise InvalidInput(f"row {at} has {len(row)} fields, the header names {len(names)}")
    columns: dict[str, list[Any]] = {}
    for at, name in enumerate(names):
        datatype = _datatype(name, [], contract)
        columns[name] = [_field(name, datatype, number, row[at]) for number, row in enumerate(rows[1:], 1)]
    return WireRequest(_columns(columns, contract), request_id)


class PredictionsForm:
    """`{"predictions": …}`: a list for a model of one output; for several, a record for each row."""

    def put(
        self, question: Question, waiting: Exchange, loaded: LoadedVersion, outputs: Outputs, start: int,
        stop: int | None,
    ) -> None:  # fmt: skip
        """See `Form.put`."""
        named: dict[str, Any] = {}
        for spec, array in zip(loaded.outputs, outputs.arrays, strict=True):
            named[spec.name] = _listed(spec, array if stop is None else array[start:stop])
        predictions: Any = named
        if len(named) == 1:
            (predictions,) = named.values()
        elif stop is not None:
            predictions = [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]
        extra = b"%bX-Model-Version: %d\r\n" % (id_line(question.id), loaded.version)
        waiting.data = waiting.compose(200, JSON, msgspec.json.encode({"predictions": predictions}), extra)


PREDICTIONS = PredictionsForm()


def _listed(spec: TensorSpec, array: tensors.Array) -> Any:
    if spec.datatype != "BYTES":
        return array.tolist()
    flat = msgspec.json.decode(tensor_json.to_json("BYTES", array))
    return flat if array.ndim == 1 else np.array(flat, dtype=object).reshape(array.shape).tolist()


def _split(frame: _Split, contract: Contract) -> tuple[list[WireTensor], bytes]:
    names = frame.columns
    _check_names(names)
    if isinstance(contract, MatrixContract) and set(names) == set(contract.column_names):
        try:
            rows = _decode_rows(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            rows = []
        matrix = _matrix(rows, len(names))
        if matrix is not None:
            if names != contract.column_names:
                matrix = matrix[:, [names.index(name) for name in contract.column_names]]
            data = matrix.tobytes()
            size = {"binary_data_size": len(data)}
            return [WireTensor(contract.offered[0].name, list(matrix.shape), "FP32", parameters=size)], data
    try:
        anything = _decode_any_rows(frame.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"dataframe_split: the data is not a list of rows: {error}") from None
    for at, row in enumerate(anything):
        if len(row) != len(names):
            raise InvalidInput(f"dataframe_split: row {at} has {len(row)} values for {len(names)} columns")
    return _columns({name: [row[at] for row in anything] for at, name in enumerate(names)}, contract), b""


def _matrix(rows: list[list[float | None]], width: int) -> tensors.Array | None:
    """The rows as FP32; None for none, ragged ones and numbers too large: which column is wrong is told elsewhere."""
    if not rows or any(len(row) != width for row in rows):
        return None
    try:
        with np.errstate(over="raise"):
            return np.array(rows, "<f4")
    except FloatingPointError:
        return None


def _records(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in (records[0] if records else ())}
    for at, record in enumerate(records):
        if record.keys() != columns.keys():
            odd = next(iter(record.keys() ^ columns.keys()))
            raise InvalidInput(f"row {at} {'has' if odd in record else 'lacks'} '{odd[:80]}', unlike row 0")
        for name, value in record.items():
            columns[name].append(value)
    return columns


def _positional(value: Any, form: str, contract: Contract) -> list[WireTensor]:
    if isinstance(value, dict):
        return _columns({str(name): v if isinstance(v, list) else [v] for name, v in value.items()}, contract)
    if not isinstance(value, list):
        raise InvalidInput(f"'{form}' is neither a list nor an object of named inputs")
    rows: list[Any] = value
    if rows and all(isinstance(row, dict) for row in rows):
        return _columns(_records(rows), contract)
    if len(contract.offered) == 1:
        spec = contract.offered[0]
        shape = _shape(form, rows)
        if len(shape) == 1 and len(spec.shape) == 2 and spec.shape[1] in (1, -1):
            shape = [*shape, 1]
        return [WireTensor(spec.name, shape, spec.datatype, msgspec.Raw(msgspec.json.encode(rows)))]
    names = [spec.name for spec in contract.inputs]
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise InvalidInput(f"{form}: row {at} is not a list of the {len(names)} inputs")
    return _columns({name: [row[at] for row in rows] for at, name in enumerate(names)}, contract)


def _columns(columns: dict[str, list[Any]], contract: Contract) -> list[WireTensor]:
    return [
        WireTensor(name, _shape(name, values), _datatype(name, values, contract),
                   msgspec.Raw(msgspec.json.encode(values)))
        for name, values in columns.items()
    ]  # fmt: skip


def _datatype(name: str, values: list[Any], contract: Contract) -> str:
    """What the signature says; for a key what its values are, for what this version does not know anything."""
    place = contract.names.get(name)
    if place is not None:
        return contract.inputs[place].datatype
    if name == contract.time:
        return "INT64"
    if name == contract.key:
        return "INT64" if values and isinstance(values[0], int) else "BYTES"
    return next((spec.datatype for spec in contract.offered if spec.name == name), "FP32")


def _shape(name: str, values: list[Any]) -> list[int]:
    shape: list[int] = []
    inner: Any = values
    while isinstance(inner, list):
        level: list[Any] = inner
        shape.append(len(level))
        if not level:
            break
        inner = level[0]
        if len(shape) > _MAX_DEPTH:
            raise InvalidInput(f"input '{name[:80]}' is nested deeper than {_MAX_DEPTH} lists")
    return shape


def _check_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"the column '{twice[:80]}' is given twice")


def _field(name: str, datatype: str, row: int, text: str) -> Any:
    if datatype == "BYTES":
        return text
    if not text:
        return None
    try:
        if datatype == "BOOL":
            return {"true": True, "false": False, "1": True, "0": False}[text.strip().lower()]
        if "_" in text:  # between digits Python passes over it; nobody else does
            raise ValueError
        value = float(text) if datatype.startswith(("FP", "BF")) else int(text)
    except (KeyError, ValueError):
        raise InvalidInput(f"column '{name[:80]}', row {row}: '{text[:40]}' is not {datatype}") from None
    if isinstance(value, float) and math.isinf(value):  # it goes on as JSON, which would take it for a missing one
        raise tensor_json.outside(f"column '{name[:80]}', row {row}", datatype)
    return value
