"""A run's file as a page may show it: in a frame that runs nothing, reaches nothing and is nobody.

What a run logged is written by whoever could log. It is answered under this server's address only with a policy that
takes that address away from it again: no scripts, no origin, no requests. Everything a browser might take for a page
of another kind is named as text; what is not known is not shown at all but offered as a download.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from homeostat.core.errors import InvalidInput, NotFound, TooLarge
from homeostat.core.paths import check_name, inside
from homeostat.core.workspace import Workspace
from homeostat.server.routes import Endpoint

MOST_BYTES = 4 << 20
# Of a longer text, its beginning or its end.
PART_BYTES = 256 << 10

HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Disposition": "inline",
}

_TEXT = "text/plain; charset=utf-8"
_KINDS = {
    **dict.fromkeys(
        ["txt", "log", "md", "csv", "tsv", "json", "jsonl", "yaml", "yml", "toml", "ini", "cfg", "py", "sql", "xml"],
        _TEXT,
    ),
    "html": "text/html; charset=utf-8",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
}


def kind_of(path: str) -> str | None:
    """The media type `path` is shown as, by its ending; None for what is not shown.

    >>> kind_of("plots/roc.PNG"), kind_of("MLmodel"), kind_of("model.pkl")
    ('image/png', 'text/plain; charset=utf-8', None)
    """
    name = PurePosixPath(path)
    if name.name in ("MLmodel", "Dockerfile", "Makefile"):
        return _TEXT
    return _KINDS.get(name.suffix.lower().removeprefix("."))


def shown(path: str, data: bytes) -> Response:
    """`data` as the content of a frame."""
    return Response(data, 200, HEADERS, media_type=kind_of(path))


def part_of(path: Path, which: str) -> bytes:
    """The first or last 256 KiB of a text file in whole lines; all of a shorter one."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= PART_BYTES:
            return file.read()
        if which == "head":
            data = file.read(PART_BYTES)
            return data[: data.rfind(b"\n") + 1] or data
        file.seek(size - PART_BYTES)
        data = file.read(PART_BYTES)
        return data[data.find(b"\n") + 1 :]


def endpoint(workspace: Workspace) -> Endpoint:
    """GET /preview/{run}/{path}: one file of a run, at most 4 MiB; of a text, `?part=head` and `?part=tail` give the
    first or last 256 KiB, however long it is."""

    async def answer(request: Request) -> Response:
        run, path, part = request.path_params["run"], request.path_params["path"], request.query_params.get("part")

        check_name(run, "run id")
        inside(Path("/"), path)
        if part not in (None, "head", "tail"):
            raise InvalidInput(f"'{part[:40]}' is no part of a file", hint="head or tail")

        def read() -> bytes:
            found = [kept for kept in workspace.tracking.list_artifacts(run) if kept.path == path]
            if not found:
                raise NotFound(f"run {run[:80]} has no file '{path[:200]}'", hint="list them with list_artifacts")
            if kind_of(path) is None:
                raise InvalidInput(f"'{path[:200]}' is not a kind of file that is shown", hint="download it")
            if part is not None and kind_of(path) == _TEXT:
                return part_of(workspace.blobs.local_path(found[0].digest), part)
            if found[0].size > MOST_BYTES:
                raise TooLarge(f"'{path[:200]}' is larger than {MOST_BYTES >> 20} MiB", hint="download it")
            return workspace.tracking.read_artifact(run, path)

        return shown(path, await run_in_threadpool(read))

    return answer
