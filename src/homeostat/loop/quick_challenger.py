"""A quick challenger: what could be learnt now, in a second, without running anybody's pipeline.

Gradient-boosted trees with the champion's own parameters where it is a LightGBM model: a weaker challenger would hide
the gap. It learns from the training table where one is declared and holds the model's columns, else from the labelled
prediction log; always only from rows whose truth was known before the judging window. It is measured and thrown away.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homeostat.core.errors import MissingExtra
from homeostat.core.extras import require
from homeostat.loop.facts import Gap
from homeostat.loop.subject import Subject
from homeostat.monitoring import auc_gap, days_of, fitted_until, joined, training_rows
from homeostat.registry import load_model

_MIN_ROWS = 1000
_USUAL: dict[str, Any] = {"num_iterations": 100, "learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 100}
_KEPT = {
    "boosting": str, "num_iterations": int, "learning_rate": float, "num_leaves": int, "max_depth": int,
    "min_data_in_leaf": int, "min_sum_hessian_in_leaf": float, "feature_fraction": float,
    "bagging_fraction": float, "bagging_freq": int, "lambda_l1": float, "lambda_l2": float,
    "min_gain_to_split": float, "max_bin": int, "seed": int,
}  # fmt: skip


def quick_gap(subject: Subject, since_ms: int = 0, how: str = "a quick challenger on all history") -> Gap | None:
    """The gap of a quick challenger on the judging window; None when there is too little to learn or to judge on."""
    s = subject
    rows, from_ms = judged_rows(s, s.champion, None)
    if rows.height < 2 or rows["label"].n_unique() < 2:
        return None
    features = s.features(s.champion)
    scores = challenge(s, features, rows, since_ms, s.judge_from_ms)
    if scores is None:
        return None
    return gap_on(s, rows, s.scores(s.champion, rows), scores, from_ms, how)


def judged_rows(subject: Subject, champion: int, challenger: int | None) -> tuple[pl.DataFrame, int]:
    """Labelled rows of the judging window that neither version learnt from, and where the window then begins."""
    s = subject
    learnt = [fitted_until(s.version(v)) or 0 for v in (champion, challenger) if v is not None]
    from_ms = max([s.judge_from_ms, *(until for until in learnt if until <= s.at_ms)])
    if any(until > s.at_ms for until in learnt):
        return s.judging.labelled().head(0), from_ms
    return s.judging.labelled().filter(pl.col("time_ms") >= from_ms), from_ms


def gap_on(
    subject: Subject,
    rows: pl.DataFrame,
    champion: NDArray[np.float64],
    challenger: NDArray[np.float64],
    from_ms: int,
    how: str,
) -> Gap | None:
    """The paired gap on `rows`, days resampled; None when one class is missing or there are fewer than two days."""
    found = auc_gap(rows["label"].to_numpy(), champion, challenger, days_of(rows), level=0.95, resamples=1000)
    if not found.gap.known:
        return None
    return Gap(
        champion=found.champion, challenger=found.challenger, value=found.gap.value, lo=found.gap.lo, hi=found.gap.hi,
        se=found.gap.se, n=found.gap.n, days=found.blocks, from_ms=from_ms, to_ms=subject.matured_ms, how=how,
    )  # fmt: skip


def challenge(
    subject: Subject, features: list[str], rows: pl.DataFrame, since_ms: int, until_ms: int
) -> NDArray[np.float64] | None:
    """Fit on what was known between the two times; the scores of `rows`. None without LightGBM or enough examples."""
    try:
        lightgbm = require("lightgbm", extra="ml")
    except MissingExtra:
        return None
    examples = examples_of(subject, features, since_ms, until_ms)
    if examples is None or examples.height < _MIN_ROWS or examples["label"].n_unique() < 2:
        return None
    matrix = examples.select(pl.col(features).cast(pl.Float32)).to_numpy()
    parameters = parameters_of(subject)
    fixed = {"objective": "binary", "verbosity": -1, "deterministic": True, "force_row_wise": True}
    threads = {"num_threads": subject.ws.settings.threads or free_cores()}
    data = lightgbm.Dataset(matrix, examples["label"].to_numpy(), free_raw_data=True)
    booster = lightgbm.train({**parameters, **fixed, **threads}, data)
    asked = rows.select(pl.col(features).cast(pl.Float32)).to_numpy()
    return np.asarray(booster.predict(asked), dtype=np.float64)


def free_cores() -> int:
    """Cores that nobody is computing on just now, at least one.

    LightGBM's threads wait for each other by spinning: on a busy machine two of them take six times as long as one. The
    trees do not depend on it (`deterministic`).
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - round(os.getloadavg()[0]))


def examples_of(subject: Subject, features: list[str], since_ms: int, until_ms: int) -> pl.DataFrame | None:
    """Examples known by `until_ms`: features and label; where there are more than `quick_rows`, evenly spread ones."""
    s = subject
    rows = None
    if s.config.training is not None:
        rows = training_rows(s.ws, s.config.training, features, since_ms, until_ms)
    if rows is None:
        log = joined(s.ws, s.model, since_ms, until_ms - s.config.within_ms, until_ms, s.config.within_ms)
        rows = log.labelled()
        if not set(features) <= set(rows.columns):
            return None
    most = s.config.learn.quick_rows
    return rows if rows.height <= most else rows[np.linspace(0, rows.height - 1, most).astype(np.int64)]


def parameters_of(subject: Subject) -> dict[str, Any]:
    """The champion's own training parameters, read from its LightGBM text; the usual ones for any other model."""
    version = subject.version(subject.champion)
    if version.flavor != "lightgbm":
        return dict(_USUAL)
    folder = load_model(subject.ws, subject.model, version.version).folder
    text = next((p.read_text(errors="replace") for p in sorted(folder.glob("*.txt"))), "")
    return read_parameters(text) or dict(_USUAL)


def read_parameters(text: str) -> dict[str, Any]:
    """The `parameters:` section of a LightGBM model file, as far as it shapes the training.

    >>> read_parameters("tree\\n\\nparameters:\\n[num_leaves: 15]\\n[learning_rate: 0.1]\\n[data: x]\\nend")
    {'num_leaves': 15, 'learning_rate': 0.1}
    """
    _, _, section = text.partition("\nparameters:")
    found: dict[str, Any] = {}
    for line in section.splitlines():
        name, _, value = line.strip().strip("[]").partition(": ")
        if name in _KEPT and value:
            found[name] = _KEPT[name](value)
    return found
