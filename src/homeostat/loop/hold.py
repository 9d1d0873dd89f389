"""Essential variables as people write them: `auc[carrier] >= 0.65 over 28d`.

measure, optionally `[column]` (every level of the column must hold) or `(name)` (of a table), a comparison, a
limit with its unit, and the window it is measured over. What cannot be meant is refused with the nearest right word.
"""

from __future__ import annotations

import difflib
import re
from typing import Literal

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record

Unit = Literal["share", "ms", "plain"]
Needs = Literal["labels", "log", "table"]


class Measure(Record):
    """A thing that can be held. `good` is the direction that is better; a limit the other way round makes no sense."""

    name: str
    label: str
    good: Literal[">=", "<="]
    unit: Unit
    needs: Needs
    slices: bool = False
    min_n: int = 1


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure(name="auc", label="AUC", good=">=", unit="share", needs="labels", slices=True, min_n=1000),
        Measure(name="accuracy", label="accuracy", good=">=", unit="share", needs="labels", min_n=500),
        Measure(name="logloss", label="log loss", good="<=", unit="plain", needs="labels", min_n=500),
        Measure(name="brier", label="Brier score", good="<=", unit="plain", needs="labels", min_n=500),
        Measure(
            name="calibration_error", label="calibration error", good="<=", unit="share", needs="labels", min_n=1000
        ),
        Measure(name="mae", label="mean absolute error", good="<=", unit="plain", needs="labels", min_n=500),
        Measure(name="latency_p50", label="latency p50", good="<=", unit="ms", needs="log", min_n=100),
        Measure(name="latency_p95", label="latency p95", good="<=", unit="ms", needs="log", min_n=200),
        Measure(name="latency_p99", label="latency p99", good="<=", unit="ms", needs="log", min_n=500),
        Measure(name="errors", label="errors", good="<=", unit="share", needs="log", min_n=100),
        Measure(name="missing", label="missing values", good="<=", unit="share", needs="log", min_n=100),
        Measure(name="freshness", label="freshness", good="<=", unit="ms", needs="table"),
    )
}

SPANS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

_FORM = "measure[column] >= limit over window, such as 'auc >= 0.72 over 14d'"
_LINE = re.compile(
    r"\s*(?P<measure>\w+)\s*(?:\[\s*(?P<by>[^\]\s]+)\s*\]|\(\s*(?P<of>[^)\s]+)\s*\))?"
    r"\s*(?P<comparison>>=|<=|>|<|=+|≥|≤)\s*(?P<limit>[\d.]+)\s*(?P<unit>%|[a-z]+)?"
    r"(?:\s+over\s+(?P<window>\S+))?(?:\s+from\s+(?P<min_n>\d+)(?:\s+rows)?)?\s*\Z"
)


class Variable(Record):
    """One essential variable. `limit` is a share (0.72), milliseconds, or in the measure's own unit.

    `by` is the column whose every level must hold, `of` the table or column the measure speaks of, `window_ms`
    the span it is measured over (None for freshness), `min_n` the rows below which nothing is claimed.
    """

    text: str
    measure: str
    comparison: Literal[">=", "<="]
    limit: float
    window_ms: int | None = None
    by: str | None = None
    of: str | None = None
    min_n: int = 1

    @property
    def label(self) -> str:
        """How a person calls it: "AUC by carrier", "freshness of weather"."""
        name = MEASURES[self.measure].label
        return f"{name} by {self.by}" if self.by else f"{name} of {self.of}" if self.of else name


