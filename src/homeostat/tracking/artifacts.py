"""Files kept with a run. Their bytes lie in the content-addressed store: the same file twice costs its bytes once."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from homeostat.core.blobs import File
from homeostat.core.clock import now_ms
from homeostat.core.errors import NotFound
from homeostat.core.paths import inside
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.model import Artifact

_PIECE = 4 << 20


@verb(permission="tracking:write")
def log_artifact(ws: Workspace, id: str, path: str, data: bytes) -> Artifact:
    """Keep `data` as `path` (with `/` between folders) of a run; what was there under that path is replaced."""
    _check(ws, id, path)
    return _keep(ws, id, path, File(digest=ws.blobs.put_bytes(data), size=len(data)))


def copy_artifact(ws: Workspace, id: str, path: str, source: BinaryIO) -> Artifact:
    """As `log_artifact`, from an open file: read piece by piece, so that one of any size passes through."""
    _check(ws, id, path)
    incoming = ws.blobs.receive()
    try:
        while piece := source.read(_PIECE):
            incoming.write(piece)
        file = incoming.keep()
    finally:
        incoming.drop()
    return _keep(ws, id, path, file)


def _check(ws: Workspace, id: str, path: str) -> None:
    inside(Path("/"), path)
    ws.db.read(lambda c: store.seq_of(c, id))


def _keep(ws: Workspace, id: str, path: str, file: File) -> Artifact:
    kept = Artifact(path=path, digest=file.digest, size=file.size, at_ms=now_ms())

    def put(c: sa.Connection) -> None:
        row = {"run_seq": store.seq_of(c, id), "path": path, "digest": kept.digest, "size": kept.size}
        store.upsert(c, store.artifact, [{**row, "at_ms": kept.at_ms}], ["run_seq", "path"])

    ws.db.write(put)
    return kept


@verb(permission="tracking:read")
def list_artifacts(ws: Workspace, id: str) -> list[Artifact]:
    """The files of a run, by path."""

    def read(c: sa.Connection) -> list[Artifact]:
        table = store.artifact
        query = sa.select(table).where(table.c.run_seq == store.seq_of(c, id)).order_by(table.c.path)
        return [Artifact(path=r.path, digest=r.digest, size=r.size, at_ms=r.at_ms) for r in c.execute(query)]

    return ws.db.read(read)


@verb(permission="tracking:read")
def read_artifact(ws: Workspace, id: str, path: str) -> bytes:
    """The bytes of one file of a run. Raises NotFound."""
    digest = ws.db.read(
        lambda c: c.execute(
            sa.select(store.artifact.c.digest).where(
                store.artifact.c.run_seq == store.seq_of(c, id), store.artifact.c.path == path
            )
        ).scalar_one_or_none()
    )
    if digest is None:
        raise NotFound(
            f"run {id} has no artifact '{path[:200]}'", hint=f"`homeostat tracking list-artifacts {id}` lists them"
        )
    return ws.blobs.get_bytes(digest)
