"""A model package on disk, as the registry lays it out, read for serving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from homeostat.core.errors import Corrupt, HomeostatError, InvalidInput
from homeostat.core.paths import inside
from homeostat.core.records import from_json
from homeostat.registry import Field, Package

if TYPE_CHECKING:
    from homeostat.serving.contract import TensorSpec

# What a package of its own environment lists.
REQUIREMENTS = "requirements.txt"
MANIFEST = "model.json"


def read_package(folder: Path) -> Package:
    """The package in `folder`. Raises: Corrupt when it is not one; InvalidInput for a newer format."""
    try:
        package = from_json((folder / MANIFEST).read_bytes(), Package)
    except (OSError, HomeostatError) as error:
        raise Corrupt(f"{folder} is not a model package: {error}", hint="register the model again") from error
    if package.format != 1:
        raise InvalidInput(f"the model package has format {package.format}; this Homeostat reads format 1")
    for name in (package.file, package.onnx.file, package.sample):
        if name:
            inside(folder, name)
    return package


def specs(fields: list[Field]) -> list[TensorSpec]:
    """The signature's fields as tensors of the protocol. Raises InvalidInput for an unknown datatype."""
    from homeostat.serving.contract import TensorSpec
    from homeostat.serving.tensors import NUMPY

    for field in fields:
        if field.dtype not in NUMPY:
            raise InvalidInput(f"'{field.name}' has the datatype '{field.dtype}'", hint=f"known are {', '.join(NUMPY)}")
    return [TensorSpec(name=field.name, datatype=field.dtype, shape=field.shape) for field in fields]
