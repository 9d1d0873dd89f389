"""Versions of models that lie where they are: an MLflow model among a run's files, or an address elsewhere.

Of files kept here the digests are recorded, so that the version stays what it was; of other addresses only the name.
"""

from __future__ import annotations

import re
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

import msgspec

from homeostat.core.blobs import File, digest_of
from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor, current_run
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.records import canonical_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import mlmodel
from homeostat.registry.model import ModelVersion, OnnxReport, Signature
from homeostat.registry.names import check_model_name, printable
from homeostat.registry.versions import add, texts

_RUN = re.compile(r"runs:/+([A-Za-z0-9][\w-]{0,255})/(.+)\Z")
_LOGGED = re.compile(r"models:/+(m-[A-Za-z0-9-]{1,64})/?\Z")
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_LONGEST = 4096
# What files say of a model is fixed by their digests; that it was kept is known for a while, as what nothing names yet
# must not look old to whoever collects garbage.
_MOST_KNOWN, _LATELY_S = 256, 60.0
_UNTRIED = OnnxReport(available=False, agrees=False, tolerance=0.0, reason="kept in its own form")
_UNKNOWN = Signature(inputs=[], outputs=[], tensor=None)


class _Told(NamedTuple):
    """What files say, if it can be read, and when the list of them was kept last."""

    said: mlmodel.MlModel | None
    environment: list[str]
    kept_s: float = 0.0
    readable: bool = True


_known: WeakKeyDictionary[Workspace, dict[str, _Told]] = WeakKeyDictionary()


@verb(permission="registry:write")
def register_source(
    ws: Workspace,
    model: str,
    source: str,
    run_id: str | None = None,
    model_id: str = "",
    tags: dict[str, Any] | None = None,
    description: str = "",
    run_link: str = "",
    once: str | None = None,
) -> ModelVersion:
    """Make the next version of `model` from an address: `runs:/RUN/path` of this workspace, or one elsewhere.

    Of an MLflow model among a run's files (a folder with an `MLmodel`) the flavors, the signature, the environment and
    the digest of every file are recorded. Nothing of it is loaded. Other addresses are kept as they are.

    Raises: InvalidInput for an `MLmodel` that is none, or a source of control characters or over 4,096 of any.
    """
    check_model_name(model)
    if not source or len(source) > _LONGEST or not printable(source):
        raise InvalidInput(f"{source[:200]!r} is not an address", hint="such as runs:/RUN/model or s3://bucket/model")
    match = _RUN.match(source)
    wanted = draft(
        model, source, run_id=run_id or (match[1] if match else current_run()), model_id=model_id, tags=texts(tags),
        description=description, run_link=run_link,
    )  # fmt: skip
    made = describe(ws, files_of(ws, source), wanted)
    return ws.db.write(lambda c: add(ws, c, made, once))


def draft(
    model: str,
    source: str,
    *,
    run_id: str | None,
    model_id: str,
    tags: dict[str, str],
    description: str,
    run_link: str,
) -> ModelVersion:
    """A version of an address of which nothing more is known, not yet numbered."""
    return ModelVersion(
        model=model, version=0, digest="", flavor="other", created_ms=now_ms(), signature=_UNKNOWN, onnx=_UNTRIED,
        size=0, files={}, environment=[], run_id=run_id, tags=tags, actor=current_actor(), description=description,
        source=source, run_link=run_link, model_id=model_id,
    )  # fmt: skip


def describe(ws: Workspace, files: dict[str, File], version: ModelVersion) -> ModelVersion:
    """`version` with what the files of its model say; unchanged without files. Raises: InvalidInput, NotFound."""
    if not files:
        return version
    digest = digest_of(canonical_json(files).encode())
    known = _known.setdefault(ws, {})
    if len(known) >= _MOST_KNOWN:
        known.clear()
    try:
        told = known.get(digest)
        told = told if told is not None and told.readable else _tell(ws, files)
    except (InvalidInput, NotFound):
        known[digest] = _Told(None, [], kept_s=monotonic(), readable=False)
        raise
    ws.blobs.put_bytes(canonical_json(files).encode())
    known[digest] = told._replace(kept_s=monotonic())
    return _with(version, digest, files, told)


def described(ws: Workspace, files: dict[str, File], version: ModelVersion) -> ModelVersion | None:
    """As `describe`, of files that were described moments ago, so that nothing is read or kept; None for others.

    Where nobody can read what the files say, it is `version` as it is.
    """
    if not files:
        return version
    digest = digest_of(canonical_json(files).encode())
    told = _known.get(ws, {}).get(digest)
    if told is None or monotonic() - told.kept_s > _LATELY_S:
        return None
    return _with(version, digest, files, told) if told.readable else version


def _tell(ws: Workspace, files: dict[str, File]) -> _Told:
    listed = files.get(mlmodel.FILE)
    said = None if listed is None else mlmodel.read_mlmodel(ws.blobs.get_bytes(listed.digest))
    return _Told(said, _requirements(ws, files) if said else [])


def _with(version: ModelVersion, digest: str, files: dict[str, File], told: _Told) -> ModelVersion:
    known = msgspec.structs.replace(
        version,
        digest=digest,
        files={name: file.digest for name, file in files.items()},
        size=sum(file.size for file in files.values()),
    )
    if told.said is None:
        return known
    return msgspec.structs.replace(
        known, flavor="mlflow", flavors=told.said.flavors, signature=told.said.signature,
        environment=told.environment, model_id=version.model_id or told.said.model_id,
    )  # fmt: skip


def files_of(ws: Workspace, source: str) -> dict[str, File]:
    """The files below an address of this workspace, by their path from there; none for another address."""
    from homeostat.tracking import files_below, get_logged_model, list_artifacts

    match = _RUN.match(source)
    if match is not None:
        folder = match[2].strip("/") + "/"
        found = [
            (kept.path.removeprefix(folder), kept)
            for kept in list_artifacts(ws, match[1])
            if kept.path.startswith(folder)
        ]
        return {path: File(digest=kept.digest, size=kept.size) for path, kept in found}
    logged = _LOGGED.match(source)
    path = proxied_path(get_logged_model(ws, logged[1]).artifact_location if logged else source)
    if not path:
        return {}
    return {kept.path: File(digest=kept.digest, size=kept.size) for kept in files_below(ws, "/".join(path))}


def proxied_path(source: str) -> list[str] | None:
    """The path of an address among the artifacts that this server keeps, in parts; None for another address.

    >>> proxied_path("mlflow-artifacts:/0/abc/artifacts/model"), proxied_path("s3://bucket/model")
    (['0', 'abc', 'artifacts', 'model'], None)
    """
    parts = urlsplit(source)
    path = unquote(parts.path)
    if parts.scheme == "mlflow-artifacts":
        return [part for part in path.removeprefix(_PROXY).split("/") if part]
    if parts.scheme in ("http", "https") and f"{_PROXY}/" in path:
        return [part for part in path.partition(_PROXY)[2].split("/") if part]
    return None


def _requirements(ws: Workspace, files: dict[str, File]) -> list[str]:
    listed = files.get("requirements.txt")
    if listed is None or listed.size > 1 << 16:
        return []
    lines = ws.blobs.get_bytes(listed.digest).decode(errors="replace").splitlines()
    return sorted(line.strip() for line in lines if line.strip() and not line.startswith(("#", "-")))
