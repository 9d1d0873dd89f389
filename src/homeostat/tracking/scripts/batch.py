"""Many runs from one command line: grids (`lr=[0.1,0.01]`) and draws (`lr=uniform(0.001,0.1)`)."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.records import Record
from homeostat.tracking.scripts.flags import Flag, literal, value_for

MOST_TRIALS = 10_000
_CALL = re.compile(r"([a-z]+)\(([^()]*)\)\Z")
_GRIDS = ("range", "linspace", "logspace")
_DRAWS = ("uniform", "loguniform", "randint", "choice")


class Choice(Record):
    """What one flag may be: one of `values`, or drawn from `draw` ("uniform", …) with its two bounds."""

    values: list[Any] = []
    draw: str = ""
    bounds: list[float] = []


def choice_for(flag: Flag, text: str) -> Choice:
    """What `text` offers for a flag: one value, several in brackets, or a draw.

    A flag that takes a list is given one as `layers=[64,64]`, and several as `layers=[[64],[64,64]]`.

    >>> lr = Flag(name="lr", via="globals", default=0.1)
    >>> choice_for(lr, "[0.1,0.01]").values, choice_for(lr, "logspace(0.001,0.1,3)").values
    ([0.1, 0.01], [0.001, 0.01, 0.1])
    >>> choice_for(lr, "uniform(0,1)").draw
    'uniform'
    """
    call = _CALL.match(text)
    if call is not None and call[1] in (*_GRIDS, *_DRAWS):
        return _called(flag, call[1], [part.strip() for part in call[2].split(",") if part.strip()])
    if text.startswith("[") and text.endswith("]"):
        parts = literal(text)
        if not isinstance(parts, list):
            parts = [literal(part.strip()) for part in text[1:-1].split(",") if part.strip()]
        if not parts:
            raise InvalidInput(f"{flag.name}={text} offers nothing", hint=f"write {flag.name}=[1,2]")
        if flag.takes != "list":
            return Choice(values=[value_for(flag, part if isinstance(part, str) else repr(part)) for part in parts])
        return Choice(values=parts if all(isinstance(part, list) for part in parts) else [parts])
    return Choice(values=[value_for(flag, text)])


def trials(choices: Mapping[str, Choice], most: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """The values of each run: every combination of what is offered, or `most` of them drawn without repeating.

    Where something is drawn from a range, `most` draws; what is offered as a list is then drawn evenly.

    >>> trials({"a": Choice(values=[1, 2]), "b": Choice(values=["x", "y"])})
    [{'a': 1, 'b': 'x'}, {'a': 1, 'b': 'y'}, {'a': 2, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    """
    drawn = [name for name, choice in choices.items() if choice.draw]
    if drawn and most is None:
        raise InvalidInput(f"{drawn[0]} is drawn from a range; how often?", hint="add --trials 20")
    if most is not None and not 1 <= most <= MOST_TRIALS:
        raise InvalidInput(f"{most} trials", hint=f"1 to {MOST_TRIALS}")
    chance = random.Random(seed)  # noqa: S311  nothing secret: the same seed gives the same trials
    if drawn:
        return [{name: _draw(choice, chance) for name, choice in choices.items()} for _ in range(most or 0)]
    count = math.prod(len(choice.values) for choice in choices.values())
    if most is None and count > MOST_TRIALS:
        raise TooLarge(f"{count} combinations", hint=f"--trials N draws N of them; at most {MOST_TRIALS} run")
    if most is None or most >= count:
        combinations = itertools.product(*(choice.values for choice in choices.values()))
        return [dict(zip(choices, values, strict=True)) for values in itertools.islice(combinations, MOST_TRIALS)]
    found: list[dict[str, Any]] = []
    for number in sorted(chance.sample(range(count), most)):
        values: dict[str, Any] = {}
        for name, choice in reversed(list(choices.items())):
            number, place = divmod(number, len(choice.values))
            values[name] = choice.values[place]
        found.append({name: values[name] for name in choices})
    return found


def _called(flag: Flag, name: str, words: list[str]) -> Choice:
    if name == "choice":
        if not words:
            raise InvalidInput(f"{flag.name}=choice() offers nothing", hint=f"write {flag.name}=choice(1,2)")
        return Choice(values=[value_for(flag, word) for word in words])
    numbers = [literal(word) for word in words]
    if len(numbers) not in _ARITY[name] or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        raise InvalidInput(f"{flag.name}={name}({','.join(words)}) is not understood", hint=f"write {_EXAMPLE[name]}")
    low, high = numbers[0], numbers[1]
    if low > high or ("log" in name and low <= 0) or (name == "range" and len(numbers) == 3 and numbers[2] <= 0):
        raise InvalidInput(f"{flag.name}: {name} goes from low to high, above zero for logarithms", hint=_EXAMPLE[name])
    if name in _DRAWS:
        return Choice(draw=name, bounds=numbers)
    return Choice(values=[value_for(flag, repr(value)) for value in _SERIES[name](*numbers)])


_ARITY = {"range": (2, 3), "linspace": (3,), "logspace": (3,), "uniform": (2,), "loguniform": (2,), "randint": (2,)}
_EXAMPLE = {
    "range": "range(1,10,3): 1, 4, 7, 10", "linspace": "linspace(0,1,5)", "logspace": "logspace(0.001,0.1,3)",
    "uniform": "uniform(0.001,0.1)", "loguniform": "loguniform(0.0001,0.1)", "randint": "randint(1,10)",
}  # fmt: skip


def _range(low: float, high: float, by: float = 1) -> list[float]:
    return [round(low + by * i, 12) for i in range(min(int((high - low) / by + 1e-9) + 1, MOST_TRIALS))]


def _linspace(low: float, high: float, count: float) -> list[float]:
    n = max(1, min(int(count), MOST_TRIALS))
    return [round(low + (high - low) * i / max(n - 1, 1), 12) for i in range(n)]


def _logspace(low: float, high: float, count: float) -> list[float]:
    return [float(f"{math.exp(x):.12g}") for x in _linspace(math.log(low), math.log(high), count)]


_SERIES: dict[str, Callable[..., list[float]]] = {"range": _range, "linspace": _linspace, "logspace": _logspace}


def _draw(choice: Choice, chance: random.Random) -> Any:
    if not choice.draw:
        return chance.choice(choice.values)
    low, high = choice.bounds
    if choice.draw == "randint":
        return chance.randint(int(low), int(high))
    if choice.draw == "loguniform":
        return math.exp(chance.uniform(math.log(low), math.log(high)))
    return chance.uniform(low, high)
