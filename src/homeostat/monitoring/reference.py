"""The profile a model's inputs are compared with: of its training rows, or of the first weeks of its own log."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.monitoring import store
from homeostat.monitoring.joined import DAY_MS
from homeostat.monitoring.model import TrainingTable
from homeostat.monitoring.profile import Profile, profile
from homeostat.monitoring.training import training_rows
from homeostat.registry import ModelVersion, get_version
from homeostat.serving import predictions

FIRST_DAYS = 28


class Reference(NamedTuple):
    """A profile, in words what it is of, and its rows."""

    profile: Profile
    words: str
    rows: int


def reference_of(
    ws: Workspace, model: str, version: int, before_ms: int, training: TrainingTable | None = None
) -> Reference | None:
    """The reference profile of a version's inputs, made once and kept.

    Of `training` where it holds the version's columns: the rows the version says it learnt from (its parameters
    `since_ms` and `until_ms`). Else of the version's first four weeks of predictions, if they end before `before_ms`.
    None while there is neither.
    """
    kept = ws.db.read(lambda c: store.read_profile(c, model, version))
    if kept is not None:
        return Reference(from_json(ws.blobs.get_bytes(kept.digest), Profile), kept.words, kept.rows)
    found = get_version(ws, model, version)
    names = [field.name for field in found.signature.inputs]
    made = _of_training(ws, found, names, training) or _of_log(ws, model, version, names, before_ms)
    if made is not None:
        digest = ws.blobs.put_bytes(to_json(made.profile).encode())
        row = {"model": model, "version": version, "digest": digest, "words": made.words, "rows": made.rows}
        ws.db.write(lambda c: store.keep_profile(c, row))
    return made


def _of_training(
    ws: Workspace, found: ModelVersion, names: list[str], training: TrainingTable | None
) -> Reference | None:
    if training is None:
        return None
    until = fitted_until(found)
    rows = training_rows(ws, training, names, int(found.params.get("since_ms", 0)), until)
    if rows is None or rows.height < 100:
        return None
    made = profile(rows, rows["time_ms"].to_numpy(), names, DAY_MS)
    return Reference(
        made, f"the {rows.height:,} rows of {training.table} that v{found.version} learnt from", rows.height
    )


def _of_log(ws: Workspace, model: str, version: int, names: list[str], before_ms: int) -> Reference | None:
    log: pl.DataFrame = predictions(ws, model, None, before_ms, names)  # pyright: ignore[reportAssignmentType]
    log = log.filter((pl.col("version") == version) & (pl.col("status") == 200))
    if log.height < 100:
        return None
    first = int(log["time_ms"].min()) // DAY_MS * DAY_MS  # pyright: ignore[reportArgumentType]
    if first + FIRST_DAYS * DAY_MS > before_ms:
        return None
    log = log.filter(pl.col("time_ms") < first + FIRST_DAYS * DAY_MS)
    made = profile(log, log["time_ms"].to_numpy(), [n for n in names if n in log.columns], DAY_MS)
    return Reference(made, f"the first {FIRST_DAYS} days of v{version}'s predictions", log.height)


def fitted_until(found: ModelVersion) -> int | None:
    """The moment (ms) up to which a version had seen the truth, as its parameters or tags say; None if they do not."""
    text = found.params.get("until_ms") or found.tags.get("until_ms") or found.tags.get("fitted_until_ms")
    return int(text) if text and text.isdigit() else None
