"""MLflow's models of somebody's own code, and of flavors that nothing here reads: MLflow itself loads them, in a
process of an environment that has it. Here only what they say of themselves is read.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, cast

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record
from homeostat.registry import samples
from homeostat.registry.layouts.examples import read_example
from homeostat.registry.layouts.found import read_small, text
from homeostat.registry.mlmodel import FILE, read_fields, read_mlmodel
from homeostat.registry.model import OnnxReport, Package, Signature
from homeostat.registry.packaging import maker, write_manifest
from homeostat.registry.python_form import REQUIREMENTS

_FOLDER, _SAMPLE = "mlflow", "sample.arrow"
_REASON = "MLflow itself loads the model"


class OwnCode(Record):
    """What such a model says: its signature, the Python that wrote it ("3.11.7"), and its requirements."""

    signature: Signature
    python: str
    requirements: list[str]


def read_own_code(folder: Path) -> OwnCode | None:
    """What the MLflow model in `folder` says, if MLflow can load it as a function of rows; None where it cannot.

    Raises: InvalidInput for one that says no signature.
    """
    data = read_small(folder / FILE)
    flavors = read_fields(data).get("flavors")
    asked: Any = cast("dict[str, Any]", flavors).get("python_function") if isinstance(flavors, dict) else None
    if not isinstance(asked, dict):
        return None
    said = read_mlmodel(data).signature
    if not said.inputs or not said.outputs:
        raise InvalidInput(
            "the MLflow model of own code says no signature, so nobody knows what to send it and what it gives",
            hint="log it with input_example=…, or signature=mlflow.models.infer_signature(rows, predictions)",
        )
    names = [field.name for field in said.outputs]
    outputs = said.outputs
    if names == ["output0"]:  # it has no name there
        outputs = [msgspec.structs.replace(outputs[0], name="prediction")]
    listed = folder / REQUIREMENTS
    return OwnCode(
        signature=Signature(inputs=said.inputs, outputs=outputs, tensor=None),
        python=text(cast("dict[str, Any]", asked).get("python_version")),
        requirements=read_small(listed).decode(errors="replace").splitlines() if listed.is_file() else ["mlflow"],
    )


def build_own_code(folder: Path, dest: Path) -> Package:
    """Write the package of such a model into the folder `dest`: the model as it is, beside what is served of it."""
    own = read_own_code(folder)
    if own is None:
        raise InvalidInput(f"MLflow cannot load the model in {folder.name} as a function of rows")
    dest.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, dest / _FOLDER, copy_function=_link)
    (dest / REQUIREMENTS).write_text("".join(f"{line}\n" for line in own.requirements), encoding="utf-8")
    names = [field.name for field in own.signature.inputs]
    example = folder / "input_example.json"
    rows = read_example(example) if example.is_file() else None
    kept = rows is not None and set(names) <= set(rows.columns)
    if rows is not None and kept:
        samples.write_sample(rows.select(names), dest / _SAMPLE)
    return write_manifest(dest, Package(
        format=1, flavor="pyfunc", file=f"{_FOLDER}/{FILE}", sample=_SAMPLE if kept else None, created_by=maker(),
        onnx=OnnxReport(available=False, agrees=False, tolerance=0.0, reason=_REASON), signature=own.signature,
        environment=sorted([*own.requirements, *([f"python=={own.python}"] if own.python else [])]),
    ))  # fmt: skip


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