def parse_variable(text: str) -> Variable:
    """One line of `hold:`. Raises InvalidInput naming what is wrong and the nearest right word.

    >>> v = parse_variable("auc[carrier] >= 0.65 over 28d")
    >>> v.measure, v.by, v.limit, v.window_ms == 28 * 86_400_000
    ('auc', 'carrier', 0.65, True)
    >>> parse_variable("errors <= 0.1% over 1h").limit, parse_variable("freshness(weather) <= 2h").limit
    (0.001, 7200000.0)
    """
    parts = _LINE.match(text.replace("≥", ">=").replace("≤", "<="))
    if parts is None:
        raise InvalidInput(f"hold: {text!r} cannot be read", hint=f"write {_FORM}", text=text)
    measure = _measure(parts["measure"], text)
    if parts["comparison"] != measure.good:
        raise InvalidInput(
            f"hold: {text!r}: {measure.label} is held with {measure.good}, not {parts['comparison']}",
            hint=f"{measure.name} {measure.good} {parts['limit']}{parts['unit'] or ''} …",
            text=text,
        )
    if parts["by"] and not measure.slices:
        sliced = ", ".join(m.name for m in MEASURES.values() if m.slices)
        raise InvalidInput(f"hold: {text!r}: {measure.name} is not measured by slice", hint=f"by slice: {sliced}")
    wants_name = measure.name in ("freshness", "missing")
    if wants_name != bool(parts["of"]):
        right = (
            f"{measure.name}({'TABLE' if measure.name == 'freshness' else 'COLUMN'})" if wants_name else measure.name
        )
        raise InvalidInput(f"hold: {text!r}: {measure.name} is written '{right}'", hint=f"{right} {measure.good} …")
    window = _window(parts["window"], measure, text)
    return Variable(
        text=" ".join(text.split()),
        measure=measure.name,
        comparison=measure.good,
        limit=_limit(parts["limit"], parts["unit"], measure, text),
        window_ms=window,
        by=parts["by"],
        of=parts["of"],
        min_n=int(parts["min_n"]) if parts["min_n"] else measure.min_n,
    )


_LONGEST_MS = 100 * 366 * 86_400_000


def span_ms(text: str, where: str = "span") -> int:
    """A length of time such as `14d`, `2h`, `20ms` in milliseconds.

    >>> span_ms("2h"), span_ms("1.5s")
    (7200000, 1500)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip())
    if not found or found[2] not in SPANS:
        raise InvalidInput(f"{where}: {text!r} is not a length of time", hint="write 30s, 20m, 2h, 14d or 8w")
    length = float(found[1]) * SPANS[found[2]]
    if length > _LONGEST_MS:
        raise InvalidInput(f"{where}: {text[:40]!r} is longer than a century")
    return int(length)


def _measure(name: str, text: str) -> Measure:
    if name in MEASURES:
        return MEASURES[name]
    near = difflib.get_close_matches(name, MEASURES, 1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(MEASURES)}"
    raise InvalidInput(f"hold: {text!r}: there is no measure '{name}'", hint=hint, measure=name)


def _limit(number: str, unit: str | None, measure: Measure, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        raise InvalidInput(f"hold: {text!r}: {number!r} is not a number", hint=f"write {_FORM}") from None
    if measure.unit == "ms":
        if unit not in SPANS:
            raise InvalidInput(
                f"hold: {text!r}: {measure.name} needs a unit of time", hint=f"{measure.name} <= {number}ms …"
            )
        return value * SPANS[unit]
    if unit == "%" and measure.unit == "share":
        value /= 100.0
    elif unit:
        raise InvalidInput(
            f"hold: {text!r}: {measure.name} has no unit {unit!r}", hint=f"{measure.name} {measure.good} 0.1"
        )
    if measure.unit == "share" and not 0.0 <= value <= 1.0:
        raise InvalidInput(
            f"hold: {text!r}: {measure.name} lies between 0 and 1", hint=f"did you mean {value / 100:g} or {value:g}%?"
        )
    return value


def _window(window: str | None, measure: Measure, text: str) -> int | None:
    if measure.needs == "table":
        if window:
            raise InvalidInput(f"hold: {text!r}: {measure.name} has no window", hint="leave out 'over …'")
        return None
    if not window:
        raise InvalidInput(f"hold: {text!r}: the window is missing", hint=f"{text.strip()} over 14d")
    return span_ms(window, f"hold: {text!r}")
