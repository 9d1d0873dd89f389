"""What is in an image, as a CycloneDX 1.6 bill of materials: the model, its files, the distributions, licences."""

from __future__ import annotations

import uuid
from typing import Any

from homeostat.core.records import Record
from homeostat.core.version import VERSION
from homeostat.registry import Field, ModelVersion, Signature
from homeostat.serving.shipping.distributions import Shipped, required

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


class Contents(Record):
    """What went into an image. `files` are the model's, each with its SHA-256; `environment` what it has beside the
    server's `distributions`; `python` is empty on a base image."""

    version: ModelVersion
    signature: Signature
    files: dict[str, str]
    distributions: list[Shipped] = []
    environment: list[Shipped] = []
    python: str = ""
    base: str = ""
    libraries: list[str] = []


def bill_of_materials(contents: Contents, digest: str) -> dict[str, Any]:
    """The document for the image whose manifest has `digest`. The same image gives the same document."""
    version = contents.version
    image = f"image/{version.model}/{version.version}"
    model = f"model/{version.model}/{version.version}"
    every = {_reference(one): one for one in (*contents.distributions, *contents.environment)}
    components = [_model(contents, model), *[_library(every[name]) for name in sorted(every)]]
    if contents.python:
        cpe = f"cpe:2.3:a:python:python:{contents.python}:*:*:*:*:*:*:*"
        components.append(_plain("application", "python", contents.python, cpe))
    components.extend(_plain("library", name, "", "") for name in sorted(contents.libraries))
    if contents.base:
        components.append(_plain("container", "base image", contents.base, ""))
    dependencies = [{"ref": image, "dependsOn": sorted(part["bom-ref"] for part in components)}]
    return {
        "$schema": _SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "metadata": {
            "component": {
                "type": "container", "bom-ref": image, "name": version.model, "version": str(version.version),
                "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
            },
            "tools": {"components": [{"type": "application", "name": "homeostat", "version": VERSION}]},
        },
        "components": components,
        "dependencies": dependencies + _required(contents),
    }  # fmt: skip


def _required(contents: Contents) -> list[dict[str, Any]]:
    """What each distribution requires, of those that it is installed beside."""
    found: dict[str, set[str]] = {}
    for beside in (contents.distributions, contents.environment):
        known = {one.name: _reference(one) for one in beside}
        for one in beside:
            names = {name.partition("[")[0] for name in required(one)}
            found.setdefault(_reference(one), set()).update(known[name] for name in names if name in known)
    return [{"ref": name, "dependsOn": sorted(found[name])} for name in sorted(found)]


def _model(contents: Contents, reference: str) -> dict[str, Any]:
    version = contents.version
    told = [
        ("homeostat:package", version.digest), ("homeostat:flavor", version.flavor), ("homeostat:run", version.run_id),
    ]  # fmt: skip
    return {
        "type": "machine-learning-model", "bom-ref": reference, "name": version.model, "version": str(version.version),
        "modelCard": {"modelParameters": {
            "inputs": [_shown(field) for field in contents.signature.inputs],
            "outputs": [_shown(field) for field in contents.signature.outputs],
        }},
        "properties": [{"name": name, "value": value} for name, value in told if value],
        "components": [
            {"type": "file", "bom-ref": f"{reference}/{name}", "name": name,
             "hashes": [{"alg": "SHA-256", "content": digest}]}
            for name, digest in sorted(contents.files.items())
        ],
    }  # fmt: skip


def _shown(field: Field) -> dict[str, str]:
    return {"format": f"{field.name}: {field.dtype} {field.shape}"}


def _library(one: Shipped) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": "library", "bom-ref": _reference(one), "name": one.name, "version": one.version,
        "purl": _reference(one),
    }  # fmt: skip
    if one.license:
        said["licenses"] = [{"license": {"name": one.license}}]
    return said


def _plain(kind: str, name: str, version: str, cpe: str) -> dict[str, Any]:
    said = {"type": kind, "bom-ref": f"{kind}/{name}", "name": name, "version": version, "cpe": cpe}
    return {key: value for key, value in said.items() if value}


def _reference(one: Shipped) -> str:
    return f"pkg:pypi/{one.name}@{one.version}"
