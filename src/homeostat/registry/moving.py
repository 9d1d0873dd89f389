"""The models of another store: every version under its own number, with its files, stage, tags and aliases."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args

from homeostat.core.errors import Conflict, HomeostatError, NotFound
from homeostat.core.records import Record
from homeostat.core.workspace import Workspace
from homeostat.registry.aliases import set_alias
from homeostat.registry.lifecycle import delete_version, set_stage
from homeostat.registry.model import Stage
from homeostat.registry.models import create_model, get_model
from homeostat.registry.sources import register_source
from homeostat.tracking import MovedModel, MovedVersion, Source, copy_artifact, create_run, finish_run, get_run

_STAGES: dict[str, Stage] = {stage: stage for stage in get_args(Stage)}
_ORIGIN = "homeostat.imported"
# `runs:/RUN/path`, or the place of a run's files with the path below it.
_WITHIN_RUN = re.compile(r"(?:runs:/+([A-Za-z0-9][\w-]{0,63})|.*?/?([A-Za-z0-9][\w-]{0,63})/artifacts)/(.+?)/?\Z")


class ModelsImported(Record):
    """`copied` versions came now, `already` were here from an earlier import; `left` says what was not, and why."""

    models: int
    copied: int
    already: int
    left: dict[str, str] = {}


def import_models(
    ws: Workspace, source: Source, told: Callable[[int, str], None] = lambda _number, _name: None
) -> ModelsImported:
    """Copy every registered model of `source`; import its runs first, whose files the versions name.

    A version gets the number that it had: numbers that were deleted there are deleted here. Importing again goes on
    with what is missing. A model of the same name that was made here is left alone, and named in `left`.
    """
    models = copied = already = 0
    left: dict[str, str] = {}
    for model in source.models():
        models += 1
        try:
            came, known = _adopt(ws, source, model)
        except HomeostatError as error:
            left[f"model {model.name}"] = error.message
        else:
            copied, already = copied + came, already + known
        told(models, model.name)
    return ModelsImported(models=models, copied=copied, already=already, left=left)


def _adopt(ws: Workspace, source: Source, model: MovedModel) -> tuple[int, int]:
    try:
        there = get_model(ws, model.name)
    except NotFound:
        there = create_model(ws, model.name, model.description, {**model.tags, _ORIGIN: "yes"})
    if _ORIGIN not in there.tags:
        raise Conflict(f"there is a model '{model.name}' here that did not come from there", hint="rename one of them")
    numbers = {version.version: version for version in model.versions}
    already = min(there.versions, max(numbers, default=0))
    for number in range(there.versions + 1, max(numbers, default=0) + 1):
        found = numbers.get(number)
        address = _files(ws, source, found) if found else "deleted:"
        made = register_source(
            ws, model.name, address, run_id=_known_run(ws, found.run_id) if found else None,
            tags=found.tags if found else {}, description=found.description if found else "",
            once=f"import {number}",
        )  # fmt: skip
        if made.version != number:
            raise Conflict(f"version {number} of '{model.name}' would become {made.version} here")
        if found is None:
            delete_version(ws, model.name, number, "it was deleted where it came from")
        else:
            stage = _STAGES.get(found.stage, "None")
            if stage != "None":
                set_stage(ws, model.name, number, stage)
    for alias, number in model.aliases.items():
        if get_model(ws, model.name).aliases.get(alias) != number:
            set_alias(ws, model.name, alias, number)
    return len([n for n in numbers if n > already]), len([n for n in numbers if n <= already])


def _files(ws: Workspace, source: Source, version: MovedVersion) -> str:
    """An address in this workspace under which the version's files lie."""
    within = _WITHIN_RUN.match(version.files)
    if within and _known_run(ws, within[1] or within[2]):
        return f"runs:/{within[1] or within[2]}/{within[3]}"
    paths = list(source.list_files(version.files)) if version.files else []
    if not paths:
        return version.files or "unknown:"
    folder = f"models/{version.model}/{version.version}"
    run = _known_run(ws, version.run_id)
    if run is None:
        name = f"{version.model} {version.version}"
        run = create_run(ws, "imported-models", name, tags={_ORIGIN: "files of a version without a run"}).id
        finish_run(ws, run)
    for path in paths:
        with source.open_file(version.files, path) as file:
            copy_artifact(ws, run, f"{folder}/{path}", file)
    return f"runs:/{run}/{folder}"


def _known_run(ws: Workspace, run_id: str | None) -> str | None:
    try:
        return get_run(ws, run_id).id if run_id else None
    except NotFound:
        return None
