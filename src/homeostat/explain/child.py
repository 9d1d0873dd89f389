"""A process that explains: what it said, or the error that tells why it did not."""

from __future__ import annotations

import subprocess
import sys

from homeostat.core.errors import Refused, StepFailed

_LIMIT_S = 600


def said_by(
    module: str, *arguments: str, told: str = "", environment: dict[str, str] | None = None, what: str, hint: str = ""
) -> str:
    """What `python -m module arguments` prints when it is told `told`; it has ten minutes.

    `what` it does is said where it fails. Raises: Refused when it refuses; StepFailed when it fails, or has no end.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], input=told, env=environment, capture_output=True, text=True,
            timeout=_LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise StepFailed(f"{what} took more than {_LIMIT_S} s") from None
    last = (done.stderr.strip() or "it ended without a word").splitlines()[-1][:400]
    if done.returncode == Refused.exit_code:
        raise Refused(last)
    if done.returncode:
        raise StepFailed(f"{what} failed: {last}", hint=hint)
    return done.stdout
