"""The source that an address names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from homeostat.core.errors import InvalidInput
from homeostat.tracking.moving.records import Source


def open_source(uri: str) -> Source:
    """`http://host:5000` is a running server, `sqlite:///mlflow.db` its database, a folder the file store.

    Raises: InvalidInput when it is none of them, Unavailable when nobody answers.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        from homeostat.tracking.moving.from_server import ServerSource

        return ServerSource(uri)
    if scheme == "sqlite":
        from homeostat.tracking.moving.from_database import DatabaseSource

        return DatabaseSource(Path(unquote(uri.removeprefix("sqlite://")).removeprefix("/")))
    if scheme in ("", "file"):
        from homeostat.tracking.moving.from_files import FileSource

        return FileSource(Path(unquote(urlsplit(uri).path) if scheme else uri))
    raise InvalidInput(
        f"nothing can be imported from {scheme}://",
        hint="name a server (http://…), a database (sqlite:///mlflow.db) or a folder (mlruns)",
    )
