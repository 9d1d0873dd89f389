"""Verb: what a shadow would have answered, beside what was answered to the same requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeostat.core.errors import InvalidInput
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version
from homeostat.serving.deployments import get_deployment
from homeostat.serving.model import DifferentAnswer, OutputDifference, ShadowComparison
from homeostat.serving.prediction_table import mirrored_since

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_ROW = ["request_id", "row"]
_MOST = 1000
_DRAWN = 300  # pairs of numbers that are given to be drawn
_TEXT = 200  # characters of an answer that is shown


@verb(permission="serving:read")
def compare_shadow(
    ws: Workspace, model: str, since_ms: int | None = None, tolerance: float = 1e-6, limit: int = 10
) -> list[ShadowComparison]:
    """Every shadow of `model` beside what was answered to the requests that it was given too.

    Rows are joined by request and place in it. Two numbers are equal when they differ by at most `tolerance`, times the
    answered one where that is greater than 1. `limit` rows that differ most are named; numbers first, by how far they
    are apart. `since_ms`: by default when the routes were last changed.

    Raises: NotFound when the model is not deployed; InvalidInput for a tolerance below 0 or a limit beyond 1000.
    """
    import polars as pl

    if not 0 <= tolerance < float("inf") or not 0 <= limit <= _MOST:
        raise InvalidInput(f"tolerance={tolerance}, limit={limit}", hint=f"at least 0, and a limit up to {_MOST}")
    deployment = get_deployment(ws, model)
    shadows = [route.version for route in deployment.routes if route.role == "shadow"]
    if not shadows:
        return []
    from homeostat.serving.log_frame import column_name

    outputs = {
        version: [column_name(field.name) for field in get_version(ws, model, version).signature.outputs]
        for version in shadows
    }
    columns = {name for names in outputs.values() for name in names}
    since = deployment.updated_ms if since_ms is None else since_ms
    frame = mirrored_since(ws, model, since, columns)
    answered = frame.filter(pl.col("route") != "shadow", pl.col("status") == 200)
    found: list[ShadowComparison] = []
    for version in shadows:
        own = frame.filter(pl.col("route") == "shadow", pl.col("version") == version)
        both = own.join(answered, on=_ROW, how="inner", suffix="_answered")
        found.append(_compared(version, outputs[version], both, tolerance, limit))
    return found


def _compared(version: int, outputs: list[str], both: pl.DataFrame, tolerance: float, limit: int) -> ShadowComparison:
    import polars as pl

    failed = both.filter(pl.col("status") != 200)["request_id"].n_unique()
    both = both.filter(pl.col("status") == 200)
    told: list[OutputDifference] = []
    apart: list[tuple[float, DifferentAnswer]] = []
    for name in outputs:
        # Another version may have other outputs: those have nothing beside them.
        if f"{name}_answered" in both.columns and both.height:
            difference, further = _of_output(name, both, tolerance, limit)
            told.append(difference)
            apart += further
    apart.sort(key=lambda pair: -pair[0])
    requests = both.unique("request_id")
    own, answered = (requests[column].cast(pl.Float64) / 1000 for column in ("latency_us", "latency_us_answered"))
    return ShadowComparison(
        version=version, requests=requests.height, rows=both.height, failed=failed,
        latency_ms=own.quantile(0.5), latency_p95_ms=own.quantile(0.95),
        latency_answered_ms=answered.quantile(0.5), latency_answered_p95_ms=answered.quantile(0.95),
        outputs=told, most_different=[answer for _, answer in apart[:limit]],
    )  # fmt: skip


def _of_output(
    name: str, both: pl.DataFrame, tolerance: float, limit: int
) -> tuple[OutputDifference, list[tuple[float, DifferentAnswer]]]:
    import numpy as np

    mine, theirs = _values(both[name]), _values(both[f"{name}_answered"])
    numeric = mine.dtype.kind == theirs.dtype.kind == "f" and mine.shape == theirs.shape
    if numeric:
        gap = np.abs(mine - theirs)
        same = (gap <= tolerance * np.maximum(1, np.abs(theirs))) | (mine == theirs)
        same |= np.isnan(mine) & np.isnan(theirs)
        gap = np.where(same & ~np.isfinite(gap), 0, gap)
        equal, far = same.all(axis=1), np.where(np.isnan(gap), np.inf, gap).max(axis=1, initial=0)
        told = _of_numbers(name, float(equal.mean()), mine, theirs, far)
    else:
        pairs = zip(both[name].to_list(), both[f"{name}_answered"].to_list(), strict=True)
        equal = np.array([a == b for a, b in pairs])
        far = np.zeros(len(equal))
        told = OutputDifference(output=name, equal=float(equal.mean()))
    order = np.argsort(-np.where(equal, -1.0, far), kind="stable")[:limit]
    answers = [
        (
            float(far[at]),
            DifferentAnswer(
                request_id=both["request_id"][at], row=both["row"][at], output=name,
                answered=_text(both[f"{name}_answered"][at]), shadow=_text(both[name][at]),
            ),
        )
        for at in order.tolist()
        if not equal[at]
    ]  # fmt: skip
    return told, answers


def _of_numbers(name: str, equal: float, mine: np.ndarray, theirs: np.ndarray, far: np.ndarray) -> OutputDifference:
    import numpy as np

    known = np.isfinite(mine) & np.isfinite(theirs)
    a, b = mine[known], theirs[known]
    finite = far[np.isfinite(far)]
    varied = len(a) > 1 and a.std() > 0 and b.std() > 0
    drawn = np.linspace(0, len(a) - 1, min(len(a), _DRAWN)).astype(int)
    return OutputDifference(
        output=name, equal=equal,
        mean=float(a.mean()) if len(a) else None, mean_answered=float(b.mean()) if len(b) else None,
        difference_mean=float(finite.mean()) if len(finite) else None,
        difference_p95=float(np.quantile(finite, 0.95)) if len(finite) else None,
        difference_max=float(finite.max()) if len(finite) else None,
        correlation=float(np.corrcoef(a, b)[0, 1]) if varied else None,
        pairs=list(zip(b[drawn].tolist(), a[drawn].tolist(), strict=True)),
    )  # fmt: skip


def _values(column: pl.Series) -> Any:
    """Numbers as [rows, elements]; anything else as it is."""
    import numpy as np
    import polars as pl

    inner: Any = column.dtype
    while isinstance(inner, pl.Array | pl.List):
        inner = inner.inner
    if not (inner.is_numeric() or inner == pl.Boolean):
        return np.array(column.to_list(), dtype=object)
    try:
        values = np.array(column.to_list(), dtype=np.float64)  # null is NaN
    except ValueError:  # rows of different lengths
        return np.array([None] * len(column), dtype=object)
    return values.reshape(len(column), -1)


def _text(value: Any) -> str:
    text = str(value.to_list()) if hasattr(value, "to_list") else str(value)
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
