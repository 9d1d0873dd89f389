"""Rows of a model that is code: explained in a process that loads it, and that has nothing of the workspace's.

`python -m homeostat.explain.by_code` is that process: it reads an `_Order` and writes the explanations.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from homeostat.core.errors import HomeostatError, Refused, StepFailed
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.explain.child import said_by
from homeostat.explain.model import Row, RowExplanation
from homeostat.registry import ModelVersion, fetched_package, load_package, made_here

# What is asked here; everything else that runs code is asked where it is served.
BY_CODE = ("sklearn", "python", "torch")


class _Order(Record):
    """What to load: the package in `folder`, whose file of code has the digest `recorded`; and the rows to explain."""

    model: str
    version: int
    folder: str
    recorded: str
    rows: list[Row]


def explained_in_a_process(ws: Workspace, found: ModelVersion, rows: list[Row]) -> list[RowExplanation]:
    """The explanations of `rows` by a version that is code.

    Raises: Refused for code that no run of this workspace has made; StepFailed when the model fails.
    """
    what = f"version {found.version} of '{found.model}'"
    if not made_here(ws, found):
        raise Refused(f"{what} is code that no run of this workspace has made", hint="log it from a run")
    folder, file = fetched_package(ws, found)
    order = _Order(
        model=found.model, version=found.version, folder=str(folder), recorded=found.files[file], rows=rows
    )  # fmt: skip
    # Its code has no business with the server's credentials.
    environment = {k: v for k, v in os.environ.items() if "TOKEN" not in k and "SECRET" not in k}
    answer = said_by(
        "homeostat.explain.by_code", told=to_json(order), environment=environment, what=f"explaining rows of {what}",
        hint=f"where it needs an environment of its own: deploy it, and POST /v1/models/{found.model}:explain",
    )  # fmt: skip
    return from_json(answer, list[RowExplanation])


def main() -> int:
    """Read the order from standard input, write the explanations to standard output; the exit code tells how it went,
    the reason goes to stderr."""
    from homeostat.explain.answers import explained_by_answers

    order = from_json(sys.stdin.read(), _Order)
    answer = os.dup(1)
    os.dup2(2, 1)  # what the model prints is no part of the answer
    try:
        loaded = load_package(Path(order.folder), engine="native", unpickle=order.recorded)
        sample = loaded.sample()
        if sample is None:
            raise Refused(f"version {order.version} of '{order.model}' keeps no sample to compare a row with")
        names = [field.name for field in loaded.package.signature.inputs]
        told = explained_by_answers(order.model, order.version, loaded.predict, sample, names, order.rows)
    except HomeostatError as error:
        sys.stderr.write("\n" + error.message)
        return error.exit_code
    except Exception as error:  # whatever the model's code raises is told in one line
        sys.stderr.write(f"\n{type(error).__name__}: {' '.join(str(error).split())}")
        return StepFailed.exit_code
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        out.write(to_json(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
