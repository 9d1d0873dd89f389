"""How many replicas a model needs: quickly more, slowly fewer.

The rule is that of Kubernetes' HorizontalPodAutoscaler: as many as bring the utilisation to its target,
`ceil(busy / target)`, unless that is within a tolerance of what there is; and fewer only when a while has passed in
which no look asked for more (its stabilisation window). What is measured is the mean number of replicas that compute,
since a model that takes requests in batches may have many in flight and still be idle half of the time. A replica more
than there are requests to compute at once would never be used: the most that were in flight bound it.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details
"""

from __future__ import annotations

import math
from collections import deque

# The share of its time that a replica should compute: what is left takes the bursts while another one starts.
TARGET = 0.7
TOLERANCE = 0.1
# More after a mean over so many seconds; fewer after so many seconds without a look that asked for more.
UP_S = 2.0
DOWN_S = 60.0


class Autoscaler:
    """Decides for one model. `least` and `most` may be changed at any time. Times in seconds, of any clock.

    >>> scaler = Autoscaler(least=1, most=4)
    >>> [scaler.look(at, busy_s=1.0 * at, in_flight=8, replicas=1) for at in (0, 1, 2, 3)]
    [1, 1, 2, 2]
    >>> scaler.look(30, busy_s=3.0, in_flight=0, replicas=2), scaler.look(64, busy_s=3.0, in_flight=0, replicas=2)
    (2, 1)
    """

    def __init__(self, least: int = 1, most: int = 1) -> None:
        self.least = least
        self.most = most
        self._seen: deque[tuple[float, float, int]] = deque()  # time, busy seconds so far, in flight
        self._asked: deque[tuple[float, int]] = deque()  # time, replicas that a look asked for

    def look(self, now_s: float, busy_s: float, in_flight: int, replicas: int) -> int:
        """How many replicas there should be. `busy_s`: seconds that replicas have computed since ever, added up;
        `in_flight`: the most requests that waited or were computed at once since the last look."""
        self._seen.append((now_s, busy_s, in_flight))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - UP_S:
            self._seen.popleft()
        since_s, busy_before_s, _ = self._seen[0]
        wanted = replicas
        if now_s - since_s >= UP_S:
            busy = (busy_s - busy_before_s) / (now_s - since_s)
            if abs(busy / (replicas * TARGET) - 1) > TOLERANCE:
                wanted = math.ceil(busy / TARGET - 1e-9)
            wanted = min(wanted, max(count for _, _, count in self._seen))
        self._asked.append((now_s, wanted))
        while self._asked[0][0] <= now_s - DOWN_S:
            self._asked.popleft()
        if wanted < replicas:
            wanted = min(replicas, max(count for _, count in self._asked))
        return max(self.least, 1, min(wanted, self.most))
