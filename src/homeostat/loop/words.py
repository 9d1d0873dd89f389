"""Numbers and spans as a colleague would say them: "0.728 ± 0.009", "14 days", "+0.022 to +0.032", "Nine"."""

from __future__ import annotations

from collections.abc import Sequence

_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def count(n: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun.

    >>> count(1, "input"), count(9, "input"), count(0, "input"), count(28756, "flight")
    ('one input', 'nine inputs', 'no inputs', '28,756 flights')
    """
    word = _NUMBERS[n] if 0 <= n < len(_NUMBERS) else f"{n:,}"
    return f"{word} {noun if n == 1 else plural or noun + 's'}"


def upper(text: str) -> str:
    """The text with a capital at its start, the rest as it is.

    >>> upper("nine inputs moved, AUC did not")
    'Nine inputs moved, AUC did not'
    """
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names joined as in speech, the rest counted.

    >>> listed(["temp", "wind"]), listed(["a", "b", "c", "d", "e"])
    ('temp and wind', 'a, b, c and 2 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def span(ms: float) -> str:
    """A length of time.

    >>> span(14 * 86_400_000), span(6_000_000), span(3_600_000), span(250)
    ('14 days', '1 h 40 min', '1 hour', '250 ms')
    """
    units = ((86_400_000, "day", 10_000), (3_600_000, "hour", 48), (60_000, "minute", 60), (1_000, "second", 60))
    for size, name, most in units:
        if ms % size == 0 and 1 <= ms // size < most:
            n = int(ms // size)
            return f"{n} {name}{'' if n == 1 else 's'}"
    if ms >= 172_800_000:
        return f"{ms / 86_400_000:.1f} days"
    if ms >= 3_600_000:
        minutes = round(ms / 60_000)
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} hours"
    if ms >= 60_000:
        return f"{ms / 60_000:.0f} min"
    return f"{ms / 1000:.1f} s" if ms >= 1_000 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def measured(measure: str, value: float) -> str:
    """A measure's value in its own unit.

    >>> measured("auc", 0.7283), measured("errors", 0.0004), measured("latency_p99", 6.2), measured("freshness", 6e6)
    ('0.728', '0.04 %', '6.2 ms', '1 h 40 min')
    """
    if measure.startswith("latency") or measure == "freshness":
        return span(value)
    if measure in ("errors", "missing"):
        return f"{value:.2%}".replace("%", " %")
    return f"{value:.3f}"


def with_band(measure: str, value: float, lo: float | None, hi: float | None) -> str:
    """A value with half the width of its interval, where it has one that is worth saying.

    >>> with_band("auc", 0.728, 0.719, 0.737), with_band("latency_p99", 6.0, 5.0, 7.0)
    ('0.728 ± 0.009', '6.0 ms')
    """
    said = measured(measure, value)
    if lo is None or hi is None or measure.startswith(("latency", "freshness", "errors", "missing")):
        return said
    return f"{said} ± {(hi - lo) / 2:.3f}"


def gain(value: float) -> str:
    """A difference with its sign, minus as minus.

    >>> gain(0.0271), gain(-0.0206)
    ('+0.027', '−0.021')
    """
    return f"{value:+.3f}".replace("-", "−")


def between(lo: float, hi: float) -> str:
    """An interval of differences.

    >>> between(0.022, 0.032), between(-0.027, -0.015)
    ('+0.022 to +0.032', '−0.027 to −0.015')
    """
    return f"{gain(lo)} to {gain(hi)}"


def sentences(*parts: str) -> str:
    """Parts joined into sentences; empty parts fall out, a full stop is added where one is missing.

    >>> sentences("Inputs are sound", "", "AUC 0.76.")
    'Inputs are sound. AUC 0.76.'
    """
    kept = [part.strip() for part in parts if part.strip()]
    return " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in kept)
