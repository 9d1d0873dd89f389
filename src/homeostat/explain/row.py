"""One prediction taken apart: what each feature's value added to the score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.explain.by_code import BY_CODE, explained_in_a_process
from homeostat.explain.model import Row, RowExplanation
from homeostat.registry import LoadedModel, ModelVersion, get_version, load_model, sample_of

if TYPE_CHECKING:
    import polars as pl

    from homeostat.explain.answers import Held

_MOST = 500


@verb(permission="explain:read")
def explain_row(ws: Workspace, model: str, row: Row, version: int | None = None) -> RowExplanation:
    """What each feature of one row did to its prediction: Shapley values.

    `row` gives each feature of the signature; None is a missing value. Of a model with several outputs the greatest is
    explained. LightGBM, XGBoost and CatBoost tell what each feature added to the raw score (TreeSHAP, exact). Any other
    model is asked what it answers where features have the values they have in rows of the sample kept with the version:
    exact for up to 8 features, else of orders drawn, the same ones each time. What is a pickle and has no ONNX form is
    asked in a process of its own, if a run of this workspace has made it.

    Raises: InvalidInput for a feature that is missing or unknown, or a value it cannot have; Refused for one of these
    others that keeps no sample, answers with no numbers, is code of unknown origin, or has more than 500 features;
    StepFailed when the model fails.
    """
    return explain_rows(ws, model, [row], version)[0]


def explain_rows(
    ws: Workspace, model: str, rows: Iterable[Row], version: int | None = None, *, held: Held | None = None
) -> list[RowExplanation]:
    """As `explain_row`, of several rows: the model is loaded once.

    `held` is the model where the caller has it already: it is asked then, but for trees, which explain themselves, and
    need not be a package of ours.
    """
    found = get_version(ws, model, version)
    names = [field.name for field in found.signature.inputs] if held is None else held.names
    given = list(rows)
    for row in given:
        _check(row, names)
    if not given:
        return []
    loaded = _trees(ws, found)
    if loaded is not None:
        return _of_trees(found, loaded, names, given)
    return _of_answers(ws, found, held, names, given)


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

    from homeostat.explain.answers import numbers_of, told
    from homeostat.explain.trees import shapley_of_trees

    features = np.array([[_number(name, row[name]) for name in names] for row in rows], dtype=np.float64)
    parts = shapley_of_trees(found.flavor, loaded.original, features)
    answers = numbers_of(found.model, found.version, loaded.predict(features))
    explained: list[RowExplanation] = []
    for row, answer, every in zip(rows, answers, parts, strict=True):
        # Where the answer is the class itself, that is the one with the greatest score.
        output = int(np.argmax(answer if len(answer) == len(every) else every.sum(axis=1)))
        prediction = float(answer[output % len(answer)])
        explained.append(told(found.model, found.version, names, row, prediction, output, every[output]))
    return explained


def _of_answers(
    ws: Workspace, found: ModelVersion, held: Held | None, names: list[str], rows: list[Row]
) -> list[RowExplanation]:
    from homeostat.explain.answers import explained_by_answers, table_of

    model, version = found.model, found.version
    if held is not None:
        sample = _compared(found, held.sample)
        return explained_by_answers(model, version, held.ask, sample, names, rows)
    loaded: LoadedModel | None = None
    try:
        loaded = load_model(ws, model, version)
    except Refused as error:
        if found.flavor not in BY_CODE:
            raise Refused(
                f"rows are not explained for '{model}' version {version}: {error.message}",
                hint="ask for one of its members"
                if found.flavor == "graph"
                else f"deploy it, and ask its data plane: POST /v1/models/{model}:explain",
            ) from error
    sample = _compared(found, sample_of(ws, model, version))
    if loaded is not None:
        return explained_by_answers(model, version, loaded.predict, sample, names, rows)
    for row in rows:
        table_of(row, sample.select(names))
    return explained_in_a_process(ws, found, rows)


def _compared(found: ModelVersion, sample: pl.DataFrame | None) -> pl.DataFrame:
    """`sample`, if rows can be compared with it."""
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
    return sample


def _number(name: str, value: float | str | bool | None) -> float:
    if isinstance(value, str):
        raise InvalidInput(f"feature '{name[:128]}' is a number, not {value[:128]!r}")
    return float("nan") if value is None else float(value)
