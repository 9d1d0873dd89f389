"""What a model weighs: the memory that it took, measured rather than guessed.

In this process: by how much what `malloc` has given out grew while the model was loaded. (The process's resident size
would not tell: memory that an earlier model gave back is used again without growing.) In a worker process: the memory
that it shares with nobody.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from pathlib import Path
from typing import Any

# Held while something is weighed, or gives its memory back.
WEIGHING = threading.Lock()
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_SIZE = re.compile(rb'type="(fast|rest|mmap|current)"(?: count="\d+")? size="(\d+)"')


def heap_bytes() -> int:
    """What `malloc` has given out in this process, in all its arenas; where it does not tell (it does with glibc), the
    memory that this process shares with nobody.

    >>> before = heap_bytes()
    >>> block = bytearray(8 << 20)
    >>> heap_bytes() - before >= 8 << 20
    True
    """
    libc = _libc()
    if libc is None:
        return private_bytes(os.getpid())
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(size))
    if not stream:
        return private_bytes(os.getpid())
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    whole = ctypes.string_at(text, size.value)
    libc.free(text)
    # Behind the last arena come the sums over all of them.
    sums = {kind: int(number) for kind, number in _SIZE.findall(whole.rpartition(b"</heap>")[2])}
    return sums.get(b"current", 0) - sums.get(b"fast", 0) - sums.get(b"rest", 0) + sums.get(b"mmap", 0)


def private_bytes(pid: int) -> int:
    """Resident memory of a process that is its own, not shared with others or with files; 0 where nobody tells."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * _PAGE


def give_back() -> None:
    """Return what `malloc` keeps for later to the system: other processes may want it. Takes milliseconds."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)


_known: list[Any] = []


def _libc() -> Any:
    if not _known:
        libc: Any = None
        try:
            libc = ctypes.CDLL(None)
            libc.open_memstream.restype = ctypes.c_void_p
            libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
            libc.fclose.argtypes = [ctypes.c_void_p]
            libc.malloc_trim.argtypes = [ctypes.c_size_t]
            libc.free.argtypes = [ctypes.c_char_p]
        except (AttributeError, OSError, TypeError):  # not glibc
            libc = None
        _known.append(libc)
    return _known[0]
