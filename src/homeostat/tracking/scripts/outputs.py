"""Metrics from what a program prints: lines such as `loss: 0.25` or `epoch 3 - loss=0.25, acc: 91%`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise

from homeostat.core.errors import InvalidInput

Log = Callable[[dict[str, float], int | None], object]
"""Takes values by key, and the step they belong to where the output tells one."""

_NUMBER = r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|NaN|inf|Infinity)"
_ALONE = re.compile(rf"\s*([A-Za-z_][\w./ -]{{0,80}}?)\s*(?:[:=]\s+|(?<!\d)[:=])({_NUMBER})\s*%?\s*\Z")
_STEPS = ("step", "global_step", "iteration", "iter", "epoch")
_PAIR = re.compile(
    rf"(?:([A-Za-z_][\w./-]{{0,80}})\s*[:=]|((?i:{'|'.join(_STEPS)}))\s)\s*({_NUMBER})(?:/\d+)?%?(?=[\s,;|\])]|\Z)"
)
_BETWEEN = re.compile(r"[\s,;|\[\]()-]*\Z")
_LINE = 4000


class Scalars:
    """Finds metrics in lines. Each line goes in through `line`.

    Without patterns of one's own a line counts when it is one `key: number`, or nothing but such pairs. A key called
    step, iteration or epoch is no metric but the step of what follows; the first of these in that list that is told
    wins. A pattern is a regular expression: `KEY=REGEX` with the number as its first group, or a regex with the groups
    `key` and `value` (and `step`). Patterns replace the rule.
    """

    def __init__(self, log: Log, patterns: Iterable[str] = ()) -> None:
        self._log = log
        self._patterns = [_pattern(text) for text in patterns]
        self._step: tuple[int, int] | None = None  # how good a step the key is, the step

    def line(self, text: str) -> None:
        """Take one line of output."""
        text = text[:_LINE].rpartition("\r")[2]
        found = self._by_patterns(text) if self._patterns else list(pairs(text))
        values: dict[str, float] = {}
        for key, number in found:
            rank = _STEPS.index(key.lower()) if key.lower() in _STEPS else None
            if rank is None:
                values[key] = float(number)
            elif number.lstrip("+-").isdigit() and (self._step is None or rank <= self._step[0]):
                self._step = (rank, int(number))
        if values:
            self._log(values, None if self._step is None else self._step[1])

    def _by_patterns(self, text: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for name, pattern in self._patterns:
            for match in pattern.finditer(text):
                groups = match.groupdict()
                if groups.get("step"):
                    found.append(("step", groups["step"]))
                value = groups.get("value") or match[1]
                if value is not None and _is_number(value):
                    found.append((name or groups["key"].strip(), value))
        return found


def pairs(line: str) -> Iterable[tuple[str, str]]:
    """The keys and numbers of a line that holds nothing else.

    >>> list(pairs("loss: 0.25")), list(pairs("val loss: 1e-3")), list(pairs("wrote 12 files to out: 3 new"))
    ([('loss', '0.25')], [('val_loss', '1e-3')], [])
    >>> list(pairs("Epoch 3/10 - loss=0.25, acc: 91%"))
    [('Epoch', '3'), ('loss', '0.25'), ('acc', '91')]
    """
    found = list(_PAIR.finditer(line))
    rest = "".join(line[a.end() : b.start()] for a, b in pairwise(found))
    if found and _BETWEEN.match(line[: found[0].start()] + rest + line[found[-1].end() :]):
        for match in found:
            yield match[1] or match[2], match[3]
    elif (alone := _ALONE.match(line)) is not None:
        yield re.sub(r"\s+", "_", alone[1]), alone[2]


def _pattern(text: str) -> tuple[str, re.Pattern[str]]:
    name, equals, rest = text.partition("=")
    named = bool(equals) and re.fullmatch(r"[\w./-]+", name) is not None
    try:
        pattern = re.compile(rest if named else text)
    except re.error as error:
        raise InvalidInput(f"{text!r} is no regular expression: {error}") from error
    groups = pattern.groupindex
    if not ((named and pattern.groups) or ("key" in groups and "value" in groups)):
        raise InvalidInput(
            f"the pattern {text!r} finds no number",
            hint=r"write KEY=REGEX with one group, such as 'loss=loss is ([\d.]+)', or name groups `key` and `value`",
        )
    return (name if named else ""), pattern


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
