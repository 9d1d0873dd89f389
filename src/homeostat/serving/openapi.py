"""OpenAPI of one model, made from its signature: names, datatypes and shapes as constants, recorded rows as example."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.serving import tensor_json, tensors
from homeostat.serving.asked_by_mlflow import AskedContract
from homeostat.serving.contract import Contract, MatrixContract, TensorSpec
from homeostat.serving.loaded import LoadedVersion

_ROWS = 2  # shown in an example
# MLflow's types of parameters; structured ones may be anything.
_PARAM_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"}, "string": {"type": "string"}, "integer": {"type": "integer"},
    "long": {"type": "integer"}, "float": {"type": "number"}, "double": {"type": "number"},
    "datetime": {"type": "string", "format": "date-time"},
}  # fmt: skip
_JSON_TYPES = {"BOOL": "boolean", "BYTES": "string", "FP32": "number", "FP64": "number"}

_EXPLANATION = {
    "type": "object",
    "required": ["prediction", "base", "contributions"],
    "properties": {
        **{name: {"type": "number"} for name in ("prediction", "score", "base")},
        "output": {"type": "integer"},
        "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
_REWARD = {
    "type": "object",
    "required": ["request_id", "reward"],
    "properties": {"request_id": {"type": "string"}, "reward": {"type": "number"}},
}


def describe(loaded: LoadedVersion, version: str | None) -> dict[str, Any]:
    """The document: inference, scoring and metadata of this version (None: of the model as it is routed)."""
    of_model = f"/v2/models/{quote(loaded.model, safe='')}"
    base = of_model if version is None else f"{of_model}/versions/{version}"
    scoring = {"post": _call("Predict, in MLflow's forms", {"$ref": "#/components/schemas/Scoring"}, _frame(loaded),
                             {"$ref": "#/components/schemas/Predictions"})}  # fmt: skip
    paths: dict[str, Any] = {
        f"{base}/infer": {
            "post": _call("Predict", {"$ref": "#/components/schemas/Request"}, _examples(loaded),
                          {"$ref": "#/components/schemas/Answer"})
        },
        f"{base}/invocations": scoring,
        base: {"get": _page("Inputs and outputs")},
        f"{base}/ready": {"get": _page("Whether it answers")},
        f"{base}/stats": {"get": _page("Counts and times")},
        f"{base}/config": {"get": _page("Configuration")},
    }  # fmt: skip
    if version is None:
        paths |= _without_version(loaded, of_model, scoring)
    return {
        "openapi": "3.1.0",
        "info": {"title": loaded.model, "version": str(loaded.version)},
        "paths": paths,
        "components": {"schemas": _schemas(loaded)},
    }


def _without_version(loaded: LoadedVersion, of_model: str, scoring: dict[str, Any]) -> dict[str, Any]:
    """The paths that name no version: KServe's first protocol, and feedback."""
    first = f"/v1/models/{quote(loaded.model, safe='')}"
    paths = {f"{first}:predict": scoring}
    if all(len(spec.shape) == 1 for spec in loaded.contract.inputs):
        paths[f"{first}:explain"] = {
            "post": _call("What each feature did to each prediction", {"$ref": "#/components/schemas/Instances"},
                          {},
                          {"$ref": "#/components/schemas/Explanations"})
        }  # fmt: skip
    told = {"one": {"value": {"request_id": "r1", "reward": 1.0}},
            "many": {"value": {"feedback": [{"request_id": "r1", "reward": 1.0}]}}}  # fmt: skip
    paths[f"{of_model}/feedback"] = {
        "post": _call("What answers turned out to be worth", {"$ref": "#/components/schemas/Feedback"}, told,
                      {"type": "object", "required": ["recorded"], "properties": {"recorded": {"type": "integer"}}})
    }  # fmt: skip
    return paths


