"""A workspace in one file, taken while it runs; and a workspace made from that file.

The file is a plain tar: `database/TABLE` (rows as MessagePack, so a backup moves between SQLite and PostgreSQL),
`blobs/DIGEST`, `files/PATH`, and at the end `manifest.json` with the digest of everything before it. A file that was
cut off has no manifest and is refused before anything is written.

A backup is a moment of the workspace: the rows are one snapshot of the database, and files are never changed once a
row names them. What is appended to instead (the spool of predictions) is copied before the snapshot; its rows carry
their identity, so those that are in both count once.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import blake3
import msgspec
import sqlalchemy as sa

from homeostat.core import gc, version
from homeostat.core.clock import now_ms
from homeostat.core.db import Database
from homeostat.core.errors import AlreadyExists, Corrupt, NotFound, Refused, StorageFull, Unavailable
from homeostat.core.leases import table as leases
from homeostat.core.paths import inside
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.schema import VERSION, all_tables, stored_version, version_table
from homeostat.core.slices import APPENDED_FILES, KEPT_FILES
from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace

FORMAT = 1
MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_ROWS = 1000


class Member(Record):
    """One thing in a backup: the digest of its bytes and how many they are."""

    digest: str
    size: int


class Manifest(Record):
    """What a backup holds: `columns` of each database table, `members` by their name in the file."""

    format: int
    homeostat: str
    schema: str
    created_ms: int
    columns: dict[str, list[str]]
    rows: int
    members: dict[str, Member]

    @property
    def size(self) -> int:
        """Bytes of all members together."""
        return sum(member.size for member in self.members.values())


def backup(ws: Workspace, destination: str | os.PathLike[str]) -> Manifest:
    """Copy the workspace to the file `destination`, which appears whole or not at all. Writers go on meanwhile.

    Raises: AlreadyExists when the file is there; Corrupt when bytes in the workspace are damaged; StorageFull.
    """
    target = Path(destination).absolute()
    if target.exists():
        raise AlreadyExists(f"{destination} is already there", hint="name another file", path=str(destination))
    part = target.with_name(target.name + ".part")
    try:
        with (
            gc.none_meanwhile(ws),
            part.open("wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            manifest = _write(ws, tar, part.parent)
            tar.close()
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except FileNotFoundError as error:
        raise NotFound(f"the folder {target.parent} is not there", hint="make it, or name another") from error
    except OSError as error:
        kind = StorageFull if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else Unavailable
        raise kind(f"{part} cannot be written: {error.strerror}", hint="write it somewhere else") from error
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _write(ws: Workspace, tar: tarfile.TarFile, scratch: Path) -> Manifest:
    members: dict[str, Member] = {}
    _add_files(ws.home, APPENDED_FILES, tar, members)
    columns: dict[str, list[str]] = {}
    rows = 0

    def dump(connection: sa.Connection) -> None:
        nonlocal rows
        for table in all_tables().sorted_tables:
            if table is version_table or table.info.get("derived"):
                continue
            columns[str(table.name)] = [str(column.name) for column in table.columns]
            with tempfile.TemporaryFile(dir=scratch) as spool:
                rows += _dump(connection, table, spool)
                spool.seek(0)
                members[f"database/{table.name}"] = _add(tar, f"database/{table.name}", spool)

    ws.db.read(dump)
    _add_files(ws.home, KEPT_FILES, tar, members)
    for digest in ws.blobs.digests():
        with ws.blobs.local_path(digest).open("rb") as source:
            members[f"blobs/{digest}"] = added = _add(tar, f"blobs/{digest}", source)
        if added.digest != digest:
            raise Corrupt(
                f"the bytes kept as {digest[:12]}… are damaged, so there is no whole backup",
                hint="`homeostat doctor --full` lists what is damaged",
                digest=digest,
            )
    manifest = Manifest(
        format=FORMAT,
        homeostat=version.VERSION,
        schema=VERSION,
        created_ms=now_ms(),
        columns=columns,
        rows=rows,
        members=members,
    )
    _add(tar, MANIFEST, io.BytesIO(to_json(manifest).encode()))
    return manifest


def _dump(connection: sa.Connection, table: sa.Table, out: IO[bytes]) -> int:
    """Write the rows as length-prefixed MessagePack arrays of up to `_ROWS` rows; the number of rows."""
    count = 0
    query = sa.select(table).order_by(*table.primary_key.columns)
    if table is leases:  # who holds this very backup is not there where it is restored
        query = query.where(~leases.c.name.startswith(gc.BACKUP))
    result = connection.execution_options(yield_per=_ROWS).execute(query)
    for chunk in result.partitions(_ROWS):
        packed = msgspec.msgpack.encode([list(row) for row in chunk])
        out.write(len(packed).to_bytes(4, "big") + packed)
        count += len(chunk)
    return count


def _add_files(home: Path, patterns: tuple[str, ...], tar: tarfile.TarFile, members: dict[str, Member]) -> None:
    for pattern in patterns:
        for path in sorted(home.glob(pattern)):
            if not path.is_file() or path.is_symlink():
                continue
            name = f"files/{path.relative_to(home).as_posix()}"
            try:
                with path.open("rb") as source:
                    members[name] = _add(tar, name, source)
            except FileNotFoundError:
                continue  # folded away since it was listed: its rows are in the database


def _add(tar: tarfile.TarFile, name: str, source: IO[bytes]) -> Member:
    """Copy `source` into the tar as it is now; bytes appended meanwhile are left out."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    entry = tarfile.TarInfo(name)
    entry.size = size
    reader = _Hashing(source)
    tar.addfile(entry, reader)  # pyright: ignore[reportArgumentType]  # it only reads
    return Member(digest=reader.hasher.hexdigest(), size=size)


