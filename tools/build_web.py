"""Builds the pages of web/ into src/homeostat/web.

Node and npm come from PATH when they are new enough, else from the wheel pinned in requirements/web.txt, which is
installed beside the running Python. Install scripts of npm packages are not run. `build_web.py check` checks the
pages' types instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WEB = ROOT / "web"
# What Vite 8 asks for; npm 10 does not install it.
NODE, NPM = (20, 19), (11, 0)


def version_of(program: str, environment: dict[str, str]) -> tuple[int, ...]:
    """The version that `program --version` tells; () when it cannot be run."""
    path = shutil.which(program, path=environment["PATH"])
    if path is None:
        return ()
    told = subprocess.run([path, "--version"], capture_output=True, text=True, env=environment, check=False).stdout
    return tuple(int(part) for part in re.findall(r"\d+", told)[:2])


def environment_with_node() -> dict[str, str]:
    """An environment whose PATH has a node and an npm that are new enough; installs them when it must."""
    environment = {**os.environ, "NO_UPDATE_NOTIFIER": "1", "CI": "1"}
    # An activated .venv may hide its own older wheel behind PATH: ask what would really run.
    if version_of("node", environment) >= NODE and version_of("npm", environment) >= NPM:
        return environment
    own = {**environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}
    if version_of("node", own) < NODE or version_of("npm", own) < NPM:
        print(f"no node ≥ {NODE[0]}.{NODE[1]} with npm ≥ {NPM[0]} on PATH: installing one into .venv", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(ROOT / "requirements" / "web.txt")], check=True)
    return own


def npm(*words: str, environment: dict[str, str]) -> None:
    """Run npm in web/; its output is shown only when it fails."""
    program = shutil.which("npm", path=environment["PATH"]) or "npm"
    done = subprocess.run([program, *words], cwd=WEB, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        sys.exit(f"npm {' '.join(words)} failed with exit code {done.returncode}")


def install(environment: dict[str, str]) -> None:
    """`npm ci`, unless what the lock file names is installed already."""
    lock, done = WEB / "package-lock.json", WEB / "node_modules" / ".homeostat-lock"
    if done.is_file() and done.read_bytes() == lock.read_bytes():
        return
    print("installing what the pages are built with (once) …", file=sys.stderr)
    npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", environment=environment)
    done.write_bytes(lock.read_bytes())


def main() -> None:
    if not (WEB / "package.json").is_file():
        sys.exit("web/package.json is not there: nothing to build")
    environment = environment_with_node()
    install(environment)
    npm("run", sys.argv[1] if len(sys.argv) > 1 else "build", environment=environment)


if __name__ == "__main__":
    main()
