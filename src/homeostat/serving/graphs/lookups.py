"""Rows of a table in memory, found by key: what a lookup adds to a request."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from homeostat.core.errors import HomeostatError, TooLarge
from homeostat.core.frames import to_polars
from homeostat.core.workspace import Workspace
from homeostat.data import get_table, read_table
from homeostat.registry import Field
from homeostat.serving import tensors
from homeostat.serving.graphs.nodes import Lookup
from homeostat.serving.tensors import Array

log = logging.getLogger("homeostat.serving")
MAX_ROWS = 5_000_000


class Rows:
    """A version of the table: never changed, replaced as a whole. Each array ends with what a missing key gives."""

    __slots__ = ("arrays", "index", "version")

    def __init__(self, version: int, index: dict[Any, int], arrays: dict[str, Array]) -> None:
        self.version = version
        self.index = index
        self.arrays = arrays

    def find(self, keys: list[list[Any]]) -> dict[str, Array]:
        """The columns for rows whose keys are given column by column."""
        get = self.index.get
        wanted = keys[0] if len(keys) == 1 else list(zip(*keys, strict=True))
        places = np.fromiter((get(key, -1) for key in wanted), "<i8", len(wanted))
        return {name: array[places] for name, array in self.arrays.items()}


class LookupTable:
    """The newest version of a lookup's table that this process has read. `fields` are the columns it adds."""

    def __init__(self, ws: Workspace, node: Lookup, fields: list[Field]) -> None:
        self._node = node
        self._fields = fields
        self.trouble = ""
        self.rows = _read(ws, node, fields)

    def refresh(self, ws: Workspace) -> bool:
        """Read the table again when there is a newer version; whether there was. Not for the event loop.

        What cannot be read leaves what is there in force; it is said once in the log.
        """
        try:
            if get_table(ws, self._node.table).version == self.rows.version:
                return False
            self.rows = _read(ws, self._node, self._fields)
            self.trouble = ""
        except HomeostatError as error:
            if self.trouble != str(error):
                log.error("the lookup in table %s stays at version %d: %s", self._node.table, self.rows.version, error)
            self.trouble = str(error)
            return False
        return True


def _read(ws: Workspace, node: Lookup, fields: list[Field]) -> Rows:
    table = get_table(ws, node.table)
    if table.rows > MAX_ROWS:
        raise TooLarge(f"table '{node.table}' has {table.rows} rows; a lookup holds at most {MAX_ROWS} in memory")
    wanted = list(dict.fromkeys([*node.key, *node.columns]))
    frame = to_polars(read_table(ws, node.table, version=table.version, columns=wanted)).drop_nulls(node.key)
    keys = [[k.encode() if isinstance(k, str) else k for k in frame[name].to_list()] for name in node.key]
    index: dict[Any, int] = {}
    for at, key in enumerate(keys[0] if len(keys) == 1 else zip(*keys, strict=True)):
        index[key] = at
    arrays = {field.name: _array(frame[field.name].to_list(), field, node) for field in fields}
    return Rows(table.version, index, arrays)


def _array(values: list[Any], field: Field, node: Lookup) -> Array:
    default: Any = node.defaults.get(field.name)
    if field.dtype == "BYTES":
        missing = (default or "").encode()
        return np.array([missing if v is None else v.encode() for v in [*values, None]], dtype=object)
    missing = float("nan") if default is None else default
    target = tensors.NUMPY[field.dtype]
    return np.array([missing if v is None else v for v in [*values, None]], dtype=target)
