"""`make lint`: every checker, all of them even when one complains; exit code 1 when any does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

CHECKS: dict[str, list[str]] = {
    "style": [str(BIN / "ruff"), "check", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
    "types": [str(BIN / "pyright"), "--pythonpath", sys.executable, "--warnings"],
    "arrows": [str(BIN / "lint-imports"), "--no-cache"],
    "pages": [sys.executable, "tools/build_web.py", "check"],
    "house": [sys.executable, "tools/check_house.py"],
}


def main() -> int:
    failed: list[str] = []
    wanted = sys.argv[1:] or list(CHECKS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    for name in wanted:
        start = time.monotonic()
        done = subprocess.run(CHECKS[name], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        verdict = "failed" if done.returncode else "ok"
        print(f"{name:<8} {verdict:<7} {time.monotonic() - start:5.1f} s", flush=True)
        if done.returncode:
            failed.append(name)
            print("\n".join("    " + line for line in (done.stdout + done.stderr).strip().splitlines()), flush=True)
    print(
        f"lint: {len(wanted) - len(failed)} of {len(wanted)} checks passed"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
