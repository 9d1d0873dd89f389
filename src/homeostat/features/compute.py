"""Features for a spine: as many rows out as in, in the same order, and from nothing that was not known by then."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.features.columns import column, number
from homeostat.features.model import FeatureSet, checked
from homeostat.features.prepared import PreparedView
from homeostat.features.timeline import Ints


def compute(features: FeatureSet, spine: pl.DataFrame, sources: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The features of every spine row: (n_spine, n_features) Float64, columns as `features.columns`.

    `sources` gives each table by the name the views use. Missing is null. Every value survives a trip through 32-bit
    floats unchanged, so that a served float32 tensor says the same as the training table. The same input gives the
    same bits, and a source row known only after a spine row's moment has no influence on it whatever its values.

    Raises: InvalidInput for a column that is not there or is no number; NotFound for a source that was not given.

    >>> from homeostat.features import FeatureSet, FeatureView, Windows
    >>> delays = Windows(name="delay", key=["origin"], value="minutes", over=["1h"])
    >>> view = FeatureView(name="recent", source="departures", known_at="left_ms", features=[delays])
    >>> left = pl.DataFrame({"origin": ["JFK", "JFK"], "minutes": [10, 30], "left_ms": [0, 1_800_000]})
    >>> asked = pl.DataFrame({"origin": ["JFK", "JFK", "LGA"], "at_ms": [1_000, 1_800_000, 1_800_000]})
    >>> compute(FeatureSet(name="demo", at="at_ms", views=[view]), asked, {"departures": left}).rows()
    [(10.0, 1.0), (20.0, 2.0), (None, 0.0)]
    """
    checked(features)
    at = _moments(features, spine)
    columns = {name: number(spine, name, "the spine") for name in features.given}
    for view in features.views:
        if view.source not in sources:
            raise NotFound(f"the view '{view.name}' reads '{view.source}', which was not given", source=view.source)
        found = PreparedView(view, sources[view.source]).of_frame(spine, at)
        columns.update({name: pl.Series(values).fill_nan(None) for name, values in found.items()})
    return pl.DataFrame(columns).with_columns(pl.all().cast(pl.Float32).cast(pl.Float64))


def _moments(features: FeatureSet, spine: pl.DataFrame) -> Ints:
    at = column(spine, features.at, "the spine")
    if not at.dtype.is_integer() or at.null_count():
        raise InvalidInput(
            f"'{features.at}' must hold the moment of every prediction as whole ms UTC, none missing",
            hint=f'it is {at.dtype} with {at.null_count()} missing; .dt.epoch("ms") turns a date into ms',
            column=features.at,
        )
    return at.cast(pl.Int64).to_numpy()
