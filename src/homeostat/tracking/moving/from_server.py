"""A running server that speaks MLflow's REST protocol."""

from __future__ import annotations

import http.client
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlencode, urlsplit

from homeostat.core.errors import HomeostatError, InvalidInput, NotFound, PermissionDenied, Unavailable
from homeostat.core.outgoing import connect
from homeostat.tracking.moving import artifact_paths
from homeostat.tracking.moving.records import MovedExperiment, MovedModel, MovedRun, MovedVersion, Point

_PAGE = 1000
_POINTS = 25_000
_PROXIED = "mlflow-artifacts"


class ServerSource:
    """Reads the server at `url` ("http://host:5000").

    A login is taken from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, as MLflow's
    own client does. Raises InvalidInput when what answers there is no such server.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._prefix = urlsplit(self._url).path
        self._connection: http.client.HTTPConnection | None = None
        self._headers = {"User-Agent": "homeostat", **_login()}
        try:
            self._json("POST", "experiments/search", {"max_results": 1})
        except (NotFound, ValueError) as error:
            raise InvalidInput(
                f"{url} does not speak MLflow's protocol: {error}", hint="name the tracking server: http://host:5000"
            ) from error

    def experiments(self) -> Iterator[MovedExperiment]:
        for one in self._pages("POST", "experiments/search", "experiments", {"view_type": "ALL"}):
            yield MovedExperiment(
                id=one["experiment_id"], name=one["name"], lifecycle=one.get("lifecycle_stage", "active"),
                tags=_pairs(one.get("tags")), created_ms=int(one.get("creation_time", 0)),
            )  # fmt: skip

    def runs(self, experiment: str) -> Iterator[MovedRun]:
        asked = {"experiment_ids": [experiment], "run_view_type": "ALL", "order_by": ["attributes.start_time ASC"]}
        for one in self._pages("POST", "runs/search", "runs", asked):
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
        for one in self._pages("GET", "metrics/get-history", "metrics", asked):
            yield Point(value=float(one["value"]), at_ms=int(one["timestamp"]), step=int(one.get("step", 0)))

    def models(self) -> Iterator[MovedModel]:
        for one in self._pages("GET", "registered-models/search", "registered_models", {}):
            name = one["name"]
            literal = "'" + name.replace("'", "\\'") + "'"
            asked = {"filter": f"name={literal}"}
            found = self._pages("GET", "model-versions/search", "model_versions", asked)
            versions = [self._version(version) for version in found]
            whole = self._json("GET", "registered-models/get", {"name": name})["registered_model"]
            yield MovedModel(
                name=name, description=whole.get("description", ""), tags=_pairs(whole.get("tags")),
                aliases={alias["alias"]: int(alias["version"]) for alias in whole.get("aliases", [])},
                versions=sorted(versions, key=lambda version: version.version),
            )  # fmt: skip

    def _version(self, found: dict[str, Any]) -> MovedVersion:
        where = {"name": found["name"], "version": found["version"]}
        uri = self._json("GET", "model-versions/get-download-uri", where).get("artifact_uri", "")
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
            return self._json("GET", "artifacts/list", asked).get("files", [])
        whole = "/".join(part for part in (urlsplit(where).path.strip("/"), path) if part)
        response = self._call("GET", f"/api/2.0/mlflow-artifacts/artifacts?{urlencode({'path': whole})}")
        return cast("list[dict[str, Any]]", json.loads(response.read()).get("files", []))

    def open_file(self, where: str, path: str) -> BinaryIO:
        if where.startswith("run:"):
            target = f"/get-artifact?{urlencode({'run_uuid': where.removeprefix('run:'), 'path': path})}"
        elif urlsplit(where).scheme == _PROXIED:
            target = "/api/2.0/mlflow-artifacts/artifacts/" + quote(f"{urlsplit(where).path.strip('/')}/{path}")
        else:
            return artifact_paths.open_file(where, path)
        return cast("BinaryIO", self._call("GET", target))

    # -- calls

    def _pages(self, method: str, call: str, name: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            found = self._json(method, call, {"max_results": _PAGE, **asked, **more})
            yield from found.get(name, [])
            token = found.get("next_page_token", "")
            if not token:
                return

    def _json(self, method: str, call: str, asked: dict[str, Any]) -> dict[str, Any]:
        target = f"/api/2.0/mlflow/{call}"
        if method == "GET":
            response = self._call("GET", f"{target}?{urlencode(asked)}")
        else:
            response = self._call("POST", target, json.dumps(asked).encode())
        return cast("dict[str, Any]", json.loads(response.read()))

    def _call(self, method: str, target: str, body: bytes | None = None) -> http.client.HTTPResponse:
        headers = {**self._headers, **({"Content-Type": "application/json"} if body is not None else {})}
        for last in (False, True):
            if self._connection is None:
                # The person who types the address may mean their own network.
                self._connection = connect(self._url, allow_private=True, timeout_s=300)
            try:
                self._connection.request(method, self._prefix + target, body=body, headers=headers)
                response = self._connection.getresponse()
                break
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self._connection = None
                if last:  # the first time the server may only have closed an idle connection
                    raise Unavailable(
                        f"{self._url} stopped answering: {error}", hint="start the import again"
                    ) from error
        else:
            raise AssertionError
        if response.status >= 400:
            raise _refusal(target, response.status, response.read(4000))
        return response


def _refusal(target: str, status: int, body: bytes) -> HomeostatError:
    try:
        told = str(json.loads(body).get("message", ""))
    except (ValueError, AttributeError):
        told = body[:200].decode(errors="replace")
    text = f"the server answered {status} to {target.partition('?')[0]}: {told[:300]}"
    if status in (401, 403):
        return PermissionDenied(text, hint="set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD")
    return NotFound(text) if status == 404 else Unavailable(text)


def _login() -> dict[str, str]:
    token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
    return {}


def _run_files(run: str, uri: str) -> str:
    # A server with files of its own hands them out by run; where it does not know the store, neither do we.
    return f"run:{run}" if uri else ""


def _pairs(items: list[dict[str, str]] | None) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in items or []}
