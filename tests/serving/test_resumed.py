"""A request that waited for something, its model or a look at its token, is answered whatever its handler does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import homeostat as hs
from homeostat.serving.access import Access
from homeostat.serving.app import App
from homeostat.serving.http1 import JSON, Connection, Exchange, Limits
from homeostat.serving.model import Deployment, Route
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.served import Served
from homeostat.serving.shadow import Shadow

Asks = Callable[[str], Awaitable[bytes]]


def broken(exchange: Exchange) -> None:
    raise ValueError("nobody has thought of this")


@asynccontextmanager
async def serving(ws: hs.Workspace, folder: Path, access: Access) -> AsyncIterator[tuple[App, Asks]]:
    """An app on a real port, with one handler at /broken that raises, and one at /good. Each request has a connection
    of its own."""
    predictions = PredictionLog(folder / "spool", "test")
    app = App(ws, predictions, Shadow(predictions), access, Limits())
    app._handlers[b"/broken"] = ({b"GET": broken}, False)
    app._handlers[b"/good"] = ({b"GET": lambda exchange: exchange.answer(200, JSON, b"{}")}, False)
    listener = await asyncio.get_running_loop().create_server(lambda: Connection(app.server), "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()

    async def ask(target: str) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer t\r\n"
                     "Connection: close\r\n\r\n".encode())  # fmt: skip
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n")[0]

    yield app, ask
    listener.close()
    predictions.close()


def test_a_request_whose_token_was_looked_up_first(ws: hs.Workspace, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("t\n")

    async def run() -> None:
        async with serving(ws, tmp_path, Access("0.0.0.0", token_file=tmp_path / "tokens")) as (_, ask):
            async with asyncio.timeout(60):
                assert await ask("/broken") == b"HTTP/1.1 500 Internal Server Error"
                assert await ask("/good") == b"HTTP/1.1 200 OK"

    asyncio.run(run())


def test_requests_that_were_held_for_a_model_beside_one_that_raises(ws: hs.Workspace, tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(ws, tmp_path, Access("127.0.0.1")) as (app, ask):
            served = app.catalog.models["m"] = Served("m")
            served.describe(Deployment(model="m", routes=[Route(version=1)], salt="s", generation=1, updated_ms=0))
            app.catalog.residency.start = lambda model: None
            for target, handler in list(app._handlers.items()):

                def hold(exchange: Exchange, handler: Callable[[Exchange], None] = handler[0][b"GET"]) -> None:
                    app.hold(served, handler, exchange, 0)

                app._handlers[target] = ({b"GET": hold}, False)
            async with asyncio.timeout(60):
                asked = [asyncio.create_task(ask("/broken"))]
                while len(served.held) < 1:
                    await asyncio.sleep(0.001)
                asked.append(asyncio.create_task(ask("/good")))
                while len(served.held) < 2:
                    await asyncio.sleep(0.001)
                app.catalog.residency.arrived(served)
                answers = await asyncio.gather(*asked)
            assert answers == [b"HTTP/1.1 500 Internal Server Error", b"HTTP/1.1 200 OK"]

    asyncio.run(run())
