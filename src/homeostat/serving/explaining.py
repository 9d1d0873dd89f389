"""KServe's `:explain`, answered by the explain slice: Shapley values, exact where the model allows them.

What is not made of trees is asked as it is served, some rows at a time between the batches of others; a model that is
code in its worker process.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from homeostat.core.context import acting_as
from homeostat.core.errors import InvalidInput, Refused, TooLarge
from homeostat.core.frames import from_ipc_file
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version
from homeostat.serving.contract import Contract
from homeostat.serving.converted import package_folder
from homeostat.serving.loaded import LoadedVersion, payload_of
from homeostat.serving.package import read_package

if TYPE_CHECKING:
    from homeostat.explain import Held

MAX_ROWS = 64
# So many rows are asked of a worker at once: requests wait for one such batch, not for the whole explanation.
_AT_ONCE = 1024
Value = float | str | bool | None
Row = dict[str, Value]


class _Instances(msgspec.Struct, gc=False):
    instances: list[list[Value] | Row]


_decode = msgspec.json.Decoder(_Instances).decode


def rows_to_explain(body: bytes, contract: Contract) -> list[Row]:
    """The rows in `{"instances": [...]}`, each by column name or in the signature's order.

    Raises: InvalidInput for another body or another number of columns; TooLarge for more than `MAX_ROWS` rows.
    """
    try:
        instances = _decode(body).instances
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"not a request to explain: {error}") from None
    if len(instances) > MAX_ROWS:
        raise TooLarge(f"{len(instances)} rows; at most {MAX_ROWS} are explained at once")
    names = [spec.name for spec in contract.inputs]
    rows: list[Row] = []
    for at, instance in enumerate(instances):
        if isinstance(instance, list) and len(instance) != len(names):
            raise InvalidInput(f"instances: row {at} has {len(instance)} values, the model takes {len(names)}")
        rows.append(dict(zip(names, instance, strict=True)) if isinstance(instance, list) else instance)
    return rows


def explained(ws: Workspace, actor: str, loaded: LoadedVersion, rows: list[Row]) -> bytes:
    """The answer's body. Takes as long as loading the model takes, or asking it thousands of rows: not for the event
    loop.

    Raises: Refused where Polars is not; what `homeostat.explain.explain_rows` raises, and what the model's process
    raises.
    """
    if find_spec("polars") is None:
        raise Refused(
            "predictions are not explained here: an image does without Polars",
            hint="ask a data plane of the workspace",
        )
    from homeostat.explain import explain_rows

    with acting_as(actor):
        found = explain_rows(ws, loaded.model, rows, loaded.version, held=_held(ws, loaded))
    told = [
        {
            "prediction": one.prediction, "score": one.score, "base": one.base, "output": one.output,
            "contributions": {part.feature: part.contribution for part in one.contributions},
        }
        for one in found
    ]  # fmt: skip
    return msgspec.json.encode({"explanations": told})


def _held(ws: Workspace, loaded: LoadedVersion) -> Held | None:
    """The version as it is served, with the sample of the package that it is served from; None for a graph."""
    version = get_version(ws, loaded.model, loaded.version)
    if version.flavor == "graph":
        return None
    from homeostat.explain import Held

    folder, _ = package_folder(ws, version)
    sample = read_package(folder).sample
    frame: Any = None if sample is None else from_ipc_file((folder / sample).read_bytes())
    return Held([spec.name for spec in loaded.contract.inputs], _asked(loaded), frame)


def _asked(loaded: LoadedVersion) -> Callable[[Any], Any]:
    """How a version answers the rows of a table: by its first output."""

    def ask(frame: Any) -> Any:
        for spec in loaded.contract.inputs:
            if spec.datatype not in ("FP32", "FP64", "BYTES") and frame[spec.name].null_count():
                raise InvalidInput(f"feature '{spec.name}' cannot be missing: it is {spec.datatype}")
        parts = (payload_of(part, loaded.contract) for part in frame.iter_slices(_AT_ONCE))
        return np.concatenate([loaded.compute(part)[0] for part in parts])

    return ask
