"""The model: gradient-boosted trees, what they are compared with, and how they are measured."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
from features import FEATURES
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Fixed: the same rows give the same trees, whatever else the machine is doing.
FIXED: dict[str, Any] = {
    "objective": "binary",
    "verbosity": -1,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # more of them wait for each other on a busy machine, at many times the cost
    "bagging_freq": 1,
}
DEFAULTS: dict[str, Any] = {
    "rounds": 100,
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "max_bin": 63,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
}
# Searched on six weeks, used on up to a year: what would shrink the model for want of rows is left out of the space.
SPACE: dict[str, Any] = {
    "num_leaves": (31, 63, "int"),
    "min_data_in_leaf": (50, 200, "int"),
    "feature_fraction": (0.4, 1.0),
    "bagging_fraction": (0.6, 1.0),
}
# The search begins with the parameters one would try by hand.
START: dict[str, Any] = {name: DEFAULTS[name] for name in SPACE}


def matrix(rows: pl.DataFrame) -> NDArray[np.float32]:
    """The features as the data plane sees them: 32-bit floats, missing values NaN. Shape (n, 54)."""
    return rows.select(pl.col(FEATURES).cast(pl.Float32)).to_numpy()


def labels(rows: pl.DataFrame) -> Floats:
    """1 for late, 0 for not. Shape (n,)."""
    return rows["late"].cast(pl.Float64).to_numpy()


def fit(rows: pl.DataFrame, params: dict[str, Any]) -> Any:
    """A LightGBM booster fitted on `rows`."""
    import lightgbm as lgb

    chosen = {**DEFAULTS, **params}
    data = lgb.Dataset(matrix(rows), labels(rows), feature_name=list(FEATURES))
    return lgb.train({**FIXED, **{k: v for k, v in chosen.items() if k != "rounds"}}, data, int(chosen["rounds"]))


def measure(truth: Floats, score: Floats) -> dict[str, float]:
    """Quality of probabilities against what happened; the calibration error over ten bins of equal size."""
    from sklearn.metrics import log_loss, roc_auc_score

    bins = np.array_split(np.argsort(score, kind="stable"), 10)
    gaps = [score[part].mean() - truth[part].mean() for part in bins]
    return {
        "auc": float(roc_auc_score(truth, score)),
        "log_loss": float(log_loss(truth, score)),
        "calibration_error": float(np.sqrt(np.mean(np.square(gaps)))),
    }


def baselines(past: pl.DataFrame, later: pl.DataFrame) -> dict[str, dict[str, float]]:
    """What a simple model reaches on `later`: the base rate of `past`, and logistic regression on the same features."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth = labels(later)
    rate = np.full(len(truth), labels(past).mean())
    logistic = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=300))
    logistic.fit(matrix(past), labels(past))
    return {
        "base_rate": measure(truth, rate),
        "logistic_regression": measure(truth, logistic.predict_proba(matrix(later))[:, 1]),
    }


def latency_ms(booster: Any, rows: NDArray[np.float32]) -> float:
    """The median time of one prediction for one row, in milliseconds."""
    taken: list[float] = []
    for row in rows[:50]:
        started = time.perf_counter()
        booster.predict(row.reshape(1, -1), num_threads=1)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken) * 1000)


def strongest_alone(rows: pl.DataFrame) -> tuple[str, float]:
    """The feature that ranks the label best by itself, and its AUC: near 1 would be a leak."""
    from sklearn.metrics import roc_auc_score

    truth = labels(rows)
    filled = rows.select(pl.col(FEATURES).cast(pl.Float64).fill_nan(None).fill_null(strategy="mean").fill_null(0.0))
    alone = {name: roc_auc_score(truth, filled[name].to_numpy()) for name in FEATURES}
    best = max(alone, key=lambda name: abs(alone[name] - 0.5))
    return best, float(max(alone[best], 1 - alone[best]))


def trial(past: pl.DataFrame, later: pl.DataFrame, **params: Any) -> dict[str, float]:
    """One try of the search: fitted on `past`, measured on `later`."""
    booster = fit(past, params)
    return measure(labels(later), booster.predict(matrix(later), num_threads=1))
