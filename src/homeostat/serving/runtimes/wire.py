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
_FIRST = 1 << 14
_LENGTHS = struct.Struct("<II")

# A tensor: its datatype, its shape, and where its bytes begin and how many there are.
Place = tuple[str, list[int], int, int]


def send(sock: socket.socket, head: bytes, parts: Sequence[bytes] = ()) -> None:
    """One frame."""
    sock.sendall(b"".join((_LENGTHS.pack(len(head), sum(map(len, parts))), head, *parts)))


def receive(sock: socket.socket) -> tuple[bytes, bytes]:
    """The next frame; ConnectionError when the other side has gone."""
    data = sock.recv(_FIRST)  # nearly always the whole of it
    if len(data) < _LENGTHS.size:
        if not data:
            raise ConnectionError("the other side has gone")
        data += _exactly(sock, _LENGTHS.size - len(data))
    head, rest = _LENGTHS.unpack_from(data)
    if head + rest > MAX_FRAME:
        raise ConnectionError("a frame is too long")
    begin, end = _LENGTHS.size + head, _LENGTHS.size + head + rest
    if len(data) < end:
        data += _exactly(sock, end - len(data))
    elif len(data) > end:  # each waits for the other's answer
        raise ConnectionError("more than a frame was sent")
    return data[_LENGTHS.size : begin], data[begin:]


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
