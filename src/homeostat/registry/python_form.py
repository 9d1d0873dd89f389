"""Models of somebody's own code: a function of rows, an object with `predict`, or a class of such objects.

This module takes the standard library and NumPy alone, because it also runs in environments of the models' own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.registry.forests import quick_forest

# Where a package keeps the files that a model of own code reads, and those that its environment must hold.
ARTIFACTS = "artifacts"
REQUIREMENTS = "requirements.txt"


def open_own(kept: Any, artifacts: Path | None) -> Any:
    """The object that answers: `kept` itself, or one made of the class `kept`, whose `load` was called once with the
    folder of its files (None without any).

    >>> class Twice:
    ...     def load(self, folder):
    ...         self.factor = 2
    ...     def predict(self, rows):
    ...         return rows * self.factor
    >>> open_own(Twice, None).predict(4)
    8
    """
    if not isinstance(kept, type):
        return kept
    if not callable(getattr(kept, "predict", None)):
        raise InvalidInput(f"the class {kept.__qualname__} has no method predict(self, rows)")
    made = kept()
    load = getattr(made, "load", None)
    if callable(load):
        load(artifacts)
    return made


def answer_of_own(made: Any) -> Callable[[Any], Any]:
    """How to ask such an object, giving one array, or a dict of arrays by the names of its outputs.

    `preprocess(rows)` is called before it and `postprocess(answer)` after it, where it has them.

    >>> class Half:
    ...     def predict(self, rows):
    ...         return {"half": [value / 2 for value in rows]}
    ...     def postprocess(self, answer):
    ...         return {**answer, "whole": [value * 2 for value in answer["half"]]}
    >>> answer_of_own(Half())([2, 4])
    {'half': array([1., 2.]), 'whole': array([2., 4.])}
    """
    steps = [getattr(made, "preprocess", None), _asked(made), getattr(made, "postprocess", None)]
    calls = [step for step in steps if callable(step)]

    def answer(rows: Any) -> Any:
        for call in calls:
            rows = call(rows)
        return as_arrays(rows)

    return answer


def answer_of(estimator: Any) -> Callable[[Any], Any]:
    """How to ask a scikit-learn estimator: the probability of the positive class [n] of a binary classifier, the
    probabilities [n, k] of more classes, otherwise the prediction [n]."""
    import numpy as np

    if hasattr(estimator, "predict_proba"):
        binary = len(getattr(estimator, "classes_", ())) == 2
        ask = quick_forest(estimator, estimator.predict_proba)

        def probability(rows: Any) -> Any:
            answer = np.asarray(ask(rows))
            return answer[:, 1] if binary else answer

        return probability
    call: Any = quick_forest(estimator, getattr(estimator, "predict", estimator))
    return lambda rows: np.asarray(call(rows))


def in_order(answer: Any, names: list[str], rows: int) -> list[Any]:
    """What a model answered to so many rows, as arrays in the order of its outputs' `names`.

    Raises: InvalidInput when an output is missing, or has another number of rows.

    >>> import numpy as np
    >>> in_order({"b": np.ones(2), "a": np.zeros(2)}, ["a", "b"], 2)
    [array([0., 0.]), array([1., 1.])]
    """
    import numpy as np

    found: list[Any]
    if not isinstance(answer, dict):
        found = [np.asarray(answer)]
    elif all(name in answer for name in names):
        found = [np.asarray(answer[name]) for name in names]
    elif len(names) == 1:  # kept before a data frame had an output for each of its columns
        found = [np.column_stack(list(answer.values()))]
    else:
        missing = next(name for name in names if name not in answer)
        raise InvalidInput(f"the model did not give its output '{missing}'", hint=f"it gave {', '.join(answer)}")
    if len(found) != len(names):
        raise InvalidInput(f"the model gave one array for its {len(names)} outputs {', '.join(names)}")
    for name, array in zip(names, found, strict=True):
        if array.shape[:1] != (rows,):
            given = len(array) if array.ndim else "a single value"
            raise InvalidInput(f"the model gave {given} as '{name}' for {rows} rows", hint="one for each row")
    return found


def _asked(made: Any) -> Callable[[Any], Any]:
    if hasattr(made, "predict_proba"):
        return answer_of(made)
    return getattr(made, "predict", made)


def as_arrays(given: Any) -> Any:
    """A dict for what names its parts (a dict, a data frame, an array of records), else one array."""
    import numpy as np

    if isinstance(given, dict):
        return {str(name): _array(given[name]) for name in given}
    names: Any = getattr(given, "columns", None)
    if names is None:
        names = getattr(getattr(given, "dtype", None), "names", None)
    if names is None:
        return _array(given)
    columns = [str(name) for name in names]
    if len(set(columns)) != len(columns):
        raise InvalidInput(f"the model gave two outputs of one name: {', '.join(columns)}")
    return {column: _array(np.asarray(given[name])) for column, name in zip(columns, names, strict=True)}


def _array(given: Any) -> Any:
    import numpy as np

    array = np.asarray(given)
    if array.dtype.kind in "mM":  # times have no datatype in the protocol
        return array.astype(str)
    return array
