"""Which of many tests to believe when a known share of the believed may be wrong."""

from __future__ import annotations

from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float], rate: float = 0.01) -> list[bool]:
    """True for each test that passes when at most `rate` of the passing may be false. Order is kept.

    Benjamini and Hochberg (1995).

    >>> benjamini_hochberg([0.001, 0.02, 0.5, 0.012], rate=0.05)
    [True, True, False, True]
    >>> benjamini_hochberg([])
    []
    """
    m = len(p_values)
    bar = 0.0
    for rank, p in enumerate(sorted(p_values), start=1):
        if p <= rate * rank / m:
            bar = p
    return [p <= bar and p <= rate for p in p_values]
