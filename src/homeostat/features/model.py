"""What a feature is, as data: the declarations a user writes, none of the work."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)\Z")

What = Literal["mean", "sum", "count"]
Kind = Literal["view", "set"]


def milliseconds(duration: str) -> int:
    """A length of time written as "90s", "15m", "3h", "7d", "2w" or "250ms", in milliseconds.

    Raises: InvalidInput for anything else, zero included.

    >>> milliseconds("3h"), milliseconds("7d")
    (10800000, 604800000)
    """
    match = _DURATION.match(duration)
    if match is None or int(match[1]) == 0:
        raise InvalidInput(f"{duration[:40]!r} is not a length of time", hint='write "90s", "15m", "3h" or "7d"')
    return int(match[1]) * _UNITS[match[2]]


class Windows(Record, tag="windows"):
    """Aggregates of `value` over the rows with the same key that became known in the last `over`.

    A window ends at the moment of prediction t, both ends by the time a row was *known*: it holds the rows with
    t - length < known_at <= t. Rows whose value is missing (null or NaN) count for nothing. `mean` over an empty window
    is missing; `sum` and `count` are 0. The columns are named `{name}_{what}_{length}`, lengths outermost. An empty
    `key` takes all rows together.

    >>> Windows(name="origin_delay", key=["origin"], value="dep_delay", over=["1h", "24h"]).columns
    ['origin_delay_mean_1h', 'origin_delay_count_1h', 'origin_delay_mean_24h', 'origin_delay_count_24h']
    """

    name: str
    key: list[str]
    value: str
    over: list[str]
    what: list[What] = msgspec.field(default_factory=lambda: ["mean", "count"])

    @property
    def columns(self) -> list[str]:
        """The features it gives, in order."""
        return [f"{self.name}_{what}_{length}" for length in self.over for what in self.what]


class Latest(Record, tag="latest"):
    """The values of the newest known row with the same key: numbers or booleans, missing where there is none.

    A row older than `within` at the moment of prediction is as good as none; `within` is inclusive and counts from the
    time the row was known. Of rows known at the same time the later one in the source wins. The columns are named
    `{name}_{column}`, or as in the source when `name` is empty.

    >>> Latest(name="weather", key=["origin"], values=["temp", "visib"], within="3h").columns
    ['weather_temp', 'weather_visib']
    """

    key: list[str]
    values: list[str]
    name: str = ""
    within: str | None = None

    @property
    def columns(self) -> list[str]:
        """The features it gives, in order."""
        return [f"{self.name}_{value}" if self.name else value for value in self.values]


class FeatureView(Record):
    """Features from one source table. `known_at` names the column that tells when each row was known, in ms UTC.

    A source without `known_at` is a reference that was always known (planes, airports): it may only be looked up.
    """

    name: str
    source: str
    features: list[Windows | Latest]
    known_at: str | None = None
    description: str = ""

    @property
    def columns(self) -> list[str]:
        """The features it gives, in order."""
        return [column for feature in self.features for column in feature.columns]


class FeatureSet(Record):
    """The input of a model: columns given with the question itself, then those of each view, in this order.

    The question is a spine: one row for each prediction, with the keys that the views ask for and, in column `at`, the
    moment of prediction in ms UTC. `given` are columns of the spine that are features as they are.
    """

    name: str
    at: str
    views: list[FeatureView]
    given: list[str] = []
    description: str = ""

    @property
    def columns(self) -> list[str]:
        """The features it gives, in order."""
        return [*self.given, *(column for view in self.views for column in view.columns)]

    @property
    def sources(self) -> list[str]:
        """The tables it reads, each once."""
        return list(dict.fromkeys(view.source for view in self.views))


class Registered(Record):
    """A stored version of a view or a set, with its declaration in `view` or `set`.

    `digest` is that of the declaration: equal declarations are one version.
    """

    kind: Kind
    name: str
    version: int
    digest: str
    columns: list[str]
    created_ms: int
    view: FeatureView | None = None
    set: FeatureSet | None = None


def checked(declared: FeatureView | FeatureSet) -> None:
    """Raise InvalidInput when a declaration cannot be meant: a column given twice, a wrong length, no known-at."""
    for view in declared.views if isinstance(declared, FeatureSet) else [declared]:
        for feature in view.features:
            _check_feature(view, feature)
    seen: set[str] = set()
    for column in declared.columns:
        if column in seen:
            raise InvalidInput(
                f"'{declared.name}' gives the feature '{column}' twice",
                hint="name one of them otherwise",
                column=column,
            )
        seen.add(column)


def _check_feature(view: FeatureView, feature: Windows | Latest) -> None:
    lengths = feature.over if isinstance(feature, Windows) else [feature.within] if feature.within else []
    for length in lengths:
        milliseconds(length)
    if view.known_at is None and (isinstance(feature, Windows) or feature.within):
        raise InvalidInput(
            f"the view '{view.name}' asks for a span of time, but does not say when its rows are known",
            hint="set known_at to the column with that time, in ms UTC",
            view=view.name,
        )
