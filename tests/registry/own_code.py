"""A user's own module: what a package must carry with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Doubled(BaseEstimator, TransformerMixin):
    def fit(self, rows: object, y: object = None) -> Doubled:
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows) * 2


def first_column(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows)[:, 0] * 1.0


class Scaled:
    """Made by whoever serves it; `load` reads what came along, once."""

    def __init__(self) -> None:
        self.loads = 0

    def load(self, folder: Path) -> None:
        self.loads += 1
        self.factor = float((folder / "factor.txt").read_text())

    def preprocess(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows, "f8")

    def predict(self, rows: np.ndarray) -> dict[str, Any]:
        return {"scaled": rows[:, 0] * self.factor, "rank": rows[:, 0].astype("i8")}

    def postprocess(self, answer: dict[str, Any]) -> dict[str, Any]:
        words = np.where(answer["scaled"] > 0, "up", "down")
        return {**answer, "word": words, "loads": np.full(len(words), self.loads)}