def _schemas(loaded: LoadedVersion) -> dict[str, Any]:
    contract = loaded.contract
    ways: list[Any] = []
    if contract.offered is not contract.inputs:
        ways.append(_tensors(contract.offered))
    optional = contract.optional if isinstance(contract, AskedContract) else frozenset[str]()
    ways.append(_tensors(contract.inputs, optional))
    return {
        "Request": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "inputs": ways[0] if len(ways) == 1 else {"anyOf": ways},
                "outputs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"enum": [spec.name for spec in loaded.outputs]},
                            "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
                        },
                    },
                },
            },
        },
        "Answer": {
            "type": "object",
            "required": ["model_name", "model_version", "id", "outputs"],
            "properties": {
                "model_name": {"const": loaded.model},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "outputs": {"type": "array", "items": {"anyOf": [_tensor(spec) for spec in loaded.outputs]}},
            },
        },
        "Scoring": {
            "type": "object",
            "properties": {
                **{name: {} for name in ("dataframe_split", "dataframe_records", "instances", "inputs")},
                "params": {"type": "object", "properties": _params(loaded.contract)},
            },
            "minProperties": 1,
        },
        "Instances": {
            "type": "object",
            "required": ["instances"],
            "properties": {"instances": {"type": "array", "items": {"anyOf": [{"type": "array"}, {"type": "object"}]}}},
        },
        "Explanations": {
            "type": "object",
            "required": ["explanations"],
            "properties": {"explanations": {"type": "array", "items": _EXPLANATION}},
        },
        "Feedback": {
            "anyOf": [
                _REWARD,
                {
                    "type": "object",
                    "required": ["feedback"],
                    "properties": {"feedback": {"type": "array", "items": _REWARD}},
                },
            ]
        },
        "Predictions": {"type": "object", "required": ["predictions"], "properties": {"predictions": {}}},
        "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    }


def _params(contract: Contract) -> dict[str, Any]:
    """The parameters that a model declares, with what they are by default."""
    found: dict[str, Any] = {}
    for one in contract.params.values() if isinstance(contract, AskedContract) else ():
        kind = _PARAM_TYPES.get(one.type, {})
        found[one.name] = {**({"type": "array", "items": kind} if one.many else kind), "default": one.default}
    return found


def _tensors(specs: list[TensorSpec], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    each = [_tensor(spec) | ({"x-optional": True} if spec.name in optional else {}) for spec in specs]
    least = sum(spec.name not in optional for spec in specs)
    return {"type": "array", "items": {"anyOf": each}, "minItems": least}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    sizes: list[Any] = [{"const": size} if size >= 0 else {"type": "integer", "minimum": 0} for size in spec.shape]
    return {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"const": spec.name},
            "datatype": {"const": spec.datatype},
            "shape": {"type": "array", "prefixItems": sizes, "minItems": len(sizes)},
            "data": {
                "type": "array",
                "items": {"anyOf": [{"type": [_JSON_TYPES.get(spec.datatype, "integer"), "null"]}, {"type": "array"}]},
            },
            "parameters": {"type": "object"},
        },
    }


def _examples(loaded: LoadedVersion) -> dict[str, Any]:
    contract = loaded.contract
    arrays = contract.feed(loaded.sample)
    if contract.batchable:
        arrays = [array[:_ROWS] for array in arrays]
    found = {"tensors": {"value": {"inputs": _wires(contract.offered, arrays)}}}
    if isinstance(contract, MatrixContract):
        columns = [arrays[0][:, at] for at in range(contract.width)]
        found["columns"] = {"value": {"inputs": _wires(contract.inputs, columns)}}
    return found


def _frame(loaded: LoadedVersion) -> dict[str, Any]:
    contract = loaded.contract
    arrays = contract.feed(loaded.sample)
    if isinstance(contract, MatrixContract):
        rows = [_shown("FP32", row) for row in arrays[0][:_ROWS]]
        return {"frame": {"value": {"dataframe_split": {"columns": contract.column_names, "data": rows}}}}
    if contract.batchable:
        arrays = [array[:_ROWS] for array in arrays]
    named = {spec.name: _shown(spec.datatype, array) for spec, array in zip(contract.inputs, arrays, strict=True)}
    return {"named": {"value": {"inputs": named}}}


def _wires(specs: list[TensorSpec], arrays: list[tensors.Array]) -> list[Any]:
    return [
        {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape), "data": _flat(spec.datatype, array)}
        for spec, array in zip(specs, arrays, strict=True)
    ]


def _flat(datatype: str, array: tensors.Array) -> list[Any]:
    try:
        return msgspec.json.decode(tensor_json.to_json(datatype, array))
    except InvalidInput:  # bytes that are not text have no JSON form
        return []


def _shown(datatype: str, array: tensors.Array) -> Any:
    values: Any = _flat(datatype, array)
    for size in reversed(array.shape[1:]):
        values = [values[at : at + size] for at in range(0, len(values), size)] if size else values
    return values


def _call(summary: str, schema: Any, examples: dict[str, Any], answer: Any) -> dict[str, Any]:
    failure = {"description": "What does not fit, in one line",
               "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}  # fmt: skip
    return {
        "summary": summary,
        "requestBody": {
            "required": True, "content": {"application/json": {"schema": schema, "examples": examples}}
        },
        "responses": {
            "200": {"description": "The predictions", "content": {"application/json": {"schema": answer}}},
            "default": failure,
        },
    }  # fmt: skip


def _page(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": summary, "content": {"application/json": {}}}}}
