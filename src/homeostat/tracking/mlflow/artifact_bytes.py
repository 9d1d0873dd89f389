"""Bytes of artifacts in and out of HTTP: received into the store as they come, sent in pieces, or a part of them."""

from __future__ import annotations

import asyncio
import mimetypes
import posixpath
import unicodedata
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from homeostat.core.blobs import File
from homeostat.core.errors import TooLarge
from homeostat.core.foreign import ForeignError
from homeostat.core.parts import Incoming
from homeostat.core.workspace import Workspace
from homeostat.tracking.model import Artifact

Kept = TypeVar("Kept")

# A piece is read, hashed and written in a thread while the loop serves others.
_PIECE = 4 << 20

# What people look at as text, whatever their registered type is; so nothing of these runs in a browser.
_TEXT = {
    "txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon", "toml", "yaml", "yml",
    "xml", "json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb", "MLmodel", "mlproject",
    "MLproject",
}  # fmt: skip


async def receive(ws: Workspace, request: Request) -> File:
    """Put the body of `request` into the store. Raises: TooLarge, StorageFull; ForeignError when it was cut off."""
    return await _receive(ws, request, ws.blobs.receive)


async def receive_part(ws: Workspace, request: Request, upload: str, number: int) -> str:
    """The body of `request` as a part of an upload; what its content is called. Raises as `receive`, and NotFound."""
    return await _receive(ws, request, lambda: ws.blobs.parts.receive(upload, number))


async def _receive(ws: Workspace, request: Request, begin: Callable[[], Incoming[Kept]]) -> Kept:
    limit = ws.settings.max_artifact_mb << 20
    declared = request.headers.get("content-length", "")
    expected = int(declared) if declared.isdigit() else None
    if expected is not None and expected > limit:
        raise _too_large(limit)
    incoming = await run_in_threadpool(begin)
    writing: asyncio.Task[None] | None = None
    size = 0
    try:
        piece = bytearray()
        async for part in request.stream():
            piece += part
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            if len(piece) >= _PIECE:
                # One piece is written while the next one arrives.
                if writing is not None:
                    await writing
                writing = asyncio.create_task(run_in_threadpool(incoming.write, piece))
                piece = bytearray()
        if expected is not None and size != expected:
            raise ForeignError("BAD_REQUEST", "the body is not as long as it was said to be", 400)
        if writing is not None:
            await writing
        await run_in_threadpool(incoming.write, piece)
        return await run_in_threadpool(incoming.keep)
    finally:
        if writing is not None:
            await asyncio.wait([writing])
        incoming.drop()


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the artifact is larger than {limit >> 20} MiB", hint="raise HOMEOSTAT_MAX_ARTIFACT_MB")


class ArtifactResponse(Response):
    """The artifact as a download: whole, or the one range that was asked for, or 304 when the client has it."""

    def __init__(self, ws: Workspace, request: Request, artifact: Artifact) -> None:
        self._path: Path = ws.blobs.local_path(artifact.digest)
        self._first, self._count = 0, artifact.size
        self.background = None
        self.body = b""
        tag = f'"{artifact.digest}"'
        name = artifact.path.rpartition("/")[2]
        headers = {
            "Content-Type": media_type(name),
            "Content-Disposition": disposition(name),
            "X-Content-Type-Options": "nosniff",
            # Should a browser show it after all, it is nobody's page.
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-cache",
            "ETag": tag,
            "Last-Modified": formatdate(artifact.at_ms / 1000, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        self.status_code = 200
        asked = request.headers.get("if-none-match", "")
        if asked and (asked.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in asked.split(",")]):
            self.status_code, self._count = 304, 0
        elif request.headers.get("if-range", tag) == tag:
            self._choose(request.headers.get("range", ""), artifact.size, headers)
        if self.status_code != 304:
            headers["Content-Length"] = str(self._count)
        self.init_headers(headers)

    def _choose(self, asked: str, size: int, headers: dict[str, str]) -> None:
        found = byte_range(asked, size)
        if found is None:
            return
        first, end = found
        if first >= end:
            self.status_code, self._count = 416, 0
            headers["Content-Range"] = f"bytes */{size}"
            return
        self.status_code, self._first, self._count = 206, first, end - first
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = 0 if scope["method"] == "HEAD" else self._count
        if left == 0:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        file = await run_in_threadpool(_open, self._path, self._first)
        try:
            while left:
                piece = await run_in_threadpool(file.read, min(left, _PIECE))
                if not piece:
                    raise RuntimeError(f"{self._path.name} is shorter than it was")
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        finally:
            file.close()


def _open(path: Path, first: int) -> BinaryIO:
    file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by the caller, after the last piece
    file.seek(first)
    return file  # type: ignore[return-value] - unbuffered, and read as any binary file


def byte_range(asked: str, size: int) -> tuple[int, int] | None:
    """First byte and end of the one range that a `Range` header asks for; None to send everything.

    An empty range (first >= end) cannot be met. Several ranges at once are not sent as such.

    >>> byte_range("bytes=2-5", 10), byte_range("bytes=-3", 10), byte_range("bytes=10-", 10), byte_range("", 10)
    ((2, 6), (7, 10), (10, 10), None)
    """
    unit, _, spec = asked.partition("=")
    first, dash, last = spec.strip().partition("-")
    numbers = all(part == "" or (part.isdecimal() and len(part) < 20) for part in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not numbers or not (first or last):
        return None
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    end = size if not last else min(size, int(last) + 1)
    return None if last and int(last) < int(first) else (int(first), end)


def media_type(name: str) -> str:
    """The content type of a file of this name.

    >>> media_type("model.pkl"), media_type("page.html"), media_type("MLmodel"), media_type(".json")
    ('application/octet-stream', 'text/html', 'text/plain', 'application/octet-stream')
    """
    # A file of a name that begins with a dot has no ending; one without an ending is what its name says.
    if (posixpath.splitext(name)[1].replace(".", "") or name) in _TEXT:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def disposition(name: str) -> str:
    """The header that makes a browser save the file under `name`.

    >>> disposition('a "b".txt'), disposition("ü.txt")
    ('attachment; filename="a \\\\"b\\\\".txt"', "attachment; filename=u.txt; filename*=UTF-8''%C3%BC.txt")
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii") or "download"
    if not all(char.isalnum() or char in "!#$&+-.^_`|~" for char in plain):
        plain = '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
    exact = "" if name.isascii() else f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return f"attachment; filename={plain}{exact}"
