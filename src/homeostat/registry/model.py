"""What the registry knows: records and events. No I/O.

A package is a folder: `model.json` (a `Package`) beside the files it names. The same model gives the same bytes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from homeostat.core.event import Event
from homeostat.core.records import Record

# "graph": a declaration of what asks what, answered by other models. "pyfunc": a folder that MLflow itself loads.
Flavor = Literal["lightgbm", "xgboost", "catboost", "sklearn", "torch", "onnx", "python", "graph", "pyfunc"]
# How a version is kept: as a package of ours, as an MLflow model's folder, or elsewhere ("other": named, not held).
Kept = Literal[
    "lightgbm", "xgboost", "catboost", "sklearn", "torch", "onnx", "python", "graph", "pyfunc", "mlflow", "other",
]  # fmt: skip
Status = Literal["pending", "valid", "refused"]
Stage = Literal["None", "Staging", "Production", "Archived"]

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

    @property
    def runs_code(self) -> bool:
        """Whether loading the model's own form runs what its maker put into it."""
        return self.flavor in ("sklearn", "torch", "python", "pyfunc") and not self.file.endswith(".skops")


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

    `digest` names the package as a whole, `files` each of its files, `size` their bytes; a version whose bytes lie
    elsewhere has neither. `source` is the address it was registered from, `flavors` what an MLflow model can be loaded
    as, `model_id` the logged model it is, `stage` its place in MLflow's older scheme of stages.
    """

    model: str
    version: int
    digest: str
    flavor: Kept
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
    source: str = ""
    run_link: str = ""
    model_id: str = ""
    flavors: list[str] = []
    stage: Stage = "None"
    updated_ms: int = 0
    deleted_ms: int | None = None


class Model(Record):
    """A named model. `versions` counts those it ever had: they are numbered 1 to `versions` without a gap."""

    name: str
    description: str
    versions: int
    aliases: dict[str, int]
    updated_ms: int
    created_ms: int = 0
    tags: dict[str, str] = {}
    deleted_ms: int | None = None


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


class HistoryEntry(Record):
    """Something done to a model: `action` says what (alias_moved, stage_changed, version_deleted, …), `detail` more.

    `digest` covers the entry and `before`, the digest of the model's previous entry, so that a changed one shows.
    """

    id: int
    model: str
    action: str
    at_ms: int
    actor: str
    digest: str
    before: str
    alias: str | None = None
    previous: int | None = None
    version: int | None = None
    run_id: str | None = None
    reason: str = ""
    detail: dict[str, Any] = {}


class HistoryCheck(Record):
    """Whether a model's history is whole: `broken_at` is the id of the first entry that is not what was written."""

    model: str
    entries: int
    intact: bool
    broken_at: int | None = None


class ApprovalRule(Record):
    """Who must agree before an alias moves: `needed` of `approvers` (empty: of everybody who may write), within
    `expires_s` seconds of the request. `own` lets the one who asked count as well."""

    model: str
    alias: str
    needed: int
    approvers: list[str] = []
    expires_s: int = 7 * 86400
    own: bool = False


class Vote(Record):
    """What somebody said to a request, and why."""

    actor: str
    verdict: Literal["approve", "reject"]
    reason: str
    at_ms: int


class AliasRequest(Record):
    """A wish to point `alias` at `version` (None: to remove it), made when it pointed at `previous`.

    It ends as moved, rejected, expired, or overtaken (the alias has moved meanwhile). `missing` says in words what an
    open one waits for.
    """

    id: str
    model: str
    alias: str
    version: int | None
    previous: int | None
    reason: str
    actor: str
    created_ms: int
    expires_ms: int
    status: Literal["open", "moved", "rejected", "expired", "overtaken"] = "open"
    votes: list[Vote] = []
    missing: str = ""


class Change(Record):
    """What differs under `name`: its value in the first version and in the second, None where it has none."""

    name: str
    first: Any = None
    second: Any = None


class VersionDiff(Record):
    """What differs between two versions, list by list; an empty list means that nothing does."""

    first: str
    second: str
    same_package: bool
    params: list[Change]
    metrics: list[Change]
    signature: list[Change]
    files: list[Change]
    environment: list[Change]
    data: list[Change]
    tags: list[Change]


class ModelCreated(Event, tag="model_created"):
    model: str


class ModelTagged(Event, tag="model_tagged"):
    """A tag of a model, or of one of its versions, was set (`value`) or removed (None)."""

    model: str
    version: int | None
    key: str
    value: str | None


class ModelChanged(Event, tag="model_changed"):
    """A model or a version was renamed (from `previous`), deleted, restored, or its stage was set."""

    model: str
    change: Literal["renamed", "deleted", "restored", "stage"]
    version: int | None = None
    previous: str | None = None


class AliasRequested(Event, tag="alias_requested"):
    """A request to move an alias was made, or came to an end (`status`)."""

    model: str
    alias: str
    request: str
    status: str


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
