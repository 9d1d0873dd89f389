"""Verb: one request as the prediction log has it, with everything that was answered to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from homeostat.core.errors import NotFound
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version
from homeostat.serving import store
from homeostat.serving.model import FAILED_NODE, MEMBERS, NODE_TIME, ROLES, LoggedAnswer
from homeostat.serving.spool import read_spool, spool_files

if TYPE_CHECKING:
    import polars as pl

_MOST_ROWS = 200
# A request's shadows are logged a moment after it: perhaps in the segment before or after the one it is found in.
_BESIDE = 1


@verb(permission="serving:read")
def logged_request(ws: Workspace, model: str, request_id: str) -> list[LoggedAnswer]:
    """What was asked by `request_id` and answered by every version, shadows included: at most 200 rows.

    Inputs that the deployment keeps out of the log are missing.

    Raises: NotFound when the log has no such request.
    """
    from homeostat.serving.log_frame import newest

    frames = [*_spooled(ws, model, request_id), *_folded(ws, model, request_id)]
    frame = newest(frames, ROLES).sort("row", "route", "version").head(_MOST_ROWS)
    if not frame.height:
        raise NotFound(
            f"the prediction log of '{model[:128]}' has no request '{request_id[:128]}'",
            hint="requests are logged by the deployment's log_share, and kept for HOMEOSTAT_KEEP_PREDICTIONS_DAYS",
        )
    outputs = _outputs(ws, model, sorted(set(frame["version"].to_list())))
    return [_told(row, outputs) for row in frame.to_dicts()]


def _outputs(ws: Workspace, model: str, versions: list[int]) -> set[str]:
    from homeostat.serving.log_frame import column_name

    found: set[str] = set()
    for version in versions:
        try:
            told = get_version(ws, model, version)
            found |= {column_name(field.name) for field in told.signature.outputs}
            if told.flavor == "graph":
                found.add(MEMBERS)
        except NotFound:  # deleted since: its columns are then told among the inputs
            continue
    return found


def _told(row: dict[str, Any], outputs: set[str]) -> LoggedAnswer:
    from homeostat.serving.log_frame import SCHEMA

    values = {name: value for name, value in row.items() if name not in SCHEMA and value is not None}
    outputs = outputs | {name for name in values if name == FAILED_NODE or name.startswith(NODE_TIME)}
    return LoggedAnswer(
        request_id=row["request_id"], row=row["row"], key=row["key"], time_ms=row["time_ms"],
        logged_ms=row["logged_ms"], version=row["version"], route=row["route"], latency_ms=row["latency_us"] / 1000,
        status=row["status"], outputs={name: value for name, value in values.items() if name in outputs},
        inputs={name: value for name, value in values.items() if name not in outputs},
    )  # fmt: skip


def _spooled(ws: Workspace, model: str, request_id: str) -> list[pl.DataFrame]:
    import polars as pl

    from homeostat.serving.log_frame import to_frame

    found: list[pl.DataFrame] = []
    for path in spool_files(ws.home):
        try:
            batches = [batch for batch in read_spool(path) if batch.model == model and request_id in batch.ids]
        except FileNotFoundError:
            continue  # folded while we looked
        found += [to_frame(batch, None, None, None).filter(pl.col("request_id") == request_id) for batch in batches]
    return found


def _folded(ws: Workspace, model: str, request_id: str) -> list[pl.DataFrame]:
    """From the newest segment back, until a little beyond the one that has it."""
    import polars as pl

    query = sa.select(store.segment.c.digest).where(store.segment.c.model == model).order_by(store.segment.c.id.desc())
    found: list[pl.DataFrame] = []
    further = _BESIDE
    for digest in ws.db.read(lambda c: list(c.execute(query).scalars())):
        frame = pl.scan_parquet(ws.blobs.local_path(digest)).filter(pl.col("request_id") == request_id).collect()
        if frame.height:
            found.append(frame)
        elif found:
            if not further:
                break
            further -= 1
    return found
