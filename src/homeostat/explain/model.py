"""What explanations are made of. No I/O."""

from __future__ import annotations

from homeostat.core.records import Record

# What each feature of the signature is; None is a missing value.
Row = dict[str, float | str | bool | None]


class FeatureImportance(Record):
    """How much a feature matters to a model.

    `gain`: its share, 0 to 1, of what the trees' splits gained in training (or of the coefficients' sizes of a linear
    model); None where the model keeps no such figure. `permutation`: the mean absolute change of the prediction when
    the feature's values are shuffled among the sample's rows, in the prediction's own unit. It needs no labels: it
    says what the model listens to, not whether that helps.
    """

    feature: str
    gain: float | None
    permutation: float


class Contribution(Record):
    """What one feature's value did to one prediction, in the unit of the explanation's score."""

    feature: str
    value: float | str | bool | None
    contribution: float


class RowExplanation(Record):
    """`base` plus all contributions is `score`.

    Of a model of trees (LightGBM, XGBoost, CatBoost) that is the raw score: log-odds for a classifier, the value
    otherwise. Of any other it is `prediction`, what the model answers; the base then is its mean answer to the rows of
    its sample. `output` is which of several outputs is explained. Contributions come largest first.
    """

    model: str
    version: int
    prediction: float
    score: float
    base: float
    contributions: list[Contribution]
    output: int = 0
