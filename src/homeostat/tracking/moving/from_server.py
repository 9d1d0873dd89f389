"""A running server that speaks MLflow's REST protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlencode, urlsplit

from homeostat.tracking.moving import artifact_paths
from homeostat.tracking.moving.calls import Calls
from homeostat.tracking.moving.records import MovedExperiment, MovedModel, MovedRun, MovedVersion, Point

_POINTS = 25_000
_PROXIED = "mlflow-artifacts"


class ServerSource:
    """Reads the server at `url`. Raises as `Calls` does."""

    def __init__(self, url: str) -> None:
        self._calls = Calls(url)

    def experiments(self) -> Iterator[MovedExperiment]:
        for one in self._calls.pages("POST", "experiments/search", "experiments", {"view_type": "ALL"}):
            yield MovedExperiment(
                id=one["experiment_id"], name=one["name"], lifecycle=one.get("lifecycle_stage", "active"),
                tags=_pairs(one.get("tags")), created_ms=int(one.get("creation_time", 0)),
            )  # fmt: skip

    def runs(self, experiment: str) -> Iterator[MovedRun]:
        asked = {"experiment_ids": [experiment], "run_view_type": "ALL", "order_by": ["attributes.start_time ASC"]}
        for one in self._calls.pages("POST", "runs/search", "runs", asked):
            info, data = one["info"], one.get("data", {})
            tags = _pairs(data.get("tags"))
            yield MovedRun(
                id=info["run_id"], experiment=experiment,
                name=info.get("run_name") or tags.get("mlflow.runName", ""),
                status=info.get("status", "FINISHED"), start_ms=int(info.get("start_time", 0)),
                end_ms=int(info["end_time"]) if info.get("end_time") else None, user=info.get("user_id", ""),
                lifecycle=info.get("lifecycle_stage", "active"), params=_pairs(data.get("params")), tags=tags,
                keys=sorted({metric["key"] for metric in data.get("metrics", [])}),
                files=_run_files(info["run_id"], info.get("artifact_uri", "")),
            )  # fmt: skip

    def history(self, run: MovedRun, key: str) -> Iterator[Point]:
        asked = {"run_id": run.id, "metric_key": key, "max_results": _POINTS}
        for one in self._calls.pages("GET", "metrics/get-history", "metrics", asked):
            yield Point(value=float(one["value"]), at_ms=int(one["timestamp"]), step=int(one.get("step", 0)))

    def models(self) -> Iterator[MovedModel]:
        for one in self._calls.pages("GET", "registered-models/search", "registered_models", {}):
            name = one["name"]
            literal = "'" + name.replace("'", "\\'") + "'"
            asked = {"filter": f"name={literal}"}
            found = self._calls.pages("GET", "model-versions/search", "model_versions", asked)
            versions = [self._version(version) for version in found]
            whole = self._calls.json("GET", "registered-models/get", {"name": name})["registered_model"]
            yield MovedModel(
                name=name, description=whole.get("description", ""), tags=_pairs(whole.get("tags")),
                aliases={alias["alias"]: int(alias["version"]) for alias in whole.get("aliases", [])},
                versions=sorted(versions, key=lambda version: version.version),
            )  # fmt: skip

    def _version(self, found: dict[str, Any]) -> MovedVersion:
        where = {"name": found["name"], "version": found["version"]}
        uri = self._calls.json("GET", "model-versions/get-download-uri", where).get("artifact_uri", "")
        return MovedVersion(
            model=found["name"], version=int(found["version"]), run_id=found.get("run_id") or None,
            description=found.get("description", ""), stage=found.get("current_stage", "None"),
            tags=_pairs(found.get("tags")), created_ms=int(found.get("creation_timestamp", 0)), files=uri,
        )  # fmt: skip

    # -- files

    def list_files(self, where: str) -> Iterator[str]:
        if where.startswith("run:") or urlsplit(where).scheme == _PROXIED:
            yield from self._below(where, "")
        else:
            yield from artifact_paths.list_files(where)

    def _below(self, where: str, path: str) -> Iterator[str]:
        for found in self._folder(where, path):
            name = found["path"] if where.startswith("run:") else f"{path}/{found['path']}".lstrip("/")
            if found.get("is_dir"):
                yield from self._below(where, name)
            else:
                yield name

    def _folder(self, where: str, path: str) -> list[dict[str, Any]]:
        if where.startswith("run:"):
            asked = {"run_id": where.removeprefix("run:"), **({"path": path} if path else {})}
            return self._calls.json("GET", "artifacts/list", asked).get("files", [])
        whole = "/".join(part for part in (urlsplit(where).path.strip("/"), path) if part)
        response = self._calls.call("GET", f"/api/2.0/mlflow-artifacts/artifacts?{urlencode({'path': whole})}")
        return cast("list[dict[str, Any]]", json.loads(response.read()).get("files", []))

    def open_file(self, where: str, path: str) -> BinaryIO:
        if where.startswith("run:"):
            target = f"/get-artifact?{urlencode({'run_uuid': where.removeprefix('run:'), 'path': path})}"
        elif urlsplit(where).scheme == _PROXIED:
            target = "/api/2.0/mlflow-artifacts/artifacts/" + quote(f"{urlsplit(where).path.strip('/')}/{path}")
        else:
            return artifact_paths.open_file(where, path)
        return self._calls.file(target)


def _run_files(run: str, uri: str) -> str:
    # A server with files of its own hands them out by run; where it does not know the store, neither do we.
    return f"run:{run}" if uri else ""


def _pairs(items: list[dict[str, str]] | None) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in items or []}
