"""`python -m bench [WORD …]`: every benchmark whose path holds one of the words, one after another.

A benchmark is a module in a folder of bench/ that is named after its slice; each also runs alone, with its own
options.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent


def main() -> int:
    found = sorted(
        path.relative_to(ROOT.parent) for path in ROOT.glob("*/*.py") if "__main__" in path.read_text(encoding="utf-8")
    )
    chosen = [path for path in found if not sys.argv[1:] or any(word in path.as_posix() for word in sys.argv[1:])]
    if not chosen:
        sys.exit(f"no benchmark is called that; there are {', '.join(path.as_posix() for path in found)}")
    failed = 0
    for path in chosen:
        print(f"\n== {path.as_posix()}", flush=True)
        module = path.with_suffix("").as_posix().replace("/", ".")
        failed += subprocess.run([sys.executable, "-m", module], cwd=ROOT.parent, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
