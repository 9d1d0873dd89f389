"""Artifacts by the path that MLflow's artifact service has for them, of runs and of everything else.

`EXPERIMENT/RUN/artifacts/…` are the files of a run, the same that `tracking.list_artifacts` lists, whatever lies before
the run's id. Anything else (`EXPERIMENT/models/MODEL/artifacts/…`, the data of traces) is kept below its root.
"""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.blobs import File
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.records import Record
from homeostat.core.slices import FOLDERS
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.artifact_paths import Place, check_path
from homeostat.tracking.model import Artifact

_FOLDER = "artifacts"

# Written out, as every upload and every registration asks them.
_HAS = sa.text("select 1 from tracking_run where id = :run")
_OF_RUN = sa.text(
    "select path, digest, size, at_ms from tracking_artifact"
    " where run_seq = (select seq from tracking_run where id = :run) order by path"
)
# A row without a path where the run has no file.
_IN_RUN = (
    "select path, digest, size from tracking_run left join tracking_artifact on run_seq = seq where id = ?"
    " order by path"
)
_OF_ROOT = sa.text("select path, digest, size, at_ms from tracking_file where root = :root order by path")


class Entry(Record):
    """What a folder holds directly: a file, or a folder (whose size is None)."""

    path: str
    is_dir: bool
    size: int | None = None


def place_of(ws: Workspace, path: str) -> Place:
    """Where `path` of the artifact service lies. Raises: InvalidInput."""
    checked = check_path(path, empty=True)
    parts = checked.split("/") if checked else []
    runs = [part for part, following in pairwise(parts) if following == _FOLDER]
    if not runs:
        return Place(path=checked)

    def known(connection: sa.Connection) -> set[str]:
        return {run for run in dict.fromkeys(runs) if connection.execute(_HAS, {"run": run}).first() is not None}

    found = ws.db.read(known)
    first = parts.index(_FOLDER, 1)
    for at, part in enumerate(parts[:-1]):
        if part in found and parts[at + 1] == _FOLDER:
            return Place(run_id=part, path="/".join(parts[at + 2 :]))
    return Place(root="/".join(parts[: first + 1]), path="/".join(parts[first + 1 :]))


def put(ws: Workspace, place: Place, file: File) -> None:
    """Keep the content `file` at `place`; what was there is replaced.

    Raises: NotFound; InvalidInput where a folder lies, or below a file: one of the two could not be downloaded.
    """
    if not place.path:
        raise InvalidInput("Invalid path: a file needs a name", hint="name a file below the folder")
    if _of_others(ws, place) is not None:
        raise InvalidInput(f"Invalid path: nothing can be put below '{place.path.partition('/')[0]}'")

    def write(connection: sa.Connection) -> None:
        table, owner = _table(connection, place)
        if (other := _in_the_way(connection, place.path, table, owner)) is not None:
            what = "a folder" if len(other) > len(place.path) else f"below the file '{other}'"
            raise InvalidInput(f"Invalid path: '{place.path}' is {what}", hint="choose another name")
        row = {**owner, "path": place.path, "digest": file.digest, "size": file.size, "at_ms": now_ms()}
        store.upsert(connection, table, [row], [*owner, "path"])

    ws.db.write(write)


def find(ws: Workspace, place: Place) -> Artifact:
    """The file at `place`. Raises: NotFound; InvalidInput for a folder."""

    if (others := _of_others(ws, place)) is not None:
        kept = others.get(place.path)
        if kept is None:
            raise NotFound(f"No such artifact: '{place.path}'")
        return Artifact(path=place.path, digest=kept.digest, size=kept.size, at_ms=0)

    def read(connection: sa.Connection) -> Artifact:
        table, owner = _table(connection, place)
        row = connection.execute(sa.select(table).where(*_is(table, owner), table.c.path == place.path)).one_or_none()
        if row is not None:
            return Artifact(path=row.path, digest=row.digest, size=row.size, at_ms=row.at_ms)
        if _below(connection, place):
            raise InvalidInput(f"Artifact path refers to a directory, not a file: '{place.path}'")
        raise NotFound(f"No such artifact: '{place.path or place.root}'")

    return ws.db.read(read)


def entries(ws: Workspace, place: Place) -> list[Entry]:
    """What the folder at `place` holds directly, by path; nothing for a file or for what is not there."""
    others = _of_others(ws, place)
    if others is None:
        rows = ws.db.read(lambda connection: _below(connection, place))
    else:
        rows = [(path, file.size) for path, file in others.items() if path.startswith(f"{place.path}/")]
    folders: dict[str, Entry] = {}
    skip = len(place.path) + 1 if place.path else 0
    for path, size in rows:
        name, slash, _ = path[skip:].partition("/")
        full = path[:skip] + name
        folders.setdefault(full, Entry(path=full, is_dir=True) if slash else Entry(path=full, is_dir=False, size=size))
    return [folders[path] for path in sorted(folders)]


