"""Counts of one process: plain integers, written as Prometheus text only when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

# Upper bounds of the latency buckets, in microseconds.
BOUNDS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000)


class VersionCounts:
    """What one model version has done in this process. Times in nanoseconds."""

    __slots__ = (
        "batches", "buckets", "compute_ns", "expired", "failures", "queue_ns", "requests", "rows", "shadow", "total_ns",
        "turned_away",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.failures = 0
        self.batches = 0
        self.shadow = 0
        self.turned_away = 0
        self.expired = 0
        self.compute_ns = 0
        self.queue_ns = 0
        self.total_ns = 0
        self.buckets = [0] * (len(BOUNDS_US) + 1)

    def observe(self, nanoseconds: int) -> None:
        """One answered request took this long, from the parsed question to the written answer."""
        self.total_ns += nanoseconds
        self.buckets[bisect_left(BOUNDS_US, nanoseconds // 1000)] += 1

    def quantile_us(self, share: float) -> float:
        """An upper bound for the given share of latencies, from the buckets; 0 before the first request."""
        wanted, seen = share * sum(self.buckets), 0
        for bound, count in zip((*BOUNDS_US, 10 * BOUNDS_US[-1]), self.buckets, strict=True):
            seen += count
            if count and seen >= wanted:
                return float(bound)
        return 0.0


class Exposition:
    """Prometheus text, metric by metric.

    >>> page = Exposition()
    >>> page.add("up", "gauge", "Whether it is up.", [({"model": "a"}, 1)])
    >>> print(page.text().decode().strip())
    # HELP up Whether it is up.
    # TYPE up gauge
    up{model="a"} 1
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, help: str, samples: Iterable[tuple[dict[str, str], float]]) -> None:
        """One metric with all its labelled values."""
        self._lines += (f"# HELP {name} {help}", f"# TYPE {name} {kind}")
        self._lines += (f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples)

    def histogram(self, name: str, help: str, samples: Iterable[tuple[dict[str, str], list[int], int]]) -> None:
        """A latency histogram in seconds: labels, counts per bucket, sum in nanoseconds."""
        self._lines += (f"# HELP {name} {help}", f"# TYPE {name} histogram")
        for labels, buckets, total_ns in samples:
            seen = 0
            for bound, count in zip((*BOUNDS_US, None), buckets, strict=True):
                seen += count
                edge = "+Inf" if bound is None else f"{bound / 1e6:g}"
                self._lines.append(f"{name}_bucket{_labels({**labels, 'le': edge})} {seen}")
            self._lines.append(f"{name}_sum{_labels(labels)} {total_ns / 1e9:g}")
            self._lines.append(f"{name}_count{_labels(labels)} {seen}")

    def text(self) -> bytes:
        """The page."""
        return ("\n".join(self._lines) + "\n").encode()


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    escaped = (
        (name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels.items()
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
