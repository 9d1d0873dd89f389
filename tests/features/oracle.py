"""The features again, row by row and as plainly as can be: what the engine is compared with."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from homeostat.features import FeatureSet, FeatureView, Latest, Windows, milliseconds


def slow_features(features: FeatureSet, spine: pl.DataFrame, sources: dict[str, pl.DataFrame]) -> list[dict[str, Any]]:
    return [
        {name: row[name] for name in features.given}
        | {
            column: value
            for view in features.views
            for column, value in _view(view, row, row[features.at], sources[view.source]).items()
        }
        for row in spine.iter_rows(named=True)
    ]


def _view(view: FeatureView, asked: dict[str, Any], at: int, source: pl.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for feature in view.features:
        rows = [
            row
            for row in source.iter_rows(named=True)
            if all(row[k] is not None and row[k] == asked[k] for k in feature.key)
            and (view.known_at is None or (row[view.known_at] is not None and row[view.known_at] <= at))
        ]
        found |= _windows(feature, rows, view, at) if isinstance(feature, Windows) else _latest(feature, rows, view, at)
    return found


def _windows(feature: Windows, rows: list[dict[str, Any]], view: FeatureView, at: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for length in feature.over:
        since = at - milliseconds(length)
        values = [row[feature.value] for row in rows if row[view.known_at] > since]
        values = [v for v in values if v is not None and not math.isnan(v)]
        each = {
            "mean": math.fsum(values) / len(values) if values else None,
            "sum": math.fsum(values),
            "count": len(values),
        }
        found |= {f"{feature.name}_{what}_{length}": each[what] for what in feature.what}
    return found


def _latest(feature: Latest, rows: list[dict[str, Any]], view: FeatureView, at: int) -> dict[str, Any]:
    newest: dict[str, Any] = {}
    for row in rows:
        if not newest or view.known_at is None or row[view.known_at] >= newest[view.known_at]:
            newest = row
    if newest and feature.within and at - newest[view.known_at] > milliseconds(feature.within):
        newest = {}
    values = [newest.get(value) for value in feature.values]
    return dict(zip(feature.columns, [None if v is None or math.isnan(v) else v for v in values], strict=True))
