"""Memory that two processes share: one writes a batch into it, the other reads it, in turns that they agree elsewhere.

Large tensors go through it, so that they are copied once on each side and never squeezed through a socket's buffer.
"""

from __future__ import annotations

import mmap
import os
import tempfile

# Smaller batches travel in the message itself: one system call less than looking into shared memory.
INLINE_BYTES = 1 << 16


class Arena:
    """A growing piece of shared memory, known by its file descriptor.

    >>> ours = Arena.make()
    >>> theirs = Arena(os.dup(ours.file))
    >>> places = ours.write([b"abc", b"d" * 100_000])
    >>> theirs.read(*places[0]), len(theirs.read(*places[1]))
    (b'abc', 100000)
    >>> ours.close(); theirs.close()
    """

    def __init__(self, file: int) -> None:
        self.file = file
        self._size = 0
        self._map: mmap.mmap | None = None

    @classmethod
    def make(cls) -> Arena:
        """An empty one that has no name and vanishes with its last user."""
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("homeostat-batch"))
        with tempfile.TemporaryFile() as unnamed:
            return cls(os.dup(unnamed.fileno()))

    def write(self, parts: list[bytes]) -> list[tuple[int, int]]:
        """Put the parts in from the beginning, over what was there; where each lies: (start, size)."""
        total = sum(map(len, parts))
        if total > os.fstat(self.file).st_size:
            os.ftruncate(self.file, max(total, 1 << 20) * 2)
        memory = self._mapped(total)
        places: list[tuple[int, int]] = []
        at = 0
        for part in parts:
            memory[at : at + len(part)] = part
            places.append((at, len(part)))
            at += len(part)
        return places

    def read(self, start: int, size: int) -> bytes:
        """A copy: what a model keeps of its input must not change under it. ConnectionError for a place outside."""
        if not 0 <= start <= start + size <= os.fstat(self.file).st_size:
            raise ConnectionError("the other side names a place outside the shared memory")
        return self._mapped(start + size)[start : start + size]

    def close(self) -> None:
        """Give the memory back once the other side has done so too."""
        if self._map is not None:
            self._map.close()
            self._map = None
        os.close(self.file)

    def _mapped(self, size: int) -> mmap.mmap:
        if self._map is None or size > self._size:
            if self._map is not None:
                self._map.close()
            self._size = max(1, os.fstat(self.file).st_size)
            self._map = mmap.mmap(self.file, self._size)
        return self._map
