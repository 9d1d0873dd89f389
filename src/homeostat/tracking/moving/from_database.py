"""The database of an MLflow server, when it is a SQLite file: opened for reading only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from homeostat.core.errors import InvalidInput
from homeostat.tracking.moving import artifact_paths
from homeostat.tracking.moving.records import MovedExperiment, MovedModel, MovedRun, MovedVersion, Point

_NEEDED = {"experiments", "runs", "metrics", "params", "tags", "model_versions"}


class DatabaseSource:
    """Reads the file `path`. Raises InvalidInput when it is no database of MLflow's."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InvalidInput(
                f"there is no file {path}", hint="sqlite:///relative.db or sqlite:////absolute/mlflow.db"
            )
        self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        self._db.row_factory = sqlite3.Row
        try:
            there = {row[0] for row in self._db.execute("select name from sqlite_master where type = 'table'")}
        except sqlite3.DatabaseError as error:
            raise InvalidInput(f"{path} is no database: {error}") from error
        if not there >= _NEEDED:
            missing = ", ".join(sorted(_NEEDED - there))
            raise InvalidInput(f"{path} is no database of MLflow's: it lacks {missing}")
        self._tables = there

    def experiments(self) -> Iterator[MovedExperiment]:
        for row in self._all("select * from experiments order by experiment_id"):
            identity = row["experiment_id"]
            yield MovedExperiment(
                id=str(identity), name=row["name"], lifecycle=row["lifecycle_stage"] or "active",
                tags=self._pairs("select key, value from experiment_tags where experiment_id = ?", identity),
                created_ms=row["creation_time"] or 0,
            )  # fmt: skip

    def runs(self, experiment: str) -> Iterator[MovedRun]:
        query = "select * from runs where experiment_id = ? order by start_time, run_uuid"
        for row in self._all(query, int(experiment)):
            run = row["run_uuid"]
            tags = self._pairs("select key, value from tags where run_uuid = ?", run)
            keys = self._all("select distinct key from metrics where run_uuid = ? order by key", run)
            yield MovedRun(
                id=run, experiment=experiment, name=tags.get("mlflow.runName") or row["name"] or "",
                status=row["status"] or "FINISHED", start_ms=row["start_time"] or 0, end_ms=row["end_time"],
                user=row["user_id"] or "", lifecycle=row["lifecycle_stage"] or "active",
                params=self._pairs("select key, value from params where run_uuid = ?", run), tags=tags,
                keys=[key["key"] for key in keys], files=row["artifact_uri"] or "",
            )  # fmt: skip

    def history(self, run: MovedRun, key: str) -> Iterator[Point]:
        query = (
            "select value, is_nan, timestamp, step from metrics where run_uuid = ? and key = ?"
            " order by timestamp, step, value"
        )
        for row in self._db.execute(query, (run.id, key)):
            value = float("nan") if row["is_nan"] else float(row["value"])
            yield Point(value=value, at_ms=row["timestamp"], step=row["step"])

    def list_files(self, where: str) -> Iterator[str]:
        return artifact_paths.list_files(where)

    def open_file(self, where: str, path: str) -> BinaryIO:
        return artifact_paths.open_file(where, path)

    def models(self) -> Iterator[MovedModel]:
        aliased = "registered_model_aliases" in self._tables
        for row in self._all("select * from registered_models order by name"):
            name = row["name"]
            aliases = "select alias, version from registered_model_aliases where name = ?"
            found = self._all(aliases, name) if aliased else []
            yield MovedModel(
                name=name, description=row["description"] or "",
                tags=self._pairs("select key, value from registered_model_tags where name = ?", name),
                aliases={alias["alias"]: int(alias["version"]) for alias in found},
                versions=[self._version(version) for version in self._all(
                    "select * from model_versions where name = ? and current_stage != 'Deleted_Internal'"
                    " order by version", name,
                )],
            )  # fmt: skip

    def _version(self, row: sqlite3.Row) -> MovedVersion:
        tags = self._db.execute(
            "select key, value from model_version_tags where name = ? and version = ?", (row["name"], row["version"])
        )
        columns = row.keys()
        stored = row["storage_location"] if "storage_location" in columns else None
        return MovedVersion(
            model=row["name"], version=int(row["version"]), run_id=row["run_id"] or None,
            description=row["description"] or "", stage=row["current_stage"] or "None",
            tags={tag["key"]: tag["value"] for tag in tags}, created_ms=row["creation_time"] or 0,
            files=stored or row["source"] or "",
        )  # fmt: skip

    def _all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(query, values).fetchall()

    def _pairs(self, query: str, *values: Any) -> dict[str, str]:
        return {row[0]: row[1] or "" for row in self._db.execute(query, values)}
