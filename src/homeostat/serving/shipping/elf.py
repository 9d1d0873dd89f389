"""What a program or shared library of Linux needs beside it, read from its ELF header; nothing is run."""

from __future__ import annotations

import struct
from pathlib import Path

from homeostat.core.records import Record

_DYNAMIC, _INTERPRETER = 2, 3
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29


class Needs(Record):
    """`libraries` by their names, `interpreter` the loader of a program, `search` where it wants them looked for."""

    libraries: list[str] = []
    interpreter: str = ""
    search: list[str] = []


def needs_of(path: Path) -> Needs | None:
    """What the file needs; None when it is not a 64-bit little-endian ELF file."""
    with path.open("rb") as file:
        if file.read(6) != b"\x7fELF\x02\x01":
            return None
    data = path.read_bytes()
    (at,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQ", data, at + number * size) for number in range(count)]
    interpreter = ""
    entries: list[tuple[int, int]] = []
    for kind, _, offset, _, _, length in segments:
        if kind == _INTERPRETER:
            interpreter = data[offset : offset + length].rstrip(b"\0").decode()
        elif kind == _DYNAMIC:
            entries = [struct.unpack_from("<QQ", data, at) for at in range(offset, offset + length, 16)]
    table = next((value for tag, value in entries if tag == _STRTAB), 0)
    # The table is named by its address in memory: find the segment that holds it.
    start = next((offset + table - address for kind, _, offset, address, _, length in segments
                  if kind == 1 and address <= table < address + length), 0)  # fmt: skip

    def word(offset: int) -> str:
        begin = start + offset
        return data[begin : data.index(b"\0", begin)].decode()

    search = [word(value) for tag, value in entries if tag in (_RPATH, _RUNPATH)]
    return Needs(
        libraries=[word(value) for tag, value in entries if tag == _NEEDED], interpreter=interpreter,
        search=[one for line in search for one in line.split(":") if one],
    )  # fmt: skip
