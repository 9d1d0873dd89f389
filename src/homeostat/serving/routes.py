"""Which version answers: an immutable table, chosen from by a salted hash, the same here and in any replay."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from typing import Generic, TypeVar

from homeostat.core.errors import InvalidInput
from homeostat.serving.model import Route

V = TypeVar("V")
_SPAN = 1 << 64


def position(salt: str, key: str) -> int:
    """Where `key` falls on a circle of 2**64 places: BLAKE2b of the key, keyed by the salt.

    Equal arguments give equal places on every machine; another salt shuffles them independently.

    >>> position("s", "request-1") == position("s", "request-1")
    True
    >>> position("s", "request-1") == position("t", "request-1")
    False
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest, "little")


def check_routes(routes: Sequence[Route]) -> None:
    """InvalidInput unless there is exactly one champion, versions are distinct and weights add up."""
    champions = [route for route in routes if route.role == "champion"]
    if len(champions) != 1:
        raise InvalidInput(
            f"a deployment has one champion; {len(champions)} were given",
            hint='for example [{"version": 3, "weight": 0.95}, {"version": 4, "weight": 0.05, "role": "canary"}]',
        )
    versions = [route.version for route in routes]
    if len(set(versions)) != len(versions):
        raise InvalidInput(f"each version may have one route; {versions} names one twice")
    for route in routes:
        if not 0 <= route.weight <= 1:
            raise InvalidInput(f"version {route.version}: the weight {route.weight} is not between 0 and 1")
    total = sum(route.weight for route in routes if route.role != "shadow")
    if abs(total - 1) > 1e-6:
        raise InvalidInput(
            f"the weights of champion and canaries add up to {total:g}, not 1",
            hint="lower the champion's weight by what the canary gets",
        )


class RouteTable(Generic[V]):
    """The routes of one generation over loaded versions. Never changed: a new generation is a new table.

    >>> table = RouteTable([Route(version=1, weight=0.5), Route(version=2, weight=0.5, role="canary")],
    ...                    {1: "old", 2: "new"}, salt="s", generation=1)
    >>> table.choose("request-1") == table.choose("request-1")
    True
    """

    __slots__ = ("_arms", "_ends", "_shadows", "champion", "generation", "mirrored", "only", "salt", "versions")

    def __init__(self, routes: Sequence[Route], versions: dict[int, V], salt: str, generation: int) -> None:
        self.generation = generation
        self.salt = salt
        self.versions = versions
        self.champion = next(versions[route.version] for route in routes if route.role == "champion")
        self._ends: list[int] = []
        self._arms: list[tuple[V, str]] = []
        share = 0.0
        # Canaries take the low end of the circle: raising a canary's weight keeps those who already had it.
        for route in sorted(routes, key=lambda r: (r.role != "canary", r.version)):
            if route.role != "shadow" and route.weight > 0:
                share += route.weight
                self._ends.append(round(share * _SPAN))
                self._arms.append((versions[route.version], route.role))
        self._ends[-1] = _SPAN
        self._shadows = [
            (round(route.weight * _SPAN), versions[route.version]) for route in routes if route.role == "shadow"
        ]
        self.mirrored = bool(self._shadows)
        self.only = self._arms[0] if len(self._arms) == 1 else None

    def choose(self, key: str) -> tuple[V, str]:
        """The version that answers the request with this sticky `key`, and its role."""
        return self.only or self._arms[bisect_right(self._ends, position(self.salt, key))]

    def shadows(self, key: str) -> list[V]:
        """The versions that the request is mirrored to."""
        if not self._shadows:
            return []
        # Another salt than the canary's: who is mirrored must not depend on who is in the canary.
        place = position(self.salt + "/shadow", key)
        return [version for end, version in self._shadows if place < end]
