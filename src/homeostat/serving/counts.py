"""Counts of one process: plain integers, written as Prometheus text only when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec

# Upper bounds of the latency buckets, in microseconds.
BOUNDS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000)


class VersionCounts:
    """What one model version has done in this process. Times in nanoseconds."""

    __slots__ = (
        "batches", "buckets", "compute_ns", "expired", "failures", "nodes", "queue_ns", "requests", "rows", "shadow",
        "total_ns", "turned_away",
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
        self.nodes: dict[str, NodeCounts] = {}  # of a graph, by path

    def answered(self, started: list[int], ended: int) -> int:
        """The requests that began then were answered together: so long it took from the parsed question to the written
        answer. All of them together, in nanoseconds."""
        many = len(started)
        if many == 1:
            self.requests += 1
            self.total_ns += (took := ended - started[0])
            self.buckets[bisect_left(BOUNDS_US, took // 1000)] += 1
            return took
        self.requests += many
        self.total_ns += (took := many * ended - sum(started))
        # They have come within one pass of the event loop: mostly one bucket holds them all.
        first = bisect_left(BOUNDS_US, (ended - max(started)) // 1000)
        if first == bisect_left(BOUNDS_US, (ended - min(started)) // 1000):
            self.buckets[first] += many
            return took
        for began in started:
            self.buckets[bisect_left(BOUNDS_US, (ended - began) // 1000)] += 1
        return took

    def quantile_us(self, share: float) -> float:
        """An upper bound for the given share of latencies, from the buckets; 0 before the first request."""
        wanted, seen = share * sum(self.buckets), 0
        for bound, count in zip((*BOUNDS_US, 10 * BOUNDS_US[-1]), self.buckets, strict=True):
            seen += count
            if count and seen >= wanted:
                return float(bound)
        return 0.0


class NodeCounts:
    """What one node of a graph has done in this process: how long its answers took, and by status how often it was the
    one that failed. `name` is the model or the table that it asks."""

    __slots__ = ("buckets", "failures", "name", "total_ns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures: dict[int, int] = {}
        self.total_ns = 0
        self.buckets = [0] * (len(BOUNDS_US) + 1)

    def observe(self, nanoseconds: int) -> None:
        """It has answered after this long."""
        self.total_ns += nanoseconds
        self.buckets[bisect_left(BOUNDS_US, nanoseconds // 1000)] += 1


class Family(msgspec.Struct, array_like=True):
    """A metric: its samples as (what is appended to its name, labels, value)."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, dict[str, str], int | float]]


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
        self._families: list[Family] = []

    def add(self, name: str, kind: str, help: str, samples: Iterable[tuple[dict[str, str], float]]) -> None:
        """One metric with all its labelled values."""
        self._families.append(Family(name, kind, help, [("", labels, value) for labels, value in samples]))

    def histogram(self, name: str, help: str, samples: Iterable[tuple[dict[str, str], list[int], int]]) -> None:
        """A latency histogram in seconds: labels, counts per bucket, sum in nanoseconds."""
        found: list[tuple[str, dict[str, str], float]] = []
        for labels, buckets, total_ns in samples:
            seen = 0
            for bound, count in zip((*BOUNDS_US, None), buckets, strict=True):
                seen += count
                edge = "+Inf" if bound is None else f"{bound / 1e6:g}"
                found.append(("_bucket", {**labels, "le": edge}, seen))
            found.append(("_sum", labels, total_ns / 1e9))
            found.append(("_count", labels, seen))
        self._families.append(Family(name, "histogram", help, found))

    def dump(self) -> bytes:
        """The page for another process, which joins it with its own."""
        return msgspec.msgpack.encode(self._families)

    @classmethod
    def joined(cls, pages: Mapping[int, bytes]) -> Exposition:
        """The pages of several processes as one; each value is labelled with the number of its process.

        Values are not added up: a process that is started again begins at 0, which a reader of counters understands of
        one process but not of a sum.
        """
        page, families = cls(), dict[str, Family]()
        for process, dumped in sorted(pages.items()):
            for family in msgspec.msgpack.decode(dumped, type=list[Family]):
                known = families.setdefault(family.name, Family(family.name, family.kind, family.help, []))
                known.samples.extend(
                    (suffix, {**labels, "process": str(process)}, value) for suffix, labels, value in family.samples
                )
        page._families = list(families.values())
        return page

    def text(self) -> bytes:
        """The page."""
        lines: list[str] = []
        for family in self._families:
            lines += (f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}")
            lines += (f"{family.name}{suffix}{_labels(labels)} {_number(v)}" for suffix, labels, v in family.samples)
        return ("\n".join(lines) + "\n").encode()


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    escaped = (
        (name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels.items()
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"


def _number(value: float) -> str:
    # Every digit: a counter is looked at for how much it has grown, however far it has come.
    return str(value) if isinstance(value, int) else repr(float(value))
