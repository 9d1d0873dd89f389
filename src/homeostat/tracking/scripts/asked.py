"""From the words on the command line to runs: which script, which flags, how many runs, and which may be left out."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.records import from_json
from homeostat.tracking.scripts.batch import choice_for, trials
from homeostat.tracking.scripts.flags import Flag, Via, find_flags
from homeostat.tracking.scripts.running import PLAN, SOURCE_TAG, Plan, Ran, run_script
from homeostat.tracking.scripts.sources import digest_of_sources, fetch_sources, source_files

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

Told = Callable[[dict[str, Any]], object]


def plan_for(script: str, project: str = ".", via: Via | None = None, **more: Any) -> Plan:
    """The plan of a script with its flags read, nothing set. `script` is relative to `project`, or a path below it.

    Raises: NotFound when there is no such file; InvalidInput when it is not Python.
    """
    root = Path(project).resolve()
    path = (root / script).resolve()
    if not path.is_file():
        raise NotFound(f"there is no script {script}", hint="name a .py file; a pipeline is named module:function")
    if not path.is_relative_to(root):
        root = path.parent
    flags = find_flags(path.read_text("utf-8", "replace"), via)
    more.setdefault("folder", str(Path(project).resolve()))
    return Plan(script=path.relative_to(root).as_posix(), project=str(root), flags=flags, **more)


def assignments(plan: Plan, words: Sequence[str], most: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """The values of each run that `words` such as `lr=0.1` or `lr=[0.1,0.01]` ask for: one, or a batch.

    Raises: InvalidInput for a flag that the script does not have or a value that it does not take.
    """
    flags = {flag.name: flag for flag in plan.flags}
    choices = {}
    for text in words:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(
                f"{text!r} is not flag=value", hint=f"write {text}=VALUE; after -- words pass as they are"
            )
        name = name.lstrip("-")
        flag = flags.get(name) or flags.get(name.replace("-", "_"))
        if flag is None:
            raise _unknown(name, plan.flags)
        choices[flag.name] = choice_for(flag, value)
    missing = [f.name for f in plan.flags if f.required and f.name not in choices and not plan.extra]
    if missing:
        raise InvalidInput(f"{plan.script} needs {', '.join(missing)}", hint=f"add {missing[0]}=VALUE")
    return trials(choices, most, seed)


def run_all(
    ws: Workspace, plan: Plan, values: list[dict[str, Any]], name: str | None, needed: bool, told: Told
) -> list[Ran]:
    """One run, or a batch: a run that holds one for each of `values`. With `needed` those are left out that are there.

    `told` is called with the values before each run of a batch. A run of a batch that fails does not end the batch.
    """
    if len(values) == 1:
        return [_one(ws, plan, values[0], needed, name=name)]
    parent = ws.tracking.create_run(
        experiment=plan.experiment, name=name or f"{Path(plan.script).stem}-batch", source=Path(plan.script).name,
        tags={"homeostat.batch": len(values)},
    )  # fmt: skip
    status = "killed"
    done: list[Ran] = []
    try:
        for one in values:
            told(one)
            done.append(_one(ws, plan, one, needed, kind="trial", parent_id=parent.id))
        status = "finished" if all(ran.status == "finished" for ran in done) else "failed"
    finally:
        ws.tracking.finish_run(parent.id, status=status)
    return done


def restart(ws: Workspace, run_id: str) -> Ran:
    """Run a run's script again as that run: the flags, the folder and the sources it had.

    When the sources beside the script have changed since, those that the run kept are run, from a folder of their own.
    Raises: NotFound when it is no run of a script.
    """
    try:
        plan = from_json(ws.tracking.read_artifact(run_id, PLAN), Plan)
    except NotFound as error:
        raise NotFound(f"run {run_id} is not the run of a script", hint="`homeostat run` makes those") from error
    before = ws.tracking.get_run(run_id)
    with tempfile.TemporaryDirectory(prefix="homeostat-") as kept:
        root, script = Path(plan.project), Path(plan.project) / plan.script
        if not script.is_file() or digest_of_sources(root, source_files(root, script)) != before.tags.get(SOURCE_TAG):
            fetch_sources(ws, run_id, Path(kept))
            return run_script(ws, plan, id=run_id, kind=before.kind, sources=Path(kept).resolve())
        return run_script(ws, plan, id=run_id, kind=before.kind)


def equal_run(ws: Workspace, plan: Plan) -> str | None:
    """The id of a finished run of the same sources with the same parameters; None when there is none."""
    root = Path(plan.project)
    digest = digest_of_sources(root, source_files(root, root / plan.script))
    same = f'run.tags["{SOURCE_TAG}"] == "{digest}"'
    after = None
    while True:
        page = ws.tracking.search_runs(plan.experiment, status="finished", query=same, after=after)
        for run in page.runs:
            if (
                run.params == plan.params
                and run.tags.get(SOURCE_TAG) == digest
                and run.source == Path(plan.script).name
            ):
                return run.id
        after = page.next
        if after is None:
            return None


def _one(ws: Workspace, plan: Plan, values: dict[str, Any], needed: bool, **more: Any) -> Ran:
    plan = msgspec.structs.replace(plan, values={**plan.values, **values})
    there = equal_run(ws, plan) if needed else None
    return Ran(run_id=there, status="finished", skipped=True) if there else run_script(ws, plan, **more)


def _unknown(name: str, flags: list[Flag]) -> InvalidInput:
    names = [flag.name for flag in flags]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names)}" if names else "none were found in it"
    return InvalidInput(f"the script has no flag '{name}'", hint=f"{hint} (words after -- pass as they are)")
