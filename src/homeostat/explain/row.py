"""One prediction taken apart: what each feature's value added to the score."""

from __future__ import annotations

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.explain.model import Contribution, RowExplanation
from homeostat.registry import get_version, load_model


@verb(permission="explain:read")
def explain_row(ws: Workspace, model: str, row: dict[str, float | None], version: int | None = None) -> RowExplanation:
    """What each feature of one row did to its prediction: exact Shapley values of the trees (Lundberg et al., 2018).

    `row` gives each feature of the signature; None is a missing value. For LightGBM models with one output.

    Raises: InvalidInput for a feature that is missing or unknown; Refused for a model of another kind.
    """
    found = get_version(ws, model, version)
    if found.flavor != "lightgbm" or len(found.signature.outputs[0].shape) > 1:
        raise Refused(
            f"rows are explained for LightGBM models with one output; '{model}' version {found.version} is "
            + (found.flavor if found.flavor != "lightgbm" else "a model of several classes"),
            hint="`homeostat explain importance` works for every model",
        )
    names = [field.name for field in found.signature.inputs]
    for name in [*(n for n in names if n not in row), *(n for n in row if n not in names)]:
        raise InvalidInput(
            f"the row {'lacks' if name in names else 'has an unknown'} feature '{name[:128]}'",
            hint=f"the model takes {', '.join(names)}",
        )
    import numpy as np

    loaded = load_model(ws, model, found.version, engine="native")
    given = {name: row[name] for name in names}
    features = np.array([[np.nan if value is None else value for value in given.values()]], dtype=np.float64)
    parts = loaded.original.predict(features, pred_contrib=True, num_threads=1)[0]
    contributions = [
        Contribution(feature=name, value=value, contribution=float(part))
        for (name, value), part in zip(given.items(), parts[:-1], strict=True)
    ]
    return RowExplanation(
        model=model, version=found.version, prediction=float(loaded.predict(features)[0]), score=float(parts.sum()),
        base=float(parts[-1]), contributions=sorted(contributions, key=lambda c: (-abs(c.contribution), c.feature)),
    )  # fmt: skip
