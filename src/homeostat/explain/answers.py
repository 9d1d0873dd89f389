"""One prediction of a model that is asked: what it answers where features have the values they have in other rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homeostat.core.errors import InvalidInput, Refused
from homeostat.explain.model import Contribution, Row, RowExplanation
from homeostat.explain.shapley import shapley

# From a table of the signature's columns to what the model answers to each row: [n], or [n, outputs].
Ask = Callable[[pl.DataFrame], Any]


class Held(NamedTuple):
    """A model that the caller holds already: its columns, how it is asked, and rows of its input if there are any."""

    names: list[str]
    ask: Ask
    sample: pl.DataFrame | None


def explained_by_answers(
    model: str, version: int, ask: Ask, sample: pl.DataFrame, names: list[str], rows: list[Row]
) -> list[RowExplanation]:
    """What each feature did to each of `rows`, beside the rows of `sample`. Raises: InvalidInput, Refused."""
    explained: list[RowExplanation] = []
    for row in rows:
        table = table_of(row, sample.select(names))
        answer = numbers_of(model, version, ask(table))[0]
        output = int(np.argmax(answer))

        def one(frame: pl.DataFrame, output: int = output) -> NDArray[np.float64]:
            return numbers_of(model, version, ask(frame))[:, output]

        values, base = shapley(one, table, sample)
        explained.append(told(model, version, names, row, float(answer[output]), output, np.append(values, base)))
    return explained


def told(
    model: str, version: int, names: list[str], row: Row, answer: float, output: int, parts: NDArray[np.float64]
) -> RowExplanation:
    """The explanation of a row; `parts` are what each of `names` added, then the base."""
    made = [
        Contribution(feature=name, value=row[name], contribution=float(part))
        for name, part in zip(names, parts[:-1], strict=True)
    ]
    return RowExplanation(
        model=model, version=version, prediction=answer, score=float(parts.sum()), base=float(parts[-1]),
        contributions=sorted(made, key=lambda c: (-abs(c.contribution), c.feature)), output=output,
    )  # fmt: skip


def table_of(row: Row, like: pl.DataFrame) -> pl.DataFrame:
    """The row as a table with the columns of `like`. Raises: InvalidInput for a value that its column cannot have."""
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


def numbers_of(model: str, version: int, answers: Any) -> NDArray[np.float64]:
    """Answers as numbers, [rows, outputs]. Raises: Refused for a model that answers with something else."""
    try:
        return np.asarray(answers, dtype=np.float64).reshape(len(answers), -1)
    except (TypeError, ValueError):
        raise Refused(f"version {version} of '{model}' answers with no numbers") from None
