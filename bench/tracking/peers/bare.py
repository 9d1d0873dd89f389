"""The least a server can do with `log-metric`: parse the JSON, commit the point to SQLite, answer.

    python -m bench.tracking.peers.bare PORT FILE

No routing, no checks, no events; uvicorn, msgspec and the database's settings are those of our server. The point and
the last value of its metric are written in one transaction; `synchronous=FULL`, so that an answered point is on disk.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

import msgspec
import uvicorn

_TABLES = """
    pragma journal_mode = wal;
    pragma synchronous = full;
    create table point (run text, key text, step int, at int, value real);
    create table last (run text, key text, step int, at int, value real, primary key (run, key)) without rowid;
"""
_POINT = "insert into point values (?, ?, ?, ?, ?)"
_LAST = (
    "insert into last values (?, ?, ?, ?, ?) on conflict do update set"
    " step = excluded.step, at = excluded.at, value = excluded.value where excluded.step >= step"
)
_HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"),
                                                                  (b"content-length", b"2")]}  # fmt: skip
_BODY = {"type": "http.response.body", "body": b"{}"}


def app(path: str) -> Any:
    """The ASGI app with its database in `path`."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(_TABLES)

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if body:
            point = msgspec.json.decode(body)
            row = (point["run_id"], point["key"], point["step"], point["timestamp"], point["value"])
            database.execute("begin immediate")
            database.execute(_POINT, row)
            database.execute(_LAST, row)
            database.execute("commit")
        await send(_HEAD)
        await send(_BODY)

    return answer


if __name__ == "__main__":
    config = uvicorn.Config(
        app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False,
        server_header=False, lifespan="off",
    )  # fmt: skip
    uvicorn.Server(config).run()
