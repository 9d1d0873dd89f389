"""A folder with models served as it is, without a workspace: what KServe's runtimes and images of ours run.

A workspace of its own in a temporary folder holds what the folder brought, so everything the data plane does works
here too; it is gone when the server ends, unless a home is named.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace
from homeostat.registry import ModelVersion, import_folder
from homeostat.serving.access import Access, is_loopback
from homeostat.serving.deployments import deploy
from homeostat.serving.own_environment import find_environments
from homeostat.serving.plane import serve
from homeostat.serving.planes import wait_ready

log = logging.getLogger("homeostat.serving")
LOAD_S = 600.0


def serve_folder(
    folder: str | os.PathLike[str],
    *,
    name: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    grpc_port: int | None = None,
    allow_code: bool = False,
    use: Sequence[str | os.PathLike[str]] = (),
    open_to_all: bool = False,
    token_file: str | os.PathLike[str] | None = None,
    home: str | None = None,
    share: str | None = None,
    ready_file: str | os.PathLike[str] | None = None,
    supervised: bool = False,
) -> None:
    """Serve the models in `folder` until SIGTERM, in every layout that `import_folder` reads.

    `name` is what a single model is called. `use` names interpreters for those that declare an environment of their
    own: each gets the first that has the very versions it needs, else the first that has them in others, else the one
    that runs here, if that has all of it.

    On an address that others can reach, either `token_file` lists who may ask, a token a line (read again when it
    changes), or `open_to_all` says that anyone who gets there may. Predictions are logged only in a `home`, which
    outlives the server.

    Servers of one machine that name the same `share` share their port, and `/metrics` speaks for all of them.
    `ready_file` is made when every model answers. `supervised`: end when standard input does.

    Raises: InvalidInput, Refused or NotFound when the folder holds nothing to serve, or a model needs an environment
    that is not here; Unavailable for a port in use, or when a model does not load.
    """
    if not is_loopback(host) and token_file is None and not open_to_all:
        raise InvalidInput(
            f"{host} can be reached by others, and nothing says who may ask",
            hint="--token-file FILE lists tokens; --open lets everybody ask who reaches the port",
        )
    tokens = Path(token_file) if token_file is not None else None
    if tokens is not None and not tokens.is_file():
        raise InvalidInput(f"there is no file of tokens at {tokens}", hint="one token a line")
    with ExitStack() as stack:
        place = home or stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-serve-"))
        ws = stack.enter_context(open_workspace(place))
        versions = import_folder(ws, folder, name, allow_code=allow_code)
        find_environments(ws, versions, [Path(python) for python in use])
        for version in versions:
            deploy(ws, version.model, version.version, log_share=1.0 if home else 0.0)
        watch = _Watch(ws, versions, Path(ready_file) if ready_file is not None else None)
        watch.start()
        access = Access(host, token_file=tokens, open_to_all=open_to_all)
        serve(ws, host, port, index=os.getpid() if share else 0, reuse_port=share is not None, supervised=supervised,
              grpc_port=grpc_port, access=access, share=share)  # fmt: skip
        if watch.failure is not None:
            raise watch.failure


class _Watch(threading.Thread):
    """Ends the server when a model does not load: whoever started it should hear of it, and try again."""

    def __init__(self, ws: Workspace, versions: list[ModelVersion], ready: Path | None) -> None:
        super().__init__(name="homeostat-loading", daemon=True)
        self._ws = ws
        self._versions = versions
        self._ready = ready
        self.failure: HomeostatError | None = None

    def run(self) -> None:
        for version in self._versions:
            try:
                wait_ready(self._ws, version.model, timeout_s=LOAD_S)
            except HomeostatError as error:
                self.failure = error
                os.kill(os.getpid(), signal.SIGTERM)
                return
            log.info("%s version %s answers", version.model, version.version)
        if self._ready is not None:
            self._ready.touch()


def main_log() -> None:
    """What a server says goes to standard error, a line each."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
