"""`homeostat up`: the control plane in this process, the data plane beside it, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette

from homeostat.core import events
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.server_lock import ServerLock
from homeostat.core.workspace import Workspace
from homeostat.server.access import is_loopback
from homeostat.server.direct import DirectConnection
from homeostat.server.live import Live
from homeostat.server.protocol import close_overdue, most_connections
from homeostat.server.retention import RetentionThread

log = logging.getLogger("homeostat.server")

_TICK_S = 1.0
# How long a thread beside the event loop may keep the interpreter, a tenth of the default: a request needs it several
# times, and would wait for it as often while points are folded.
_SWITCH_S = 0.0005
_SWEEP_TICKS = 20  # of uvicorn's, ten a second


def listen(host: str, port: int, what: str, option: str) -> socket.socket:
    """A listening socket. Raises: Unavailable when the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except (OverflowError, UnicodeError) as error:
        sock.close()
        raise InvalidInput(f"cannot listen on {host}:{port}: {error}", hint=f"{option} takes 0 to 65535") from error
    except OSError as error:
        sock.close()
        taken = error.errno == errno.EADDRINUSE
        raise Unavailable(
            f"port {port} for the {what} is already in use"
            if taken
            else f"cannot listen on {host}:{port}: {error.strerror}",
            hint=f"stop what holds it, or choose another with {option}",
            port=port,
        ) from error
    return sock


def require_login_beyond_loopback(workspace: Workspace, host: str) -> None:
    """Refuse an address that others can reach while nobody needs a token.

    Raises: InvalidInput.
    """
    if not is_loopback(host) and not workspace.team.has_tokens():
        raise InvalidInput(
            f"{host} can be reached by others, and this workspace has no tokens to ask them for",
            hint="make one with `homeostat team create-token NAME --role admin`, or listen on 127.0.0.1",
            host=host,
        )


def settle() -> None:
    """What is in memory now stays: the collector of cycles need not walk over it again and again.

    Requests make few cycles; with the default thresholds it would look for them a hundred times a second, and each
    time through modules, verbs and statements, for longer than most requests take.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


class Housekeeping:
    """A thread that hands on events, delivers messages and looks at models when their time has come."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="homeostat-housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        from homeostat.loop import run_due
        from homeostat.monitoring import reward_due
        from homeostat.notify import deliver_due
        from homeostat.pipelines import recover
        from homeostat.serving import fold, review_due
        from homeostat.tracking import GrownTables, IdleRuns, OldChanges, StaleTexts, collect_runs, mark_lost

        idle_runs, stale_texts = IdleRuns(self._workspace), StaleTexts(self._workspace)
        old_changes, grown_tables = OldChanges(self._workspace), GrownTables(self._workspace)
        duties: list[Callable[[], object]] = [
            lambda: events.dispatch(self._workspace),
            lambda: deliver_due(self._workspace, now_ms()),
            lambda: run_due(self._workspace, now_ms()),
            lambda: collect_runs(self._workspace),
            lambda: mark_lost(self._workspace),
            lambda: recover(self._workspace),
            lambda: fold(self._workspace),
            lambda: grown_tables.count_due(time.monotonic()),
            lambda: idle_runs.fold_due(time.monotonic()),
            lambda: stale_texts.refresh_due(time.monotonic()),
            lambda: old_changes.trim_due(time.monotonic()),
            lambda: reward_due(self._workspace),
            lambda: review_due(self._workspace),
        ]
        settled = False
        while not self._stop.wait(_TICK_S):
            for duty in duties:
                try:
                    duty()
                except Exception:  # a duty that fails today is tried again at the next tick
                    log.exception("housekeeping")
            if not settled:
                settle()
                settled = True


class ControlPlane(uvicorn.Server):
    """uvicorn, that closes connections whose clients keep it waiting, and open event streams before it waits to end."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    async def on_tick(self, counter: int) -> bool:
        if counter % _SWEEP_TICKS == 0:
            close_overdue(list(self.server_state.connections), asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._live.stop()
        await super().shutdown(sockets)


def configured(app: Starlette, log_level: str = "warning", grace_s: int = 5) -> uvicorn.Config:
    """How uvicorn serves `app`."""
    connection: Any = partial(DirectConnection, direct=app.state.direct)  # called as the class is that is asked for
    return uvicorn.Config(
        app, http=connection, ws="none", lifespan="on", log_level=log_level, access_log=False, server_header=False,
        timeout_graceful_shutdown=grace_s, limit_concurrency=most_connections(),
    )  # fmt: skip


def up(workspace: Workspace, lock: ServerLock, host: str, port: int, serve_port: int, processes: int = 1) -> None:
    """Serve until told to stop, with `processes` data planes on their port (0: one per core). Says one line for each
    plane. `lock` is that of the workspace's home.

    Raises: Unavailable for a port in use; InvalidInput for an open address without login, or a number of processes
    that cannot be; what opening the database raises.
    """
    from homeostat.server.app import make_app
    from homeostat.serving import Supervisor

    require_login_beyond_loopback(workspace, host)
    plane = Supervisor(workspace.url, host=host, port=serve_port, processes=processes, home=str(workspace.home))
    app = make_app(workspace, host)  # does not ask the database, whose tables may be made meanwhile
    # Opened before anything listens: a database that is damaged or away is told here, once, and not every second.
    workspace.db.read(lambda _: None)
    sock = listen(host, port, "control plane", "--port")
    listen(host, serve_port, "data plane", "--serve-port").close()
    housekeeping, retention = Housekeeping(workspace), RetentionThread(workspace)
    # uvicorn stops at these signals, and afterwards raises them again for whoever was there before it: nobody, so
    # that the planes below are stopped as well and the exit code tells of success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    sys.setswitchinterval(_SWITCH_S)
    retention.start()
    plane.start()
    housekeeping.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{sock.getsockname()[1]}"
        lock.tell(address)
        say(f"control plane  {address}  (pages and API; home {workspace.home})")
        shared = f"; {plane.processes} processes" if plane.processes > 1 else ""
        say(f"data plane     http://{shown}:{serve_port}  (Open Inference Protocol{shared})")
        ControlPlane(configured(app), app.state.live).run(sockets=[sock])
    finally:
        retention.stop()
        housekeeping.stop()
        plane.stop()
        workspace.close()
        lock.close()


def say(line: str) -> None:
    """One line to the terminal, at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
