"""What of a deployment's predictions goes to the log: a share of the requests, without the columns that must not."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from homeostat.core.records import Record

Logged = list[tuple[list[str], str, list[int], bytes]]


class LogPolicy(Record):
    """`share` of the requests are logged, whole; `redacted` inputs never are."""

    share: float = 1.0
    redacted: list[str] = []

    def takes(self, request_id: str) -> bool:
        """Whether the request is among those logged: the same answer in every process and every replay.

        >>> LogPolicy(share=0.0).takes("a"), LogPolicy().takes("a")
        (False, True)
        """
        return self.share >= 1.0 or zlib.crc32(request_id.encode()) < self.share * 2**32

    def shown(self, logged: Logged) -> Logged:
        """The inputs of logged rows without the redacted columns."""
        if not self.redacted:
            return logged
        found: Logged = []
        for names, datatype, tail, data in logged:
            kept = [at for at, name in enumerate(names) if name not in self.redacted]
            if len(kept) == len(names):
                found.append((names, datatype, tail, data))
            elif kept:  # a matrix of FP32, a column for each name
                matrix: Any = np.frombuffer(data, "<f4").reshape(-1, len(names))[:, kept]
                found.append(([names[at] for at in kept], datatype, [len(kept)], matrix.tobytes()))
        return found
