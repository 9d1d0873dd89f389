"""KServe's `:explain`, answered by the explain slice: Shapley values, exact where the model allows them."""

from __future__ import annotations

import msgspec

from homeostat.core.context import acting_as
from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.workspace import Workspace
from homeostat.explain import explain_rows
from homeostat.serving.contract import Contract

MAX_ROWS = 64
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


def explained(ws: Workspace, actor: str, model: str, version: int, rows: list[Row]) -> bytes:
    """The answer's body. Takes as long as loading the model takes: not for the event loop.

    Raises: what `homeostat.explain.explain_rows` raises.
    """
    with acting_as(actor):
        found = explain_rows(ws, model, rows, version)
    told = [
        {
            "prediction": one.prediction, "score": one.score, "base": one.base, "output": one.output,
            "contributions": {part.feature: part.contribution for part in one.contributions},
        }
        for one in found
    ]  # fmt: skip
    return msgspec.json.encode({"explanations": told})
