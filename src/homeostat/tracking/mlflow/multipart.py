"""Files that come in parts, and addresses at which a store behind us gives them: `mlflow-artifacts/mpu`, `presigned`.

Where the store signs addresses (S3, Google Cloud Storage, Azure), clients send and fetch bytes there. Where bytes lie
on this machine, parts come here: their address holds the name of the upload, which only its client was told.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from homeostat.core.errors import NotFound, TooLarge
from homeostat.core.foreign import PUBLIC, Args, ForeignError, decode, invalid, rpc
from homeostat.core.parts import Address, Part
from homeostat.core.records import Record, from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking.artifact_files import find, place_of, put
from homeostat.tracking.artifact_paths import Place
from homeostat.tracking.mlflow.artifact_bytes import receive_part
from homeostat.tracking.mlflow.wording import safe_path

_MPU = "2.0/mlflow-artifacts/mpu"
_MOST_PARTS = 10_000
# Long enough for the largest file on a slow line.
_UPLOAD_S, _DOWNLOAD_S = 12 * 3600, 900
_MOST_BODY = 4 << 20


class _About(Record):
    """What an upload is for."""

    path: str
    parts: int


@rpc("POST", f"{_MPU}/create/{{folder:path}}", permission="tracking:write", raw=True)
async def create(ws: Workspace, request: Request) -> Response:
    """Begin an upload: its name, and where each of its parts is put."""
    args = await _args(request)
    count = args.integer("num_parts", required=True, least=1, most=_MOST_PARTS)
    full = _full(request.path_params["folder"], args)
    return JSONResponse(await run_in_threadpool(_begin, ws, full, count, _base(ws, request)))


@rpc("PUT", f"{_MPU}/part/{{upload}}/{{number}}", permission=PUBLIC, raw=True)
async def part(ws: Workspace, request: Request) -> Response:
    """Keep the body as a part. Whoever knows the name of the upload may send it: clients send no token here."""
    upload, number = request.path_params["upload"], request.path_params["number"]
    about = await run_in_threadpool(_about, ws, upload)
    if not (number.isdecimal() and len(number) < 6 and 1 <= int(number) <= about.parts):
        raise invalid(f"the upload has parts 1 to {about.parts}")
    tag = await receive_part(ws, request, upload, int(number))
    return Response(headers={"ETag": f'"{tag}"'})


@rpc("POST", f"{_MPU}/complete/{{folder:path}}", permission="tracking:write")
def complete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Make one file of the parts, in the order of their numbers."""
    upload = args.text("upload_id", required=True)
    full = _full(args.text("folder"), args)
    about = _about(ws, upload)
    if about.path != full:
        raise invalid("the upload was begun for another path")
    place = place_of(ws, full)
    parts = _parts(args, about.parts)
    limit = ws.settings.max_artifact_mb
    if ws.blobs.parts.size(upload, parts) > limit << 20:
        raise TooLarge(f"the artifact is larger than {limit} MiB", hint="raise HOMEOSTAT_MAX_ARTIFACT_MB")
    incoming = ws.blobs.receive()
    try:
        ws.blobs.parts.pour(upload, parts, incoming)
        put(ws, place, incoming.keep())
    finally:
        incoming.drop()
    ws.blobs.parts.drop(upload)
    return {}


@rpc("POST", f"{_MPU}/abort/{{folder:path}}", permission="tracking:write")
def abort(ws: Workspace, args: Args) -> dict[str, Any]:
    """Forget the upload; one that is not there is gone already."""
    full = _full(args.text("folder"), args)
    upload = args.text("upload_id", required=True)
    try:
        if _about(ws, upload).path != full:
            raise invalid("the upload was begun for another path")
        ws.blobs.parts.drop(upload)
    except NotFound:
        pass
    return {}


@rpc("GET", "2.0/mlflow-artifacts/presigned/{path:path}", permission="tracking:read")
def presigned(ws: Workspace, args: Args) -> dict[str, Any]:
    """Where the store itself gives the file `path`, for a while."""
    if not ws.blobs.signs:
        raise not_here("Presigned download")
    return _signed(ws, place_of(ws, safe_path(args.text("path"))), _DOWNLOAD_S)


@rpc("POST", "2.0/mlflow/artifacts/presigned-download-url", permission="tracking:read")
def presigned_download(ws: Workspace, args: Args) -> dict[str, Any]:
    """The same for a run's file."""
    if not ws.blobs.signs:
        raise not_here("Presigned download")
    place = Place(run_id=args.text("run_id", required=True), path=safe_path(args.text("path", required=True)))
    return _signed(ws, place, args.integer("expiration", _DOWNLOAD_S, least=1, most=7 * 86_400))


@rpc("POST", "2.0/mlflow/artifacts/presigned-upload-url", permission="tracking:write")
def presigned_upload(ws: Workspace, args: Args) -> dict[str, Any]:
    """An address for a whole file; not here: nobody would say when it is there, and bytes are named by what they are.

    No client asks for it unless `server-info` says that it is there.
    """
    raise not_here("Presigned upload")


def not_here(what: str) -> ForeignError:
    """The answer in the wording that makes clients send and fetch the file in one request."""
    return ForeignError("NOT_IMPLEMENTED", f"{what} is not supported for the current artifact repository", 501)


def _begin(ws: Workspace, full: str, count: int, base: str) -> dict[str, Any]:
    if not place_of(ws, full).path:
        raise invalid("Invalid path: a file needs a name")
    parts = ws.blobs.parts
    upload = parts.begin(to_json(_About(path=full, parts=count)).encode())
    found = [
        parts.address(upload, number, _UPLOAD_S) or Address(url=f"{base}{upload}/{number}", headers={})
        for number in range(1, count + 1)
    ]
    return {
        "upload_id": upload,
        "credentials": [
            {"url": address.url, "part_number": number, "headers": address.headers}
            for number, address in enumerate(found, 1)
        ],
    }


def _signed(ws: Workspace, place: Place, seconds: int) -> dict[str, Any]:
    artifact = find(ws, place)
    url = ws.blobs.address(artifact.digest, seconds)
    return {"url": url, "presigned_url": url, "headers": {}, "file_size": artifact.size}


def _full(folder: str, args: Args) -> str:
    # Older clients send the whole path that the file has on their machine.
    name = args.text("path", required=True).replace("\\", "/").rpartition("/")[2]
    return safe_path(f"{folder}/{name}")


def _about(ws: Workspace, upload: str) -> _About:
    return from_json(ws.blobs.parts.about(upload).decode(), _About)


def _parts(args: Args, most: int) -> list[Part]:
    parts = [
        Part(number=one.integer("part_number", required=True, least=1, most=most), tag=one.text("etag").strip('"'))
        for one in map(Args, args.items("parts", required=True))
    ]
    numbers = [one.number for one in parts]
    if numbers != sorted(set(numbers)):
        raise invalid(
            "Invalid value for parameter 'parts' supplied: they are in the order of their numbers, each once."
        )
    return parts


def _base(ws: Workspace, request: Request) -> str:
    """Where parts are put on this server, as the client reached it: before TLS ends at a proxy, by the public name."""
    host = request.headers.get("host", "")
    public = urlsplit(ws.settings.public_url)
    scheme, prefix = (public.scheme, public.path.rstrip("/")) if public.netloc == host else (request.url.scheme, "")
    return f"{scheme}://{host}{prefix}/api/{_MPU}/part/"


async def _args(request: Request) -> Args:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BODY:
            raise TooLarge("the body is larger than 4 MiB")
    return Args(decode(bytes(body)))
