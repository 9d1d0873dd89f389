"""The real `mlflow` client, in the environment that `make test` made for it, against a server of ours."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOST = Path(__file__).parent / "host.py"
_TIMEOUT_S = 600


def find_python() -> Path | None:
    """The client's interpreter: HOMEOSTAT_MLFLOW_PYTHON, else the one `make test` made; None where there is none."""
    named = os.environ.get("HOMEOSTAT_MLFLOW_PYTHON")
    path = Path(named) if named else ROOT / ".peers" / "mlflow" / "bin" / "python"
    return path if path.is_file() else None


class Client:
    """Runs scripts that use the client, each in a fresh process, against the server at `url`."""

    def __init__(self, python: Path, url: str, folder: Path, home: Path) -> None:
        self.url = url
        self.python = python
        self.home = home  # the server's
        self._folder = folder
        self._count = 0
        self._said = open(folder / "host.log", "w+")  # noqa: SIM115 - open as long as the host runs
        self._host = subprocess.Popen(
            [python, HOST],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, cwd=folder,
            env=self._environment(python),
        )  # fmt: skip
        self.version: str = self._answer()["version"]

    def run_script(self, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `text` (indented as one likes) as a program; `environment` is added to its variables."""
        self._count += 1
        folder = self._folder / f"script{self._count}"
        folder.mkdir()
        script, out, err = folder / "script.py", folder / "out", folder / "err"
        script.write_text(textwrap.dedent(text))
        asked = {
            "script": str(script), "out": str(out), "err": str(err), "folder": str(folder),
            "environment": environment, "timeout_s": _TIMEOUT_S,
        }  # fmt: skip
        assert self._host.stdin is not None
        self._host.stdin.write(json.dumps(asked) + "\n")
        self._host.stdin.flush()
        code = self._answer()["code"]
        return subprocess.CompletedProcess([str(script)], code, out.read_text(), err.read_text())

    def check(self, text: str, **environment: str) -> str:
        """As `run_script`, for a script that must succeed; what it printed."""
        done = self.run_script(text, **environment)
        assert done.returncode == 0, f"the script ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def stop(self) -> None:
        assert self._host.stdin is not None
        self._host.stdin.close()
        self._host.wait(300)
        self._said.close()

    def _answer(self) -> dict[str, Any]:
        assert self._host.stdout is not None
        line = self._host.stdout.readline()
        if not line:
            self._said.seek(0)
            raise AssertionError(f"the MLflow client did not start: {self._said.read()}")
        return json.loads(line)

    def _environment(self, python: Path) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "MLFLOW_", "HOMEOSTAT_", "COV_"))
        }
        return {
            **kept,
            "HOME": str(self._folder),
            "MLFLOW_TRACKING_URI": self.url,
            # A refusal is told at once: the client's own seven retries would take minutes.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            # Else every logged model is loaded once more in a process of its own, to see what it imports.
            "MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1",
            "GIT_PYTHON_REFRESH": "quiet",
            # What Matplotlib knows of the machine's fonts takes seconds to find out: kept from one run to the next.
            "MPLCONFIGDIR": str(python.parents[1] / "matplotlib"),
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
