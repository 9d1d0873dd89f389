"""MLflow's artifact calls: a run's list, the service that takes and gives bytes by path, downloads for pages."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from homeostat.core.foreign import Args, invalid, present, rpc
from homeostat.core.workspace import Workspace
from homeostat.tracking.artifact_files import Entry, entries, find, place_of, put, remove
from homeostat.tracking.artifact_paths import Place
from homeostat.tracking.mlflow.artifact_bytes import ArtifactResponse, receive
from homeostat.tracking.mlflow.shapes import run_info, run_row
from homeostat.tracking.mlflow.wording import run_id as run_id_of
from homeostat.tracking.mlflow.wording import safe_path

_ROOT = "2.0/mlflow-artifacts/artifacts"


@rpc("GET", "2.0/mlflow/artifacts/list", permission="tracking:read")
def list_artifacts(ws: Workspace, args: Args) -> dict[str, Any]:
    """What a folder of a run holds."""
    run_id = run_id_of(args)
    root = run_root(ws, run_id)
    place = Place(run_id=run_id, path=safe_path(args.text("path"), empty=True))
    return present({"root_uri": root, "files": [shown(entry) for entry in entries(ws, place)]})


@rpc("GET", _ROOT, permission="tracking:read")
def browse(ws: Workspace, args: Args) -> dict[str, Any]:
    """What the folder `path` of the service holds; names only, as the client puts the folder before them."""
    place = place_of(ws, safe_path(args.text("path"), empty=True))
    return present({"files": [{**shown(entry), "path": entry.path.rpartition("/")[2]} for entry in entries(ws, place)]})


@rpc("PUT", _ROOT + "/{path:path}", permission="tracking:write", raw=True)
async def upload(ws: Workspace, request: Request) -> Response:
    """Keep the body as the file `path`."""
    place = await run_in_threadpool(place_of, ws, safe_path(request.path_params["path"], empty=True))
    if not place.path:
        raise invalid("Invalid path: a file needs a name")
    file = await receive(ws, request)
    await run_in_threadpool(put, ws, place, file)
    return JSONResponse({})


@rpc("GET", _ROOT + "/{path:path}", permission="tracking:read", raw=True)
async def download(ws: Workspace, request: Request) -> Response:
    """The bytes of the file `path`."""
    place = await run_in_threadpool(place_of, ws, safe_path(request.path_params["path"], empty=True))
    return await send_file(ws, request, place)


@rpc("DELETE", _ROOT + "/{path:path}", permission="tracking:write", audit=True)
def delete(ws: Workspace, args: Args) -> dict[str, Any]:
    """Forget the file `path`, or the whole folder; what is not there is gone already."""
    place = place_of(ws, safe_path(args.text("path"), empty=True))
    if not place.path and place.run_id is None and not place.root:
        raise invalid("Invalid path: everything cannot be deleted at once")
    remove(ws, place)
    return {}


@rpc("GET", "/get-artifact", permission="tracking:read", raw=True)
async def get_artifact(ws: Workspace, request: Request) -> Response:
    """A run's file, as links of pages ask for it."""
    run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid") or ""
    if not run_id or not request.query_params.get("path"):
        raise invalid("Request must specify run_id and path.")
    await run_in_threadpool(run_root, ws, run_id)
    return await send_file(ws, request, Place(run_id=run_id, path=safe_path(request.query_params["path"])))


@rpc("POST", "2.0/mlflow/upload-artifact", permission="tracking:write", raw=True)
async def upload_artifact(ws: Workspace, request: Request) -> Response:
    """Keep the body as a file of a run, as pages send one."""
    run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid")
    path = request.query_params.get("path")
    if not run_id:
        raise invalid("Request must specify run_uuid.")
    if not path:
        raise invalid("Request must specify path.")
    place = Place(run_id=run_id, path=safe_path(path))
    await run_in_threadpool(run_root, ws, run_id)
    file = await receive(ws, request)
    if not file.size:
        raise invalid("Request must specify data.")
    await run_in_threadpool(put, ws, place, file)
    return JSONResponse({})


async def send_file(ws: Workspace, request: Request, place: Place) -> Response:
    """The response with the bytes at `place`."""

    def make() -> Response:
        return ArtifactResponse(ws, request, find(ws, place))

    return await run_in_threadpool(make)


def shown(entry: Entry) -> dict[str, Any]:
    """An entry of a list as the protocol has it; a size only for files."""
    size = {} if entry.size is None else {"file_size": entry.size}
    return {"path": entry.path, "is_dir": entry.is_dir, **size}


def run_root(ws: Workspace, run_id: str) -> str:
    """Where the artifacts of a run lie. Raises ForeignError when there is no such run."""
    return ws.db.read(lambda c: run_info(run_row(c, run_id))).artifact_uri
