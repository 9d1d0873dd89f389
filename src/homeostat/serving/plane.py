"""The data plane: `python -m homeostat.serving.plane --url WORKSPACE [--host 127.0.0.1] [--port 8080]`.

One process, one event loop. It serves what the workspace says is deployed until SIGTERM, then answers what was asked,
writes the prediction log to the end and leaves. Several processes may share the port (`--reuse-port`).
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from homeostat.core.errors import HomeostatError, InvalidInput, Unavailable
from homeostat.core.workspace import Workspace
from homeostat.core.workspace import open as open_workspace
from homeostat.serving.access import Access, is_loopback
from homeostat.serving.app import App
from homeostat.serving.follower import Follower
from homeostat.serving.http1 import Connection, Limits
from homeostat.serving.planes import plane_name
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.rpc import Rpc
from homeostat.serving.shadow import Shadow
from homeostat.serving.siblings import meeting_place
from homeostat.serving.spool import spool_folder
from homeostat.serving.tracing import tracer_of

log = logging.getLogger("homeostat.serving")
# How long what was asked may take to be answered after SIGTERM: less than the 30 s that Kubernetes gives a pod.
DRAIN_S = 25.0
RELEASE_S = 3.0


class Plane:
    """A running data plane."""

    def __init__(
        self, ws: Workspace, host: str, port: int, *, index: int = 0, reuse_port: bool = False,
        grpc_port: int | None = None, access: Access | None = None, share: str | None = None,
    ) -> None:  # fmt: skip
        self._ws = ws
        self._meets = ws.home if share is None else Path("/", share)
        self._access = access or Access(host, ws)
        self._grpc_port = grpc_port
        self._host = host
        self._port = port
        self._reuse_port = reuse_port
        self._index = index
        self._name = plane_name(host, port, index)
        self._spool_name = f"{host}-{port}-{index}".replace(":", "_")
        self._stop = asyncio.Event()

    async def run(self, supervised: bool) -> None:
        """Serve until told to stop. Raises Unavailable when the address cannot be listened on."""
        loop = asyncio.get_running_loop()
        predictions = PredictionLog(spool_folder(self._ws.home), self._spool_name)
        shadow = Shadow(predictions)
        limits = Limits(body=self._ws.settings.max_body_mb << 20)
        tracer = tracer_of(os.environ)
        app = App(self._ws, predictions, shadow, self._access, limits, tracer)
        rpc = Rpc(app)
        app.server.second = rpc.protocol
        listeners: list[asyncio.Server] = []
        try:
            listeners.append(await self._listen(lambda: Connection(app.server), self._port))
            if self._grpc_port is not None:
                listeners.append(await self._listen(rpc.protocol, self._grpc_port))
        except BaseException:
            predictions.close()
            raise
        shown = f"[{self._host}]" if ":" in self._host else self._host
        url = f"http://{shown}:{listeners[0].sockets[0].getsockname()[1]}"
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if supervised:
            # The supervisor holds the other end of this pipe: when it is gone, however it went, so are we.
            loop.add_reader(sys.stdin.fileno(), self._supervisor_gone)
        follower = Follower(self._ws, app.catalog, self._name, url)
        await follower.begin()
        following = loop.create_task(follower.run())
        following.add_done_callback(self._ended)
        refreshing = loop.create_task(follower.refresh())
        if self._reuse_port:
            await self._join(app)
        for listener in listeners:
            await listener.start_serving()
        app.fleet.listening = True
        gc.freeze()  # what is there by now stays: to look through it for cycles would hold up requests for 50 ms
        if not supervised:  # `homeostat up` says it in a line of its own
            log.info("data plane on %s", url)
        sweeping = loop.create_task(_sweep(app))
        await self._stop.wait()
        for listener in listeners:
            listener.close()
        app.fleet.listening = False
        following.cancel()
        refreshing.cancel()
        drained_by = loop.time() + DRAIN_S
        with suppress(TimeoutError):
            async with asyncio.timeout_at(drained_by):
                while app.catalog.residency.held:
                    await asyncio.sleep(0.01)
        await follower.stop()
        app.server.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(drained_by):
                while app.server.connections:
                    await asyncio.sleep(0.01)
        sweeping.cancel()
        await app.fleet.leave()
        if tracer is not None:
            await asyncio.to_thread(tracer.exporter.close)
        await asyncio.to_thread(shadow.close)
        await asyncio.to_thread(predictions.close)
        for served in app.catalog.models.values():
            for lane in served.lanes:
                lane.retire()
        with suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                while app.catalog.residency.lanes:
                    await asyncio.sleep(0.01)

    async def _join(self, app: App) -> None:
        try:
            await app.fleet.join(meeting_place(self._meets, self._host, self._port), self._index)
        except OSError as error:
            log.error("this data plane cannot meet the others on its port: %s; it speaks for itself alone", error)

    async def _listen(self, protocol: Callable[[], asyncio.Protocol], port: int) -> asyncio.Server:
        try:
            return await asyncio.get_running_loop().create_server(
                protocol, self._host, port, backlog=2048,
                reuse_port=self._reuse_port or None, start_serving=False,
            )  # fmt: skip
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise Unavailable(
                f"port {port} for the data plane is already in use"
                if taken
                else f"cannot listen on {self._host}:{port}: {error.strerror}",
                hint="stop what holds it, or choose another with --serve-port",
            ) from error

    def _supervisor_gone(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._stop.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("the data plane stops: it cannot follow the workspace", exc_info=task.exception())
            self._stop.set()


async def _sweep(app: App) -> None:
    loop = asyncio.get_running_loop()
    while True:
        app.server.sweep(loop.time())
        now_ns = time.perf_counter_ns()
        for served in app.catalog.models.values():
            for lane in served.lanes:
                lane.sweep(now_ns)
        app.catalog.residency.sweep(now_ns)
        await asyncio.sleep(0.5)


def serve(ws: Workspace, host: str, port: int, *, index: int = 0, reuse_port: bool = False,
          supervised: bool = False, grpc_port: int | None = None, access: Access | None = None,
          share: str | None = None) -> None:  # fmt: skip
    """Run a data plane in this process until SIGTERM. `access` decides who may ask; by default the workspace's tokens.
    Those that share a port know each other by `share`; by default by their workspace.

    Raises: InvalidInput for an address that others can reach without a token; Unavailable for a port in use.
    """
    if access is None and not is_loopback(host) and not ws.team.has_tokens():
        raise InvalidInput(
            f"{host} can be reached by others, and this workspace has no tokens to ask them for",
            hint="make one with `homeostat team create-token NAME`, or listen on 127.0.0.1",
        )
    # Requests make few cycles; the default thresholds would look for them a hundred times a second.
    gc.set_threshold(20_000, 20, 50)

    async def main() -> None:
        plane = Plane(
            ws, host, port, index=index, reuse_port=reuse_port, grpc_port=grpc_port, access=access, share=share
        )
        await plane.run(supervised)

    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit codes are those of the error tree."""
    parser = argparse.ArgumentParser(prog="python -m homeostat.serving.plane", description="Serve deployed models.")
    parser.add_argument("--url", required=True, help="the workspace: a folder or postgresql://…")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--grpc-port", type=int, help="a port for gRPC alone; --port answers gRPC too")
    parser.add_argument("--index", type=int, default=0, help="the number of this process among those on one port")
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other processes")
    parser.add_argument("--supervised", action="store_true", help="end when standard input does")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        with open_workspace(args.url) as ws:
            serve(ws, args.host, args.port, index=args.index, reuse_port=args.reuse_port, supervised=args.supervised,
                  grpc_port=args.grpc_port)  # fmt: skip
    except HomeostatError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
