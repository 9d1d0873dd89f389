"""Search spaces: how they are written, and what they mean to the sampler."""

from __future__ import annotations

from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.extras import require
from homeostat.core.records import to_json
from homeostat.tuning.model import Choice, Range

_HOW = (
    "write a range as (low, high), (low, high, 'log'), (low, high, 'int'), (low, high, 'int', 'log'), choices as a list"
)


def parse_space(space: dict[str, Any]) -> dict[str, Range | Choice]:
    """A space as users write it: tuples are ranges, lists are choices.

    `(1e-3, 1.0, "log")`, `(16, 256, "int", "log")`, `(0.5, 1.0, 0.1)` (in steps), `["gbdt", "dart"]`. Two whole numbers
    make a range of whole numbers.

    >>> parse_space({"rate": (0.01, 1.0, "log"), "leaves": (8, 64)})["leaves"]
    Range(low=8.0, high=64.0, log=False, whole=True, step=None)

    Raises: InvalidInput naming the parameter.
    """
    if not space:
        raise InvalidInput("the search space is empty", hint='such as {"learning_rate": (0.01, 0.3, "log")}')
    return {name: _parse(name, written) for name, written in space.items()}


def distributions(space: dict[str, Range | Choice]) -> dict[str, Any]:
    """The space as Optuna's distributions."""
    optuna = require("optuna.distributions", "ml")
    found: dict[str, Any] = {}
    for name, part in space.items():
        if isinstance(part, Choice):
            # By position: Optuna takes only plain values as choices, and these may be anything.
            found[name] = optuna.CategoricalDistribution(list(range(len(part.values))))
        elif part.whole:
            found[name] = optuna.IntDistribution(int(part.low), int(part.high), log=part.log, step=int(part.step or 1))
        else:
            found[name] = optuna.FloatDistribution(part.low, part.high, log=part.log, step=part.step)
    return found


def meant(space: dict[str, Range | Choice], drawn: dict[str, Any]) -> dict[str, Any]:
    """What the sampler drew, as the objective gets it."""
    return {name: part.values[drawn[name]] if isinstance(part, Choice) else drawn[name] for name, part in space.items()}


def drawn(space: dict[str, Range | Choice], params: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `meant`. Raises: InvalidInput when `params` do not lie in the space."""
    if set(params) != set(space):
        odd = ", ".join(sorted(set(params) ^ set(space)))
        raise InvalidInput(f"parameters and search space differ in {odd}", hint="give each parameter of the space")
    found: dict[str, Any] = {}
    for name, part in space.items():
        value = params[name]
        if isinstance(part, Choice):
            if value not in part.values:
                raise InvalidInput(f"{name}={value!r} is not one of {part.values}")
            found[name] = part.values.index(value)
        else:
            if not isinstance(value, (int, float)) or not part.low <= value <= part.high:
                raise InvalidInput(f"{name}={value!r} is not between {part.low} and {part.high}")
            found[name] = int(value) if part.whole else float(value)
    return found


def _parse(name: str, written: Any) -> Range | Choice:
    if isinstance(written, (Range, Choice)):
        return written
    if isinstance(written, list):
        if not written:
            raise InvalidInput(f"'{name}' has no choices", hint=_HOW)
        try:
            to_json(written)
        except TypeError as error:
            raise InvalidInput(f"'{name}' has a choice that is no JSON value: {error}", hint="choose by name") from None
        return Choice(values=list(written))
    if not isinstance(written, tuple) or len(written) < 2 or not all(_is_number(end) for end in written[:2]):
        raise InvalidInput(f"'{name}': {written!r} is not a part of a search space", hint=_HOW)
    low, high, *rest = written
    words = [word for word in rest if isinstance(word, str)]
    steps = [step for step in rest if _is_number(step)]
    if set(words) - {"log", "int"} or len(steps) > 1 or len(words) + len(steps) != len(rest):
        raise InvalidInput(f"'{name}': {rest!r} is not understood", hint=_HOW)
    whole = "int" in words or (isinstance(low, int) and isinstance(high, int) and "log" not in words and not steps)
    whole = whole or (bool(steps) and all(isinstance(number, int) for number in (low, high, *steps)))
    if low >= high or ("log" in words and low <= 0) or (steps and (steps[0] <= 0 or "log" in words)):
        raise InvalidInput(
            f"'{name}': {written!r} spans nothing",
            hint="low is below high; on a log scale low is above 0 and there are no steps",
        )
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise InvalidInput(f"'{name}': {written!r} has whole numbers between ends that are not", hint=_HOW)
    return Range(
        low=float(low), high=float(high), log="log" in words, whole=whole, step=float(steps[0]) if steps else None
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
