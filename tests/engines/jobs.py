"""What the executor's tests run as jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    what, *rest = arguments
    if what == "exit":
        print("going", flush=True)
        return int(rest[0])
    if what == "raise":
        raise ValueError("on purpose")
    if what == "hang":
        _tell(rest[0], os.getpid())
        time.sleep(600)
    if what == "family":  # a job with a child of its own
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        _tell(rest[0], child.pid)
        time.sleep(600)
    if what == "tell":
        print(f"{Path.cwd()} {os.environ.get('COLOUR')} {os.environ.get('HOME') is not None} {sys.path[0]}")
        print("threads", threading.active_count(), "stdin", repr(sys.stdin.read()))
    return 0


def _tell(path: str, number: int) -> None:
    partial = Path(path + ".partial")
    partial.write_text(str(number))
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
