"""The verbs on file trees: folders of any files, versioned as a whole and kept as content-addressed bytes."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from homeostat.core.clock import now_ms
from homeostat.core.context import current_run
from homeostat.core.errors import Conflict, InvalidInput, NotFound
from homeostat.core.events import publish
from homeostat.core.lineage_facts import record_read, record_write
from homeostat.core.paths import check_name
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.data.model import TreeSummary, TreeVersion, TreeWritten
from homeostat.data.store import trees

_ROUNDS = 100


@verb(permission="data:admin")
def write_tree(ws: Workspace, name: str, folder: str, message: str = "", once: str | None = None) -> TreeVersion:
    """Keep every file below a folder as the next version of a tree.

    The folder lies on the machine of the workspace. One that equals the newest version gives that version;
    so does `once`, a name for this write, the second time.

    Raises: NotFound for a missing folder, InvalidInput for one with links or names that cannot be kept.
    """
    check_name(name, "tree name")
    if once is not None:
        where = (trees.c.name == name, trees.c.once == once)
        row = ws.db.read(lambda c: c.execute(sa.select(trees.c.version).where(*where)).first())
        if row is not None:
            return _get(ws, name, row.version)
    if not Path(folder).is_dir():
        raise NotFound(f"there is no folder {folder}", hint="check the path", path=folder)
    tree = ws.blobs.put_tree(folder)
    for _ in range(_ROUNDS):
        newest = ws.db.read(lambda c: c.execute(_rows(name)).first())
        if newest is not None and newest.digest == tree.digest:
            return _get(ws, name, newest.version)
        version = newest.version + 1 if newest is not None else 1

        def add(connection: sa.Connection, version: int = version) -> None:
            connection.execute(
                sa.insert(trees).values(
                    name=name, version=version, digest=tree.digest, files=len(tree.files), bytes=tree.size,
                    message=message, run_id=current_run(), once=once, created_ms=now_ms(),
                )
            )  # fmt: skip
            publish(ws, connection, TreeWritten(tree=name, version=version))
            record_write(ws, "tree", name, version, connection)

        try:
            ws.db.write(add)
        except IntegrityError:
            continue  # another writer took the number: look again
        return _get(ws, name, version)
    raise Conflict(f"tree '{name}' kept changing while it was written", hint="write again")


@verb(permission="data:read")
def read_tree(ws: Workspace, name: str, version: int | None = None) -> TreeVersion:
    """The files of a tree's version: paths, digests and sizes.

    The newest version by default. Inside a run, the version becomes part of the run's lineage.
    """
    found = _get(ws, name, version)
    record_read(ws, "tree", name, found.version)
    return found


@verb(permission="data:read")
def read_tree_file(ws: Workspace, name: str, path: str, version: int | None = None) -> bytes:
    """The content of one file of a tree.

    Raises: NotFound for a path that the version does not hold.
    """
    found = read_tree(ws, name, version)
    if path not in found.files:
        raise NotFound(f"version {found.version} of tree '{name}' has no file {path[:200]!r}", hint="see read_tree")
    return ws.blobs.get_bytes(found.files[path].digest)


def fetch_tree(ws: Workspace, name: str, destination: str | Path, version: int | None = None) -> Path:
    """Write a tree's files below a local folder, which is made; the folder. Each is checked against its digest."""
    return ws.blobs.materialise_tree(read_tree(ws, name, version).digest, destination)


@verb(permission="data:read")
def list_trees(ws: Workspace) -> list[TreeSummary]:
    """The file trees, the one written last first."""
    newest = sa.select(trees.c.name, sa.func.max(trees.c.version).label("version")).group_by(trees.c.name).subquery()
    at_head = (trees.c.name == newest.c.name) & (trees.c.version == newest.c.version)
    query = sa.select(trees).join(newest, at_head).order_by(trees.c.created_ms.desc(), trees.c.name)
    return [
        TreeSummary(
            name=row.name, version=row.version, digest=row.digest, files=row.files, bytes=row.bytes,
            updated_ms=row.created_ms,
        )
        for row in ws.db.read(lambda connection: connection.execute(query).all())
    ]  # fmt: skip


def _rows(name: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(trees).where(trees.c.name == name).order_by(trees.c.version.desc()).limit(1)


def _get(ws: Workspace, name: str, version: int | None) -> TreeVersion:
    query = _rows(name) if version is None else _rows(name).where(trees.c.version == version)
    row = ws.db.read(lambda connection: connection.execute(query).first())
    if row is None:
        if version is not None and version < 1:
            raise InvalidInput(f"{version} is not a version; versions count from 1")
        known = ", ".join(tree.name for tree in list_trees(ws)[:10]) or "none yet"
        which = f"tree '{name}'" if version is None else f"version {version} of tree '{name}'"
        raise NotFound(f"there is no {which}", hint=f"trees here: {known}", tree=name)
    return TreeVersion(
        tree=name, version=row.version, digest=row.digest, files=ws.blobs.get_tree(row.digest).files, bytes=row.bytes,
        message=row.message, run_id=row.run_id, created_ms=row.created_ms,
    )  # fmt: skip
