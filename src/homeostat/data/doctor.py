"""What `homeostat doctor` asks of the data slice: are the files of every table's versions there, and as written?"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import sqlalchemy as sa

from homeostat.core.blobs import digest_of_file
from homeostat.core.doctor import Finding
from homeostat.core.errors import HomeostatError
from homeostat.core.workspace import Workspace
from homeostat.data import store

_SHOWN = 10


def examine(ws: Workspace, full: bool) -> list[Finding]:
    """Compare the tables' folders and the trees with the database; `full` reads every file."""
    return [*_tables(ws, full), *_trees(ws)]


def _tables(ws: Workspace, full: bool) -> list[Finding]:
    rows = ws.db.read(lambda c: c.execute(sa.select(store.files).order_by(store.files.c.name)).all())
    known: dict[str, set[str]] = defaultdict(set)
    broken: list[str] = []
    for row in rows:
        known[row.name].add(row.file)
        wrong = _wrong(ws.home / "tables" / row.name / row.file, row.bytes, row.digest if full else None)
        if wrong:
            broken.append(f"table '{row.name}', versions from {row.added} on: {row.file} {wrong}")
    hint = "put the file back from a backup, or write the table again with mode='overwrite'"
    findings = [Finding(check="tables", state="bad", message=line, hint=hint) for line in broken[:_SHOWN]]
    if len(broken) > _SHOWN:
        findings.append(Finding(check="tables", state="bad", message=f"and {len(broken) - _SHOWN} files more"))
    stray = [
        path
        for path in sorted((ws.home / "tables").glob("*/*.parquet"))
        if path.name not in known.get(path.parent.name, set())
    ]
    if stray:
        findings.append(
            Finding(
                check="tables",
                state="warn",
                message=f"{len(stray)} files belong to no version, such as {stray[0]}",
                hint="left by writes that were cut off; while nothing writes they may be deleted",
            )
        )
    whole = f"{len(rows)} files of {len(known)} tables are there" + (", each as written" if full else "")
    return findings or [Finding(check="tables", state="ok", message=whole)]


def _wrong(path: Path, size: int, digest: str | None) -> str:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes instead of {size}"
    if digest is not None and digest_of_file(path) != digest:
        return "is damaged"
    return ""


def _trees(ws: Workspace) -> list[Finding]:
    rows = ws.db.read(lambda c: c.execute(sa.select(store.trees)).all())
    findings: list[Finding] = []
    for row in rows:
        try:
            lacking = sum(not ws.blobs.exists(file.digest) for file in ws.blobs.get_tree(row.digest).files.values())
            message = f"tree '{row.name}' version {row.version} lacks {lacking} files" if lacking else ""
        except HomeostatError as error:
            message = f"tree '{row.name}' version {row.version}: {error.message}"
        if message:
            findings.append(Finding(check="trees", state="bad", message=message, hint="put it back from a backup"))
    return findings or [Finding(check="trees", state="ok", message=f"{len(rows)} versions are whole")]
