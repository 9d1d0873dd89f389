"""OpenAPI 3.1, made from the declarations of verbs and of the calls of foreign protocols."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

from homeostat.core.foreign import Rpc
from homeostat.core.frames import MEDIA_TYPE
from homeostat.core.remote import path_of
from homeostat.core.verbs import Verb
from homeostat.server.foreign_fields import Fields, fields_of

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint", "facts"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": "string"},
                "facts": {"type": "object"},
            },
        }
    },
}


_FOREIGN_ERROR = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}
_ARGUMENT = re.compile(r"\{(\w+)(?::path)?\}")


def document(verbs: list[Verb], rpcs: list[Rpc], version: str) -> dict[str, Any]:
    """The OpenAPI document of `verbs`, and of the calls of foreign protocols."""
    kinds = [p.kind for v in verbs for p in v.parameters if not p.body] + [v.result for v in verbs if not v.gives]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schema_of = iter(schemas)
    parameters = {(v.slice, v.name, p.name): next(schema_of) for v in verbs for p in v.parameters if not p.body}
    results = {(v.slice, v.name): next(schema_of) for v in verbs if not v.gives}
    paths: dict[str, Any] = {}
    for verb in verbs:
        method = "get" if verb.safe and verb.body is None else "post"
        known = {p.name: parameters[verb.slice, verb.name, p.name] for p in verb.parameters if not p.body}
        paths[path_of(verb)] = {method: _operation(verb, method, known, results.get((verb.slice, verb.name)))}
    for declared in rpcs:
        path = declared.path if declared.path.startswith("/") else f"/api/{declared.path}"
        shown = _ARGUMENT.sub(r"{\1}", path)
        paths.setdefault(shown, {})[declared.method.lower()] = _call(declared, shown)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Homeostat",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR, "ForeignError": _FOREIGN_ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _call(declared: Rpc, path: str) -> dict[str, Any]:
    named = _ARGUMENT.findall(path)
    failure = {
        "description": "why not, as the protocol says it",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ForeignError"}}},
    }
    content: dict[str, Any] = {"*/*": {}} if declared.raw else {"application/json": {"schema": {"type": "object"}}}
    operation: dict[str, Any] = {
        "operationId": f"{declared.method.lower()} {path}",
        "tags": [path.removeprefix("/").rpartition("/")[0] or "mlflow"],
        "summary": (inspect.getdoc(declared.handler) or "").partition("\n")[0],
        "x-permission": declared.permission,
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in named],
        "responses": {"2XX": {"description": "the result", "content": content}, "4XX": failure, "5XX": failure},
    }
    fields = Fields() if declared.raw else fields_of(declared.handler)
    for name in named:
        fields.known.pop(name, None)
    fields.required = [name for name in fields.required if name not in named]
    if declared.method in ("GET", "HEAD"):
        operation["parameters"] += [
            {"name": name, "in": "query", "required": name in fields.required, "schema": schema}
            for name, schema in fields.known.items()
        ]
    elif declared.raw:
        operation["requestBody"] = {"content": {"application/octet-stream": {}}}
    else:
        operation["requestBody"] = {"content": {"application/json": {"schema": fields.schema()}}}
    return operation


def _operation(verb: Verb, method: str, known: dict[str, Any], result: Any) -> dict[str, Any]:
    failure = {
        "description": "why not",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    media = MEDIA_TYPE if verb.gives == "frame" else "application/octet-stream"
    content = {media: {}} if verb.gives else {"application/json": {"schema": result}}
    operation: dict[str, Any] = {
        "operationId": f"{verb.slice}.{verb.name}",
        "tags": [verb.slice],
        "summary": verb.help,
        "description": verb.description,
        "x-permission": verb.permission,
        "responses": {"200": {"description": "the result", "content": content}, "4XX": failure, "5XX": failure},
    }
    required = [p.name for p in verb.parameters if p.required and not p.body]
    if method == "get":
        operation["parameters"] = [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in known.items()
        ]
    else:
        arguments = {"type": "object", "properties": known, "required": required, "additionalProperties": False}
        body = verb.body
        if body is None:
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": arguments}}}
        else:
            kind = MEDIA_TYPE if body.body == "frame" else "application/octet-stream"
            operation["requestBody"] = {"required": True, "content": {kind: {}}}
            operation["parameters"] = [
                {
                    "name": "args",
                    "in": "query",
                    "required": bool(required),
                    "content": {"application/json": {"schema": arguments}},
                }
            ]
    return operation
