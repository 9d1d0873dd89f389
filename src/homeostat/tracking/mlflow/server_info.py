"""What a client asks before everything else: is the server there, which version, what does it know."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from homeostat.core.foreign import PUBLIC, Args, rpc
from homeostat.core.workspace import Workspace

# Clients choose older code paths for an older version: the newest whose calls we know.
SPOKEN = "3.18.0"


@rpc("GET", "/health", permission=PUBLIC, raw=True)
async def health(ws: Workspace, request: Request) -> Response:
    """`OK`, as soon as requests are answered."""
    return PlainTextResponse("OK")


@rpc("GET", "/version", permission=PUBLIC, raw=True)
async def version(ws: Workspace, request: Request) -> Response:
    """The version of MLflow whose protocol is spoken here; ours is at `/healthz`."""
    return PlainTextResponse(SPOKEN)


@rpc("GET", "3.0/mlflow/server-info", permission=PUBLIC)
def server_info(ws: Workspace, args: Args) -> dict[str, Any]:
    """What the server can do beyond the calls that every version has."""
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": False,
        "multipart_downloads_enabled": False,
        "artifacts_presigned_only": False,
        "presigned_upload_run_id_supported": False,
        "presigned_upload_model_id_supported": False,
        "features_enabled": [],
    }
