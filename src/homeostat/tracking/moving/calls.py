"""Calls to a running server that speaks MLflow's REST protocol, over one connection opened again when it ends."""

from __future__ import annotations

import http.client
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode, urlsplit

from homeostat.core.errors import AlreadyExists, HomeostatError, InvalidInput, NotFound, PermissionDenied, Unavailable
from homeostat.core.outgoing import connect

_PAGE = 1000


class Calls:
    """The server at `url` ("http://host:5000").

    A login is taken from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, as MLflow's
    own client does. Raises InvalidInput when what answers there is no such server.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._prefix = urlsplit(self.url).path
        self._connection: http.client.HTTPConnection | None = None
        self._headers = {"User-Agent": "homeostat", **_login()}
        try:
            self.json("POST", "experiments/search", {"max_results": 1})
        except (NotFound, ValueError) as error:
            raise InvalidInput(
                f"{url} does not speak MLflow's protocol: {error}", hint="name the tracking server: http://host:5000"
            ) from error

    def pages(self, method: str, call: str, name: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Everything that a search finds, page by page."""
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            found = self.json(method, call, {"max_results": _PAGE, **asked, **more})
            yield from found.get(name, [])
            token = found.get("next_page_token", "")
            if not token:
                return

    def json(self, method: str, call: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call."""
        target = f"/api/2.0/mlflow/{call}"
        if method == "GET":
            response = self.call("GET", f"{target}?{urlencode(asked)}")
        else:
            response = self.call(method, target, json.dumps(asked).encode())
        return cast("dict[str, Any]", json.loads(response.read()))

    def file(self, target: str) -> BinaryIO:
        """The body of an answer, to be read once; reading it raises Unavailable where it was cut off."""
        return cast("BinaryIO", _Whole(self.call("GET", target)))

    def put(self, target: str, source: BinaryIO, size: int) -> None:
        """Send a file, piece by piece."""
        self.call("PUT", target, source, {"Content-Length": str(size)}).read()

    def call(
        self, method: str, target: str, body: bytes | BinaryIO | None = None, more: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """One request. The answer is to be read before the next one. Raises what the server says, or Unavailable."""
        headers = {**self._headers, **(more or {})}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        for last in (False, True):
            if self._connection is None:
                # The person who types the address may mean their own network.
                self._connection = connect(self.url, allow_private=True, timeout_s=300)
            try:
                if body is not None and not isinstance(body, bytes):
                    body.seek(0)
                self._connection.request(method, self._prefix + target, body=body, headers=headers)
                response = self._connection.getresponse()
                break
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self._connection = None
                if last:  # the first time the server may only have closed an idle connection
                    raise Unavailable(f"{self.url} stopped answering: {error}", hint="start it again") from error
        else:
            raise AssertionError
        if response.status >= 400:
            raise _refusal(target, response.status, response.read())
        return response


class _Whole:
    """A body that is not taken for whole when the connection ended early, which `read(n)` passes over."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def read(self, size: int = -1) -> bytes:
        data = self._response.read() if size < 0 else self._response.read(size)
        if not data and self._response.length:
            raise Unavailable(
                f"a file was cut off, {self._response.length} bytes before its end", hint="start it again"
            )
        return data

    def __enter__(self) -> _Whole:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()


def _refusal(target: str, status: int, body: bytes) -> HomeostatError:
    code = ""
    try:
        said = json.loads(body)
        told, code = str(said.get("message", "")), str(said.get("error_code", ""))
    except (ValueError, AttributeError):
        told = body[:200].decode(errors="replace")
    text = f"the server answered {status} to {target.partition('?')[0]}: {told[:300]}"
    if status in (401, 403):
        return PermissionDenied(text, hint="set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD")
    if code == "RESOURCE_ALREADY_EXISTS":
        return AlreadyExists(text)
    if status == 404:
        return NotFound(text)
    return InvalidInput(text) if status in (400, 405) else Unavailable(text)


def _login() -> dict[str, str]:
    token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
    return {}
