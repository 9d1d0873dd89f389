"""What `homeostat doctor` asks of the registry: are the packages of every version there?"""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.doctor import Finding
from homeostat.core.records import from_json
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.model import ModelVersion


def examine(ws: Workspace, full: bool) -> list[Finding]:
    """Look up the bytes that each version of each model names."""
    query = sa.select(store.version.c.record).order_by(store.version.c.model, store.version.c.version)
    versions = [from_json(text, ModelVersion) for text in ws.db.read(lambda c: c.execute(query).scalars().all())]
    findings: list[Finding] = []
    for version in versions:
        lacking = [name for name, digest in version.files.items() if not ws.blobs.exists(digest)]
        if lacking or (version.digest and not ws.blobs.exists(version.digest)):
            what = ", ".join(lacking[:5]) or "its list of files"
            findings.append(
                Finding(
                    check="models",
                    state="bad",
                    message=f"model '{version.model}' version {version.version} lacks {what}",
                    hint="put it back from a backup, or register the model again",
                )
            )
    return findings or [Finding(check="models", state="ok", message=f"{len(versions)} versions have their packages")]
