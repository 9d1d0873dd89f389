"""Importance of features: computed once for a version, in a process that may run its code, and kept with it."""

from __future__ import annotations

from typing import Any

from homeostat.core.errors import Refused
from homeostat.core.paths import inside
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.explain import store
from homeostat.explain.child import said_by
from homeostat.explain.model import FeatureImportance
from homeostat.registry import LoadedModel, ModelVersion, get_version, load_model


@verb(permission="explain:read")
def importance(ws: Workspace, model: str, version: int | None = None) -> list[FeatureImportance]:
    """How much each feature matters to a version, the one that matters most first.

    Computed from the sample kept with the version when first asked for, in a process of its own. A pickle is asked
    there only if a run of this workspace has made it, else its ONNX form is, which tells no gains. `version` defaults
    to the newest.

    Raises: Refused for a version that keeps no sample, or is a pickle of unknown origin without an ONNX form;
    StepFailed when the model fails on it.
    """
    found = get_version(ws, model, version)
    stored = store.kept(ws, model, found.version)
    if stored is None:
        _in_a_process(ws, model, found.version)
        stored = store.kept(ws, model, found.version)
    return stored or []


def compute_importance(
    ws: Workspace, model: str, version: int | None = None, *, unpickle: bool = True
) -> list[FeatureImportance]:
    """What `importance` gives, computed in this process where it is not kept yet.

    A pickled model's code runs here: for pipelines and scripts, which ran it before, not for servers. With
    `unpickle=False` it does not.
    """
    found = get_version(ws, model, version)
    stored = store.kept(ws, model, found.version)
    if stored is not None:
        return stored
    from homeostat.explain.permutation import permutation

    loaded = load_model(ws, model, found.version, unpickle=unpickle and "model.pkl" in (found.files or {}))
    rows = loaded.sample()
    if rows is None:
        raise Refused(
            f"version {found.version} of '{model}' keeps no sample to compute importances on",
            hint="register it with a sample of its input",
        )
    columns = [field.name for field in found.signature.inputs]
    moved = permutation(loaded.predict, rows, columns)
    gains = _gains(ws, found, loaded, columns, unpickle)
    features = [FeatureImportance(feature=name, gain=gains.get(name), permutation=moved[name]) for name in columns]
    features.sort(key=lambda f: (-f.permutation, -(f.gain or 0.0), f.feature))
    store.keep(ws, model, found.version, features)
    return features


def _gains(
    ws: Workspace, found: ModelVersion, loaded: LoadedModel, columns: list[str], unpickle: bool
) -> dict[str, float]:
    """Shares of the gain by column; empty where the model keeps no such figure for each of its inputs, or is a pickle
    that is not to be loaded."""
    flavor = loaded.package.flavor
    if flavor not in ("lightgbm", "xgboost", "catboost", "sklearn") or (flavor == "sklearn" and not unpickle):
        return {}
    import numpy as np

    from homeostat.explain.gains import gains_of_trees

    raw: Any = None
    if flavor == "lightgbm":
        raw = gains_of_trees(inside(loaded.folder, loaded.package.file).read_text(encoding="utf-8"))
    else:
        original = load_model(ws, found.model, found.version, engine="native", unpickle=flavor == "sklearn").original
        if flavor == "xgboost":
            gained = original.get_score(importance_type="total_gain")
            names = original.feature_names or [f"f{number}" for number in range(len(columns))]
            raw = np.array([gained.get(name, 0.0) for name in names])
        elif flavor == "catboost":
            raw = original.get_feature_importance()
        else:
            last = original.steps[-1][1] if hasattr(original, "steps") else original
            raw = getattr(last, "feature_importances_", None)
            if raw is None and hasattr(last, "coef_"):
                raw = np.abs(np.atleast_2d(last.coef_)).mean(axis=0)
    if raw is None or len(raw) != len(columns):
        return {}
    total = float(np.sum(raw))
    return {name: float(value) / total if total else 0.0 for name, value in zip(columns, raw, strict=True)}


def _in_a_process(ws: Workspace, model: str, version: int) -> None:
    said_by("homeostat.explain.worker", ws.url, str(ws.home), model, str(version),
            what=f"computing importances of version {version} of '{model}'")  # fmt: skip
