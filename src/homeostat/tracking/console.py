"""What a program prints, kept beside a run while it is still shown."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_BYTES = 20 << 20


class ConsoleFile:
    """A file that takes at most 20 MiB of a console; then it says so, once."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  closed by close()
        self._left = MOST_BYTES - path.stat().st_size

    def write(self, data: bytes) -> None:
        """Append; a full disk costs the copy, never the program."""
        if self._left <= 0:
            return
        try:
            self._file.write(data[: self._left])
            self._left -= len(data)
            if self._left <= 0:
                self._file.write(b"\n[the rest is not kept: 20 MiB is the most]\n")
        except (OSError, ValueError):
            self._left = 0

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Tee:
    """A text stream that is also written to the console file; everything else is the stream's own."""

    def __init__(self, stream: Any, kept: ConsoleFile) -> None:
        self._stream = stream
        self._kept = kept

    def write(self, text: str) -> int:
        self._kept.write(text.encode("utf-8", "replace"))
        return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def captured(path: Path) -> Generator[None]:
    """Within the block, what Python code prints to standard output and error is also appended to the file `path`.

    What compiled code or child processes write past Python is not seen; `homeostat run script.py` keeps that too.
    """
    kept = ConsoleFile(path)
    out, err = sys.stdout, sys.stderr
    tee_out, tee_err = _Tee(out, kept), _Tee(err, kept)
    sys.stdout, sys.stderr = tee_out, tee_err  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        # Whoever replaced them meanwhile keeps theirs; ours still writes through.
        if sys.stdout is tee_out:
            sys.stdout = out
        if sys.stderr is tee_err:
            sys.stderr = err
        kept.close()
