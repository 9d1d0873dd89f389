"""What the registry knows: records and events. No I/O.

A package is a folder: `model.json` (a `Package`) beside the files it names. The same model gives the same bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from homeostat.core.event import Event
from homeostat.core.records import Record

Flavor = Literal["lightgbm", "sklearn", "onnx", "python"]
Status = Literal["pending", "valid", "refused"]

# The one input tensor of a model of tables: FP32, a row for each example, a column for each input of the signature.
FEATURES = "features"


class Field(Record):
    """One input or output. `dtype` is a data type of the Open Inference Protocol (FP32, INT64, BOOL, BYTES, …);
    `shape` begins with -1, the number of rows."""

    name: str
    dtype: str
    shape: list[int] = msgspec.field(default_factory=lambda: [-1])


class Signature(Record):
    """What a model takes and gives. With `tensor` set, the inputs are the columns, in this order, of that one FP32
    tensor of shape [-1, n]; without, each input is a tensor of its own."""

    inputs: list[Field]
    outputs: list[Field]
    tensor: str | None = FEATURES


class OnnxReport(Record):
    """Whether there is an ONNX form, and how far it lies from the original on the sample.

    `max_difference` is the largest |onnx - original| / max(1, |original|), both given the same 32-bit features; the
    form is kept (`file`) only when that is at most `tolerance`. `reason` says why not, in words.
    """

    available: bool
    agrees: bool
    tolerance: float
    max_difference: float | None = None
    reason: str = ""
    file: str | None = None


class Package(Record):
    """`model.json`. `file` is the original model, `sample` some rows of input as an Arrow file, `classes` the labels
    of a classifier in the order of its probabilities, `environment` the distributions that loading it takes."""

    format: int
    flavor: Flavor
    file: str
    onnx: OnnxReport
    signature: Signature
    sample: str | None
    environment: list[str]
    created_by: str
    classes: list[str] = []


class DataVersion(Record):
    """A version of a table the model learnt from."""

    table: str
    version: int


class GateResult(Record):
    """One check a version must pass: what was measured, against which limit, and the verdict in words."""

    gate: str
    passed: bool
    value: float | None = None
    limit: float | None = None
    reason: str = ""


class ModelVersion(Record):
    """An immutable version of a model, and what was said of it since: gates, tags, description, aliases.

    `digest` names the package as a whole, `files` each of its files, `size` their bytes.
    """

    model: str
    version: int
    digest: str
    flavor: Flavor
    created_ms: int
    signature: Signature
    onnx: OnnxReport
    size: int
    files: dict[str, str]
    environment: list[str]
    status: Status = "pending"
    run_id: str | None = None
    metrics: dict[str, float | None] = {}
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    data: list[DataVersion] = []
    gates: list[GateResult] = []
    description: str = ""
    classes: list[str] = []
    actor: str = ""
    aliases: list[str] = []


class Model(Record):
    """A named model. `versions` counts them: they are numbered 1 to `versions` without a gap."""

    name: str
    description: str
    versions: int
    aliases: dict[str, int]
    updated_ms: int


class AliasMove(Record):
    """An alias was pointed somewhere else: from `previous` (None: it is new) to `version` (None: it was removed).

    `moved` is False when it pointed there already and nothing was changed.
    """

    model: str
    alias: str
    previous: int | None
    version: int | None
    at_ms: int
    actor: str
    run_id: str | None = None
    reason: str = ""
    moved: bool = True


class VersionRegistered(Event, tag="version_registered"):
    model: str
    version: int
    run_id: str | None = None


class AliasMoved(Event, tag="alias_moved"):
    model: str
    alias: str
    version: int | None
    previous: int | None


class GatesRecorded(Event, tag="gates_recorded"):
    model: str
    version: int
    status: str
    failed: list[str]
