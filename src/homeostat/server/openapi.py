"""OpenAPI 3.1, made from the verbs' declarations."""

from __future__ import annotations

from typing import Any

import msgspec

from homeostat.core.frames import MEDIA_TYPE
from homeostat.core.remote import path_of
from homeostat.core.verbs import Verb

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


def document(verbs: list[Verb], version: str) -> dict[str, Any]:
    """The OpenAPI document of `verbs`."""
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
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Homeostat",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


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
