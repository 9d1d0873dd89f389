"""MLflow's `MLmodel` file: what a model's folder says of itself, read as data. Nothing of the model is loaded."""

from __future__ import annotations

import json
from typing import Any, cast

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.registry.model import Field, Signature

FILE = "MLmodel"
_LARGEST = 1 << 20
# What PyYAML lets through of its own making: numbers of too many digits, days that are not, tags that do not fit.
_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
_NONE = Signature(inputs=[], outputs=[], tensor=None)
# MLflow's column types and NumPy's names as data types of the Open Inference Protocol.
_TYPES = {
    "boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64", "string": "BYTES",
    "binary": "BYTES", "datetime": "BYTES", "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32",
    "int64": "INT64", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "float16": "FP16",
    "float32": "FP32", "float64": "FP64",
}  # fmt: skip


class MlModel(Record):
    """What registering takes from an `MLmodel`: `flavors` it can be loaded as, its signature, the run that made it."""

    flavors: list[str]
    signature: Signature
    run_id: str = ""
    model_id: str = ""


class ModelParameter(Record):
    """A parameter that a model takes with a request: its `type` in MLflow's words, what it is by default, and whether
    it is `many` of them in a list."""

    name: str
    type: str
    default: Any = None
    many: bool = False


class Asks(Record):
    """What an MLflow model takes beyond its columns: parameters, and which columns may be left out."""

    params: list[ModelParameter] = []
    optional: list[str] = []


def read_asks(data: bytes) -> Asks:
    """What the `MLmodel` says of parameters and of columns that are not required.

    >>> read_asks(b"flavors: {python_function: {}}")
    Asks(params=[], optional=[])
    """
    signature = read_fields(data).get("signature")
    sides = cast("dict[str, Any]", signature) if isinstance(signature, dict) else {}
    return Asks(
        params=[
            ModelParameter(
                name=str(one.get("name")), type=str(one.get("type")), default=one.get("default"),
                many=bool(one.get("shape")),
            )
            for one in _listed(sides.get("params"), "params") if one.get("name")
        ],
        optional=[
            str(one["name"]) for one in _listed(sides.get("inputs"), "inputs")
            if one.get("required") is False and one.get("name")
        ],
    )  # fmt: skip


def read_mlmodel(data: bytes) -> MlModel:
    """Parse an `MLmodel`. Raises: InvalidInput for what is not one.

    >>> read_mlmodel(b"flavors: {python_function: {}, sklearn: {}}").flavors
    ['python_function', 'sklearn']
    """
    fields = read_fields(data)
    flavors = fields.get("flavors")
    return MlModel(
        flavors=sorted(str(name) for name in cast("dict[str, Any]", flavors)) if isinstance(flavors, dict) else [],
        signature=_signature(fields.get("signature")),
        run_id=_text(fields.get("run_id")),
        model_id=_text(fields.get("model_id")),
    )


def read_fields(data: bytes) -> dict[str, Any]:
    """What an `MLmodel` says, as it says it. Raises: InvalidInput for what is not one."""
    import yaml

    if len(data) > _LARGEST:
        raise InvalidInput(f"the MLmodel file has {len(data)} bytes", hint="at most a megabyte is read")
    try:
        said = yaml.safe_load(data)
    except (*_UNREADABLE, yaml.YAMLError) as error:
        raise InvalidInput(f"the MLmodel file is not YAML: {str(error)[:200]}") from error
    if not isinstance(said, dict):
        raise InvalidInput("the MLmodel file holds no fields")
    return cast("dict[str, Any]", said)


def _text(said: Any) -> str:
    # Nothing else becomes text: a list of lists of lists, each named once and meant many times, would fill the memory.
    return said if isinstance(said, str) else ""


def _signature(said: Any) -> Signature:
    if not isinstance(said, dict):
        return _NONE
    sides = cast("dict[str, Any]", said)
    return Signature(
        inputs=_fields(sides.get("inputs"), "input"), outputs=_fields(sides.get("outputs"), "output"), tensor=None
    )


def _fields(text: Any, what: str) -> list[Field]:
    return [_field(one, f"{what}{number}") for number, one in enumerate(_listed(text, f"{what}s"))]


def _listed(text: Any, what: str) -> list[dict[str, Any]]:
    """A part of the signature, which is JSON in YAML: a list of objects; nothing where there is none."""
    if not isinstance(text, str):
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the signature's {what} are not JSON") from error
    if not isinstance(found, list):
        raise InvalidInput(f"the signature's {what} are not a list")
    items = cast("list[Any]", found)
    return [cast("dict[str, Any]", one) if isinstance(one, dict) else {} for one in items]


def _field(column: dict[str, Any], name: str) -> Field:
    known = str(column.get("name") or name)
    spec = column.get("tensor-spec")
    if isinstance(spec, dict):
        tensor = cast("dict[str, Any]", spec)
        shape = tensor.get("shape")
        sizes = [int(n) for n in cast("list[Any]", shape) if isinstance(n, int)] if isinstance(shape, list) else [-1]
        return Field(name=known, dtype=_TYPES.get(str(tensor.get("dtype")), "BYTES"), shape=sizes)
    return Field(name=known, dtype=_TYPES.get(str(column.get("type")), "BYTES"))
