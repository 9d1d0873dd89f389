"""MLflow's file store: a folder `mlruns` with a folder for each experiment and run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from homeostat.core.errors import Corrupt, InvalidInput
from homeostat.tracking.moving import artifact_paths
from homeostat.tracking.moving.records import MovedExperiment, MovedModel, MovedRun, MovedVersion, Point

_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}


class FileSource:
    """Reads the folder `root`. Raises InvalidInput when it is no such store."""

    def __init__(self, root: Path) -> None:
        if not any(root.glob("*/meta.yaml")):
            raise InvalidInput(f"{root} is no MLflow file store", hint="name the folder that holds 0/meta.yaml")
        self._root = root

    def experiments(self) -> Iterator[MovedExperiment]:
        for folder in self._folders(self._root) + self._folders(self._root / ".trash"):
            meta = _meta(folder)
            yield MovedExperiment(
                id=str(meta["experiment_id"]), name=str(meta["name"]), tags=_texts(folder / "tags"),
                lifecycle=str(meta.get("lifecycle_stage", "active")), created_ms=int(meta.get("creation_time") or 0),
            )  # fmt: skip

    def runs(self, experiment: str) -> Iterator[MovedRun]:
        found: list[MovedRun] = []
        for root in (self._root / experiment, self._root / ".trash" / experiment):
            for folder in self._folders(root):
                found.append(self._run(folder, experiment))
        yield from sorted(found, key=lambda run: (run.start_ms, run.id))

    def _run(self, folder: Path, experiment: str) -> MovedRun:
        meta, tags = _meta(folder), _texts(folder / "tags")
        status = meta.get("status", 3)
        return MovedRun(
            id=str(meta.get("run_id") or meta["run_uuid"]), experiment=experiment,
            name=str(tags.get("mlflow.runName") or meta.get("run_name") or ""),
            status=_STATUS.get(status, "FINISHED") if isinstance(status, int) else str(status),
            start_ms=int(meta.get("start_time") or 0), end_ms=_number(meta.get("end_time")),
            user=str(meta.get("user_id") or ""), lifecycle=str(meta.get("lifecycle_stage", "active")),
            params=_texts(folder / "params"), tags=tags,
            keys=[path.relative_to(folder / "metrics").as_posix() for path in _files(folder / "metrics")],
            files=str(folder / "artifacts") if (folder / "artifacts").is_dir() else str(meta.get("artifact_uri") or ""),
        )  # fmt: skip

    def history(self, run: MovedRun, key: str) -> Iterator[Point]:
        folder = next(p for p in (self._root, self._root / ".trash") if (p / run.experiment / run.id).is_dir())
        path = folder / run.experiment / run.id / "metrics" / key
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            words = line.split()
            try:
                yield Point(at_ms=int(words[0]), value=float(words[1]), step=int(words[2]) if len(words) > 2 else 0)
            except (ValueError, IndexError) as error:
                raise Corrupt(f"{path}, line {number} is no point: {line[:80]!r}") from error

    def list_files(self, where: str) -> Iterator[str]:
        return artifact_paths.list_files(where)

    def open_file(self, where: str, path: str) -> BinaryIO:
        return artifact_paths.open_file(where, path)

    def models(self) -> Iterator[MovedModel]:
        for folder in self._folders(self._root / "models"):
            meta = _meta(folder)
            versions = [self._version(path, str(meta["name"])) for path in self._folders(folder)]
            yield MovedModel(
                name=str(meta["name"]), description=str(meta.get("description") or ""), tags=_texts(folder / "tags"),
                aliases={alias: int(number) for alias, number in _texts(folder / "aliases").items()},
                versions=sorted(versions, key=lambda version: version.version),
            )  # fmt: skip

    @staticmethod
    def _version(folder: Path, model: str) -> MovedVersion:
        meta = _meta(folder)
        return MovedVersion(
            model=model, version=int(meta["version"]), run_id=meta.get("run_id") or None,
            description=str(meta.get("description") or ""), stage=str(meta.get("current_stage") or "None"),
            tags=_texts(folder / "tags"), created_ms=int(meta.get("creation_timestamp") or 0),
            files=str(meta.get("storage_location") or meta.get("source") or ""),
        )  # fmt: skip

    @staticmethod
    def _folders(root: Path) -> list[Path]:
        return sorted(path.parent for path in root.glob("*/meta.yaml") if path.parent.name != "models")


def _meta(folder: Path) -> dict[str, Any]:
    try:
        found: Any = yaml.safe_load((folder / "meta.yaml").read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise Corrupt(f"{folder / 'meta.yaml'} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Corrupt(f"{folder / 'meta.yaml'} holds no record")
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in _files(folder)}


def _number(value: Any) -> int | None:
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else int(value)