def files_below(ws: Workspace, path: str) -> list[Artifact]:
    """Every file below the folder `path` of the artifact service, by its path from there. Raises: InvalidInput."""
    place = place_of(ws, path)
    prefix = f"{place.path}/" if place.path else ""

    def read(connection: sa.Connection) -> list[Artifact]:
        of = (_OF_RUN, {"run": place.run_id}) if place.run_id is not None else (_OF_ROOT, {"root": place.root})
        rows = connection.execute(*of).all()
        return [
            Artifact(path=row.path.removeprefix(prefix), digest=row.digest, size=row.size, at_ms=row.at_ms)
            for row in rows
            if row.path.startswith(prefix)
        ]

    return ws.db.read(read)


def files_in_run(ws: Workspace, run_id: str, path: str) -> dict[str, File] | None:
    """Every file below the folder `path` of a run, by its path from there; None when there is no such run."""
    prefix = f"{checked}/" if (checked := check_path(path, empty=True)) else ""
    found = ws.db.look(lambda c: statements.rows(c, _IN_RUN, (run_id,)))
    return {
        name.removeprefix(prefix): File(digest=digest, size=size)
        for name, digest, size in found
        if name is not None and name.startswith(prefix)
    } if found else None  # fmt: skip


def remove(ws: Workspace, place: Place) -> int:
    """Forget the file at `place`, or all below the folder; how many they were. Bytes go when nothing names them."""

    def write(connection: sa.Connection) -> int:
        below = [path for path, _ in _below(connection, place)]
        if place.run_id is None and not place.root:
            return sum(_forget(connection, place_at(path), None) for path in [*below, place.path])
        return _forget(connection, place, below)

    return ws.db.write(write)


def place_at(path: str) -> Place:
    """The place outside of runs that a checked path names."""
    parts = path.split("/")
    if _FOLDER not in parts[1:]:
        return Place(path=path)
    first = parts.index(_FOLDER, 1)
    return Place(root="/".join(parts[: first + 1]), path="/".join(parts[first + 1 :]))


def _forget(connection: sa.Connection, place: Place, below: list[str] | None) -> int:
    table, owner = _table(connection, place)
    paths = [place.path, *(below or [])]
    gone = 0
    for at in range(0, len(paths), 500):
        gone += connection.execute(
            sa.delete(table).where(*_is(table, owner), table.c.path.in_(paths[at : at + 500]))
        ).rowcount
    return gone


def _of_others(ws: Workspace, place: Place) -> dict[str, File] | None:
    """The files near `place` by path, where another slice fills that folder (`FOLDERS`); else None."""
    first, _, rest = place.path.partition("/")
    if place.run_id is not None or place.root or first not in FOLDERS:
        return None
    module, _, name = FOLDERS[first].partition(":")
    try:
        found: dict[str, File] = getattr(import_module(module), name)(ws, rest)
    except NotFound:
        return {}
    return {f"{first}/{path}": file for path, file in found.items()}


def _table(connection: sa.Connection, place: Place) -> tuple[sa.Table, dict[str, Any]]:
    if place.run_id is not None:
        return store.artifact, {"run_seq": store.seq_of(connection, place.run_id)}
    return store.file, {"root": place.root}


def _is(table: sa.Table, owner: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in owner.items()]


def _in_the_way(connection: sa.Connection, path: str, table: sa.Table, owner: dict[str, Any]) -> str | None:
    """A file that cannot lie beside one at `path`: at one of its folders, or below it."""
    above = [path[:at] for at, char in enumerate(path) if char == "/"]
    # SQLite compares bytes, and so finds the range in its index; PostgreSQL may sort in any order.
    below = (
        (table.c.path > f"{path}/") & (table.c.path < f"{path}0")
        if connection.dialect.name == "sqlite"
        else table.c.path.startswith(f"{path}/", autoescape=True)
    )
    query = sa.select(table.c.path).where(*_is(table, owner), below | table.c.path.in_(above)).limit(1)
    return connection.execute(query).scalar_one_or_none()


def _below(connection: sa.Connection, place: Place) -> list[tuple[str, int]]:
    """Path and size of every file below the folder at `place`, as they read from its root."""
    table, owner = _table(connection, place)
    if place.run_id is None and not place.root:
        return _everywhere(connection, place.path)
    query = sa.select(table.c.path, table.c.size).where(*_is(table, owner))
    prefix = f"{place.path}/" if place.path else ""
    return [(row.path, row.size) for row in connection.execute(query) if row.path.startswith(prefix)]


def _everywhere(connection: sa.Connection, path: str) -> list[tuple[str, int]]:
    # A folder above the roots, which clients open rarely: "0", or "0/models".
    table = store.file
    prefix = f"{path}/" if path else ""
    query = sa.select(table.c.root, table.c.path, table.c.size)
    if prefix:
        near = (table.c.root.startswith(prefix, autoescape=True)) | (table.c.root == "")
        query = query.where(near)
    rows = ((f"{row.root}/{row.path}" if row.root else row.path, row.size) for row in connection.execute(query))
    return [(full, size) for full, size in rows if full.startswith(prefix)]