class _Hashing:
    """A reader that hashes what passes through it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.hasher = blake3.blake3()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.hasher.update(data)
        return data


def verify(source: str | os.PathLike[str]) -> Manifest:
    """The manifest of a backup, after every byte in it was compared with its digest.

    Raises: NotFound when there is no such file; Corrupt when it is cut off, damaged or something else;
    Unavailable when a newer Homeostat wrote it.
    """
    found: dict[str, Member] = {}
    manifest = None
    with _telling(source):
        for name, reader in _members(source):
            if name == MANIFEST:
                manifest = _manifest(source, reader.read())
                continue
            hasher, size = blake3.blake3(), 0
            while chunk := reader.read(_CHUNK):
                hasher.update(chunk)
                size += len(chunk)
            found[name] = Member(digest=hasher.hexdigest(), size=size)
    if manifest is None:
        raise _broken(source, "it is cut off")
    for name in sorted(found.keys() | manifest.members.keys()):
        if found.get(name) != manifest.members.get(name):
            raise _broken(source, f"{name} is not as it was written")
    return manifest


def _members(source: str | os.PathLike[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(source, "r:") as tar:
        for entry in tar:
            reader = tar.extractfile(entry) if entry.isreg() else None
            if reader is None:
                raise _broken(source, f"{entry.name[:200]!r} is not a file")
            yield entry.name, reader


@contextmanager
def _telling(source: str | os.PathLike[str]) -> Generator[None]:
    """What tarfile complains about inside the block, in our words."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"there is no file {source}") from None
    except IsADirectoryError:
        raise NotFound(f"{source} is a folder, not a backup") from None
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise _broken(source, f"it is cut off or not a backup ({error})") from error


def _manifest(source: str | os.PathLike[str], text: bytes) -> Manifest:
    told = from_json(text, dict[str, Any])
    if told.get("format") != FORMAT or told.get("schema") != VERSION:
        raise Unavailable(
            f"{source} was written by Homeostat {told.get('homeostat')} (schema {told.get('schema')}), "
            f"this one is {version.VERSION} (schema {VERSION})",
            hint=f"restore it with `pip install homeostat=={told.get('homeostat')}`, then upgrade",
        )
    return msgspec.convert(told, Manifest)


def _broken(source: str | os.PathLike[str], why: str) -> Corrupt:
    return Corrupt(
        f"{source} cannot be restored: {why}", hint="nothing was written; use another backup", path=str(source)
    )


def restore(source: str | os.PathLike[str], target: str) -> Manifest:
    """Make the workspace `target` (a folder, or a `postgresql://…` address) from a backup.

    Everything is verified before anything is written, and a folder appears whole or not at all.

    Raises: as `verify`; Refused when there is something at the target already.
    """
    manifest = verify(source)
    if "://" in target:
        with open_workspace(target) as ws:
            _refuse_unless_empty(ws.home)
            _fill(ws, source, manifest)
        return manifest
    home = Path(target).expanduser().absolute()
    _refuse_unless_empty(home)
    fresh = home.with_name(f"{home.name}.restoring-{os.getpid()}")
    try:
        with open_workspace(fresh) as ws:
            _fill(ws, source, manifest)
        if home.is_dir():
            home.rmdir()
        fresh.rename(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return manifest


def _refuse_unless_empty(home: Path) -> None:
    if home.is_file() or (home.is_dir() and any(home.iterdir())):
        raise Refused(f"there is something at {home} already", hint="name a new folder with --home", home=str(home))


def _fill(ws: Workspace, source: str | os.PathLike[str], manifest: Manifest) -> None:
    _refuse_unless_unused(ws.db)

    def load(connection: sa.Connection) -> None:
        for name, reader in _members(source):  # in the order of the dump: what is referred to comes first
            kind, _, table = name.partition("/")
            if kind == "database":
                _load(connection, all_tables().tables[table], manifest.columns[table], reader)

    # Bytes first: a row that names them is then never without them.
    for name, reader in _members(source):
        kind, _, rest = name.partition("/")
        if kind == "files":
            _put_file(inside(ws.home, rest), reader)
        elif kind == "blobs":
            with tempfile.NamedTemporaryFile(dir=ws.home) as file:
                shutil.copyfileobj(reader, file, _CHUNK)
                file.flush()
                ws.blobs.put_file(file.name)
    ws.db.write(load)


def _refuse_unless_unused(db: Database) -> None:
    def rows(connection: sa.Connection) -> list[str]:
        tables = [table for table in all_tables().sorted_tables if table is not version_table]
        one = sa.select(sa.literal(1)).limit(1)
        return [table.name for table in tables if connection.execute(one.select_from(table)).first()]

    if stored_version(db) is not None and (used := db.read(rows)):
        raise Refused(f"the database is in use already ({used[0]} has rows)", hint="name an empty one with --home")


def _load(connection: sa.Connection, table: sa.Table, columns: list[str], dump: IO[bytes]) -> None:
    empty = True
    while length := dump.read(4):
        rows = msgspec.msgpack.decode(dump.read(int.from_bytes(length, "big")), type=list[list[Any]])
        connection.execute(sa.insert(table), [dict(zip(columns, row, strict=True)) for row in rows])
        empty = False
    serial = table.autoincrement_column
    if connection.dialect.name == "postgresql" and serial is not None and not empty:
        # The next number given out follows the highest that came back.
        sequence = sa.func.pg_get_serial_sequence(table.name, serial.name)
        highest = sa.select(sa.func.greatest(sa.func.max(serial), 1)).scalar_subquery()  # the first experiment is 0
        connection.execute(sa.select(sa.func.setval(sequence, highest)))


def _put_file(path: Path, reader: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(reader, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())
