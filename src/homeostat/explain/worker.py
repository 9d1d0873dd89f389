"""The process that computes importances: `python -m homeostat.explain.worker URL HOME MODEL VERSION`."""

from __future__ import annotations

import os
import sys


def main(url: str, home: str, model: str, version: int) -> int:
    """Compute and keep; the exit code tells how it went, the reason goes to stderr."""
    from homeostat.core.errors import HomeostatError
    from homeostat.core.workspace import open as open_workspace
    from homeostat.explain.importance import compute_importance
    from homeostat.registry import get_version, made_here

    os.environ["HOMEOSTAT_HOME"] = home
    try:
        with open_workspace(url) as ws:
            compute_importance(ws, model, version, unpickle=made_here(ws, get_version(ws, model, version)))
    except HomeostatError as error:
        sys.stderr.write(error.message)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
