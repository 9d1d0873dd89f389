"""One prediction taken apart: what each feature's value added to the score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.explain.model import Contribution, RowExplanation
from homeostat.registry import LoadedModel, ModelVersion, get_version, load_model

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

Row = dict[str, float | str | bool | None]

_MOST = 500


@verb(permission="explain:read")
def explain_row(ws: Workspace, model: str, row: Row, version: int | None = None) -> RowExplanation:
    """What each feature of one row did to its prediction: Shapley values.

    `row` gives each feature of the signature; None is a missing value. Of a model with several outputs the greatest is
    explained. LightGBM, XGBoost and CatBoost tell what each feature added to the raw score (TreeSHAP, exact). Any other
    model that has an ONNX form is asked what it answers where features have the values they have in rows of the sample
    kept with the version: exact for up to 8 features, else of orders drawn, the same ones each time.

    Raises: InvalidInput for a feature that is missing or unknown, or a value it cannot have; Refused for one of these
    others that keeps no sample, has no ONNX form, answers with no numbers, or has more than 500 features.
    """
    return explain_rows(ws, model, [row], version)[0]


def explain_rows(ws: Workspace, model: str, rows: Iterable[Row], version: int | None = None) -> list[RowExplanation]:
    """As `explain_row`, of several rows: the model is loaded once."""
    found = get_version(ws, model, version)
    names = [field.name for field in found.signature.inputs]
    given = list(rows)
    for row in given:
        _check(row, names)
    if not given:
        return []
    loaded = _trees(ws, found)
    if loaded is not None:
        return _of_trees(found, loaded, names, given)
    return _of_answers(found, *_beside(ws, found), names, given)


def _check(row: Row, names: list[str]) -> None:
    for name in [*(n for n in names if n not in row), *(n for n in row if n not in names)]:
        raise InvalidInput(
            f"the row {'lacks' if name in names else 'has an unknown'} feature '{name[:128]}'",
            hint=f"the model takes {', '.join(names)}",
        )


def _trees(ws: Workspace, found: ModelVersion) -> LoadedModel | None:
    """The model, if it is made of trees that explain themselves; those of CatBoost only where no column is a text."""
    from homeostat.explain.trees import FLAVORS

    if found.flavor not in FLAVORS or found.signature.tensor is None:
        return None
    return load_model(ws, found.model, found.version, engine="native")


def _of_trees(found: ModelVersion, loaded: LoadedModel, names: list[str], rows: list[Row]) -> list[RowExplanation]:
    import numpy as np

    from homeostat.explain.trees import shapley_of_trees

    features = np.array([[_number(name, row[name]) for name in names] for row in rows], dtype=np.float64)
    parts = shapley_of_trees(found.flavor, loaded.original, features)
    answers = _numbers(found, loaded.predict(features))
    told: list[RowExplanation] = []
    for row, answer, every in zip(rows, answers, parts, strict=True):
        # Where the answer is the class itself, that is the one with the greatest score.
        output = int(np.argmax(answer if len(answer) == len(every) else every.sum(axis=1)))
        told.append(_told(found, names, row, float(answer[output % len(answer)]), output, every[output]))
    return told


def _beside(ws: Workspace, found: ModelVersion) -> tuple[LoadedModel, pl.DataFrame]:
    """The model in a form that runs no code of its own, and the rows to compare with."""
    try:
        loaded = load_model(ws, found.model, found.version)
    except Refused as error:
        raise Refused(
            f"rows are not explained for '{found.model}' version {found.version}: {error.message}",
            hint="register it in a form that converts to ONNX; `homeostat explain importance` works for every model",
        ) from error
    sample = loaded.sample()
    if sample is None:
        raise Refused(
            f"version {found.version} of '{found.model}' keeps no sample to compare a row with",
            hint="register it with a sample of its input",
        )
    if len(sample.columns) > _MOST:
        raise Refused(
            f"'{found.model}' has {len(sample.columns)} features; a model that has to be asked is explained for at most"
            f" {_MOST}",
            hint="`homeostat explain importance` works for every model",
        )
    return loaded, sample


def _of_answers(
    found: ModelVersion, loaded: LoadedModel, sample: pl.DataFrame, names: list[str], rows: list[Row]
) -> list[RowExplanation]:
    import numpy as np

    from homeostat.explain.shapley import shapley

    told: list[RowExplanation] = []
    for row in rows:
        table = _table(row, sample.select(names))
        answer = _numbers(found, loaded.predict(table))[0]
        output = int(np.argmax(answer))

        def ask(frame: pl.DataFrame, output: int = output) -> NDArray[np.float64]:
            return _numbers(found, loaded.predict(frame))[:, output]

        values, base = shapley(ask, table, sample)
        told.append(_told(found, names, row, float(answer[output]), output, np.append(values, base)))
    return told


def _told(
    found: ModelVersion, names: list[str], row: Row, answer: float, output: int, parts: NDArray[np.float64]
) -> RowExplanation:
    made = [
        Contribution(feature=name, value=row[name], contribution=float(part))
        for name, part in zip(names, parts[:-1], strict=True)
    ]
    return RowExplanation(
        model=found.model, version=found.version, prediction=answer, score=float(parts.sum()),
        base=float(parts[-1]), contributions=sorted(made, key=lambda c: (-abs(c.contribution), c.feature)),
        output=output,
    )  # fmt: skip


def _number(name: str, value: float | str | bool | None) -> float:
    if isinstance(value, str):
        raise InvalidInput(f"feature '{name[:128]}' is a number, not {value[:128]!r}")
    return float("nan") if value is None else float(value)


def _table(row: Row, like: pl.DataFrame) -> pl.DataFrame:
    """The row as a table with the columns of `like`."""
    import polars as pl

    columns: list[pl.Series] = []
    for name, dtype in like.schema.items():
        value = row[name]
        try:
            if isinstance(value, str) != (dtype == pl.String) and value is not None:
                raise TypeError
            columns.append(pl.Series(name, [value], strict=False).cast(dtype))
        except (TypeError, pl.exceptions.PolarsError):
            raise InvalidInput(f"feature '{name[:128]}' cannot be {str(value)[:128]!r}: it is {dtype}") from None
    return pl.DataFrame(columns)


def _numbers(found: ModelVersion, answers: Any) -> NDArray[np.float64]:
    """Answers as numbers, [rows, outputs]."""
    import numpy as np

    try:
        return np.asarray(answers, dtype=np.float64).reshape(len(answers), -1)
    except (TypeError, ValueError):
        raise Refused(f"version {found.version} of '{found.model}' answers with no numbers") from None
