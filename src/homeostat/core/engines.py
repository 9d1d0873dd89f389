"""Which engine serves which URL scheme. Engines are named here and loaded on first use."""

from __future__ import annotations

import importlib
from typing import Any
from urllib.parse import urlsplit

from homeostat.core.errors import InvalidInput

DATABASES = {
    "sqlite": "homeostat.engines.sqlite:open_sqlite",
    "postgresql": "homeostat.engines.postgres:open_postgres",
}
# Those that make the tables of an empty database while this process does something else.
MAKERS = {
    "postgresql": "homeostat.engines.postgres_making:begin_tables",
}
BLOBS = {
    "file": "homeostat.engines.localfs:LocalBlobs",
    "s3": "homeostat.engines.objectstore:ObjectBlobs",
    "gs": "homeostat.engines.objectstore:ObjectBlobs",
    "az": "homeostat.engines.objectstore:ObjectBlobs",
    "memory": "homeostat.engines.objectstore:ObjectBlobs",
}
EXECUTORS = {
    "processes": "homeostat.engines.processes:ProcessExecutor",
}


def load(table: dict[str, str], url: str) -> Any:
    """The engine in `table` for the scheme of `url` (or for `url` itself where it is a bare name)."""
    scheme = urlsplit(url).scheme or url
    if scheme not in table:
        raise InvalidInput(
            f"there is no engine for {scheme!r}", hint=f"known are {', '.join(sorted(table))}", scheme=scheme
        )
    module, _, name = table[scheme].partition(":")
    return getattr(importlib.import_module(module), name)
