"""What the data plane and the process of a model say to each other: frames over a socket pair, large tensors in memory
that both share.

A frame is two lengths, JSON of the first, bytes of the second. This module takes the standard library and NumPy alone,
because it also runs in environments of the models' own.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from homeostat.serving.runtimes.arena import INLINE_BYTES, Arena
from homeostat.serving.tensors import Array, from_bytes, to_bytes

MAX_FRAME = 1 << 30
_LENGTHS = struct.Struct("<II")

# A tensor: its datatype, its shape, and where its bytes begin and how many there are.
Place = tuple[str, list[int], int, int]


def send(sock: socket.socket, head: bytes, parts: Sequence[bytes] = ()) -> None:
    """One frame."""
    sock.sendall(b"".join((_LENGTHS.pack(len(head), sum(map(len, parts))), head, *parts)))


def receive(sock: socket.socket) -> tuple[bytes, bytes]:
    """The next frame; ConnectionError when the other side has gone."""
    head, rest = _LENGTHS.unpack(_exactly(sock, _LENGTHS.size))
    if head + rest > MAX_FRAME:
        raise ConnectionError("a frame is too long")
    data = _exactly(sock, head + rest)
    return data[:head], data[head:]


def stow(datatypes: Sequence[str], arrays: Sequence[Array], arena: Arena) -> tuple[bool, list[Place], list[bytes]]:
    """Tensors for a frame: whether their bytes lie in the shared memory, the place of each, and the frame's bytes."""
    parts = [to_bytes(datatype, array) for datatype, array in zip(datatypes, arrays, strict=True)]
    shared = sum(map(len, parts)) > INLINE_BYTES
    places: list[Place] = []
    at = 0
    for datatype, array, part in zip(datatypes, arrays, parts, strict=True):
        places.append((datatype, list(array.shape), at, len(part)))
        at += len(part)
    if shared:
        arena.write(parts)
    return shared, places, [] if shared else parts


def unstow(shared: bool, places: Sequence[Place], blob: bytes, arena: Arena) -> list[Array]:
    """The tensors of a frame as arrays. Raises: InvalidInput or ConnectionError for bytes that are not there."""
    return [
        from_bytes("", datatype, shape, arena.read(start, size) if shared else blob[start : start + size])
        for datatype, shape, start, size in places
    ]


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        got = sock.recv_into(view[at:])
        if not got:
            raise ConnectionError("the other side has gone")
        at += got
    return bytes(data)
