"""The process that runs user code: it describes a pipeline, or runs one step, and writes an answer file.

`python -m homeostat.pipelines.child REQUEST`. Only modules of Homeostat that start no threads are imported before the
user's, because this module is also loaded by the launcher that forks.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from msgspec import structs

from homeostat.core.blobs import digest_of_file
from homeostat.core.context import RUN_VARIABLE, acting_run
from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.core.faults import fault
from homeostat.core.records import from_json
from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace
from homeostat.pipelines import codecs, inside
from homeostat.pipelines.declare import Pipeline, describe, workspace_parameters
from homeostat.pipelines.fingerprint import Fingerprint, fingerprint_of
from homeostat.pipelines.graph import WORKSPACE, Node
from homeostat.pipelines.loading import import_afresh, load_function
from homeostat.pipelines.messages import Answer, Failure, Request, write_whole
from homeostat.pipelines.model import Value
from homeostat.pipelines.source import Project

_HERE = os.path.dirname(__file__)

# Loaded here once, so that no forked step has to.
for _module in (
    "core.db", "core.events", "core.leases", "core.lineage_facts", "core.schema", "core.verbs",
    "engines.localfs", "engines.sqlite",
):  # fmt: skip
    importlib.import_module(f"homeostat.{_module}")


def main(arguments: list[str]) -> int:
    """Do what the request file says; 0 when the answer holds a result, 1 when it says why not."""
    request = from_json(Path(arguments[0]).read_bytes(), Request)
    Path(request.scratch).mkdir(parents=True, exist_ok=True)
    import_afresh(Path(request.project))
    try:
        with open_workspace(request.url) as ws:
            answer = _plan(ws, request) if request.do == "plan" else _step(ws, request)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of user code are failures too
        _print_traceback(error)
        answer = Answer(key=request.key, failure=_failure(error))
    sys.stdout.flush()
    sys.stderr.flush()
    write_whole(Path(request.answer), answer)
    fault("step.answered")
    shutil.rmtree(request.scratch, ignore_errors=True)
    return 1 if answer.failure else 0


def _plan(ws: Workspace, request: Request) -> Answer:
    target = load_function(request.function)
    if not isinstance(target, Pipeline):
        raise InvalidInput(
            f"'{request.function}' is not a pipeline but a {type(target).__name__}",
            hint="put @hs.pipeline above the function",
        )
    described = describe(target, request.params, lambda value: codecs.encode(value, ws.blobs))
    project = Project(Path(request.project))
    nodes: list[Node] = []
    sources: dict[str, str] = {}
    known: dict[str, Fingerprint] = {}
    for node in described.graph.steps:
        if node.function not in known:
            known[node.function] = fingerprint_of(node.function, project)
        found = known[node.function]
        sources.update(found.sources())
        nodes.append(structs.replace(node, code=found.code, libraries=found.libraries))
    graph = structs.replace(
        described.graph, steps=nodes, sources=sources, python=".".join(platform.python_version_tuple()[:2])
    )
    return Answer(graph=graph)


def _step(ws: Workspace, request: Request) -> Answer:
    if not _unchanged(request.sources):
        return Answer(key=request.key, stale=True)
    os.environ[inside.STEP_KEY] = request.step_key
    os.environ[inside.SCRATCH] = request.scratch
    os.environ[inside.WORKSPACE_URL] = request.url
    os.environ[inside.PROJECT] = request.project
    if request.run_id is not None:
        os.environ[RUN_VARIABLE] = request.run_id
    function = load_function(request.function)
    function = getattr(function, "function", function)  # the plain function below @step
    inputs = Path(request.scratch) / "inputs"
    arguments = {name: _argument(ws, value, inputs) for name, value in request.arguments.items()}
    for name in workspace_parameters(function):
        arguments.setdefault(name, ws)
    with acting_run(request.run_id):
        fault("step.running")
        result = function(**arguments)
        fault("step.computed")
        value = codecs.encode(result, ws.blobs)
    fault("step.encoded")
    return Answer(key=request.key, value=value)


def _argument(ws: Workspace, value: Value, folder: Path) -> Any:
    return ws if value.codec == WORKSPACE else codecs.decode(value, ws.blobs, folder, unpickle=True)


def _unchanged(sources: dict[str, str]) -> bool:
    with contextlib.suppress(OSError):
        return all(digest_of_file(path) == digest for path, digest in sources.items())
    return False


def _failure(error: BaseException) -> Failure:
    if isinstance(error, HomeostatError):
        return Failure(kind=type(error).__name__, message=error.message, code=error.code, hint=error.hint)
    return Failure(kind=type(error).__name__, message=str(error))


def _print_traceback(error: BaseException) -> None:
    """The traceback from the user's code on; the frames of what called it tell nobody anything."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((_HERE, "<frozen importlib")):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace or error.__traceback__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
