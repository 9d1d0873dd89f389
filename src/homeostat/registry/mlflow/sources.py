"""Which sources a version may be registered from: nothing that would lead out of what the caller may name.

A source of this server has to lie among the files of the run or of the logged model that the call names; files of the
machine are never taken, and no address may hold a way up.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote_plus, urlsplit

from homeostat.core.blobs import File
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.foreign import ForeignError, invalid
from homeostat.core.workspace import Workspace
from homeostat.registry import models, versions
from homeostat.registry.model import ModelVersion
from homeostat.registry.names import is_prompt, printable
from homeostat.registry.sources import proxied_path
from homeostat.tracking import files_in_run, get_logged_model

PROMPT_SOURCES = ("dummy-source", "prompt-template")
_LONGEST = 4096
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class Lineage(NamedTuple):
    """What a version is made of: the address, the run and the logged model, the version it is a copy of; its files,
    where they have been looked up."""

    source: str
    run_id: str
    model_id: str
    parent: ModelVersion | None = None
    files: dict[str, File] | None = None


def resolve(ws: Workspace, given: Lineage, has_run: bool, has_model: bool) -> Lineage:
    """The lineage of a new version, checked. Raises: ForeignError for a source that may not be named."""
    source = given.source
    if len(source) > _LONGEST or not printable(source):
        raise invalid(f"Invalid model version source: '{source[:300]}'.")
    parts = _split(source)
    if _is_local(source, parts):
        raise _local(source, bool(given.model_id))
    _no_way_up(source, parts)
    if parts.scheme == "models":
        return _of_model(ws, given, parts, has_run, has_model)
    if parts.scheme == "runs":
        run = parts.path.lstrip("/").partition("/")[0]
        if parts.netloc or given.model_id or not given.run_id or run != given.run_id:
            raise _not_of(source, "model_id" if given.model_id else "run_id")
        return given
    if (path := proxied_path(source)) is None:
        return given
    if given.model_id and path[1:4] == ["models", given.model_id, "artifacts"]:
        return given
    files = _of_run(ws, path, given)
    if files is None:
        raise _not_of(source, "model_id" if given.model_id else "run_id")
    return given._replace(files=files)


def _of_run(ws: Workspace, path: list[str], given: Lineage) -> dict[str, File] | None:
    if given.model_id or not given.run_id or path[1:3] != [given.run_id, "artifacts"]:
        return None
    try:
        return files_in_run(ws, given.run_id, "/".join(path[3:]))
    except InvalidInput:  # no file can lie there
        return files_in_run(ws, given.run_id, "") and {}


def _of_model(ws: Workspace, given: Lineage, parts: SplitResult, has_run: bool, has_model: bool) -> Lineage:
    source = given.source
    if parts.netloc:
        raise invalid(
            f"Invalid model version source: '{source}'. Registered model sources must use the active model registry."
        )
    name, _, which = parts.path.strip("/").partition("/")
    if not which and "@" not in name:
        if not given.model_id or name != given.model_id:
            raise _not_of(source, "model_id")
        return _of_logged(ws, given)
    try:
        parent = _version_at(ws, name, which)
        prompt = is_prompt(models.get_model(ws, parent.model).tags)
    except NotFound as error:
        raise ForeignError(
            "RESOURCE_DOES_NOT_EXIST", f"Invalid model version source: '{source}'. {error.message}", 404
        ) from None
    if prompt:
        raise invalid(
            f"Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources."
        )
    if (has_run and given.run_id != (parent.run_id or "")) or (has_model and given.model_id != parent.model_id):
        raise invalid(
            f"Invalid model version source: '{source}'. The run_id and model_id request parameters must match the"
            " referenced model version."
        )
    return Lineage(
        f"models:/{parent.model}/{parent.version}", given.run_id if has_run else parent.run_id or "",
        given.model_id if has_model else parent.model_id, parent,
    )  # fmt: skip


def _of_logged(ws: Workspace, given: Lineage) -> Lineage:
    try:
        logged = get_logged_model(ws, given.model_id)
    except NotFound:
        raise _not_of(given.source, "model_id") from None
    return given._replace(run_id=given.run_id or logged.source_run_id)


def _version_at(ws: Workspace, name: str, which: str) -> ModelVersion:
    if not which:
        model, _, alias = name.partition("@")
        try:
            return versions.get_version(ws, model, alias=alias)
        except NotFound:
            raise invalid(f"Registered model alias {alias[:300]} not found.") from None
    if which.isdecimal() and len(which) < 10:
        return versions.get_version(ws, name, int(which))
    if which.lower() == "latest":
        return versions.get_version(ws, name)
    found = [one for one in versions.list_versions(ws, name) if one.stage.lower() == which.lower()]
    if not found:
        raise NotFound(f"model '{name[:128]}' has no version in stage '{which[:100]}'")
    return found[0]


def _split(source: str) -> SplitResult:
    try:
        return urlsplit(source)
    except ValueError:
        raise invalid(f"Invalid model version source: '{source[:300]}'.") from None


def _is_local(source: str, parts: SplitResult) -> bool:
    return parts.scheme in ("", "file") or bool(_DRIVE.match(source)) or source.startswith("\\")


def _no_way_up(source: str, parts: SplitResult) -> None:
    decoded = source
    while (plain := unquote_plus(decoded)) != decoded:
        decoded = plain
    path = re.sub(r"/+", "/", _split(decoded).path)
    if (
        "\0" in decoded
        or "\\" in decoded
        or any(part in (".", "..") for part in [*decoded.split("/"), *path.split("/")])
    ):
        raise invalid(
            f"Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp,"
            " objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references"
            " present. Please provide an absolute path."
        )
    if parts.fragment or (parts.query and parts.scheme in ("mlflow-artifacts", "runs", "models")):
        raise invalid(f"Invalid model version source: '{source}'.")


def _local(source: str, model: bool) -> ForeignError:
    what = "model_id" if model else "run_id"
    return invalid(
        f"Invalid model version source: '{source}'. To use a local path as a model version source, the {what} request"
        " parameter has to be specified and the local path has to be contained within the artifact directory of the run"
        f" specified by the {what}."
    )


def _not_of(source: str, what: str) -> ForeignError:
    return invalid(
        f"Invalid model version source: '{source}'. The {what} request parameter must identify the resource that"
        " contains the source."
    )
