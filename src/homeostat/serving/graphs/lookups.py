"""Rows of a table, or features of a view, in memory, found by key: what a lookup adds to a request."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from homeostat.core.clock import now_ms
from homeostat.core.errors import HomeostatError, NotFound, TooLarge
from homeostat.core.frames import to_polars
from homeostat.core.workspace import Workspace
from homeostat.data import get_table, read_table
from homeostat.features import FeatureView, Windows
from homeostat.registry import Field
from homeostat.serving import tensors
from homeostat.serving.graphs.checking import keys_of
from homeostat.serving.graphs.nodes import Lookup
from homeostat.serving.tensors import Array

if TYPE_CHECKING:
    import polars as pl

    from homeostat.features import PreparedView

log = logging.getLogger("homeostat.serving")
MAX_ROWS = 5_000_000


class Rows:
    """A version of the table: never changed, replaced as a whole. Each array ends with what a missing key gives."""

    __slots__ = ("arrays", "index")

    def __init__(self, index: dict[Any, int], arrays: dict[str, Array]) -> None:
        self.index = index
        self.arrays = arrays

    def find(self, keys: list[list[Any]]) -> Found:
        """The columns for rows whose keys are given column by column."""
        get = self.index.get
        wanted = keys[0] if len(keys) == 1 else list(zip(*keys, strict=True))
        places = np.fromiter((get(key, -1) for key in wanted), "<i8", len(wanted))
        return Found({name: array[places] for name, array in self.arrays.items()}, places >= 0)


class Features:
    """A view over a version of its source, asked as of now."""

    __slots__ = ("_defaults", "_key", "_prepared")

    def __init__(self, prepared: PreparedView, key: list[str], defaults: dict[str, float]) -> None:
        self._prepared = prepared
        self._key = key
        self._defaults = defaults

    def find(self, keys: list[list[Any]]) -> Found:
        """As `Rows.find`."""
        named = {
            name: [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in column]
            for name, column in zip(self._key, keys, strict=True)
        }
        features, there = self._prepared.of_keys(named, now_ms())
        found: dict[str, Array] = {}
        for name, missing in self._defaults.items():
            values = features[name].astype("<f4")
            values[np.isnan(values)] = missing
            found[name] = values
        return Found(found, there)


class Found(NamedTuple):
    """What a lookup adds to rows, and which of them have their keys there."""

    columns: dict[str, Array]
    there: Array


class LookupTable(ABC):
    """What a lookup reads, in the newest version that this process has read."""

    def __init__(self, ws: Workspace, node: Lookup, table: str, key: list[str]) -> None:
        self._node = node
        self._table = table
        self.key = key
        self.trouble = ""
        self.version, self._rows = self._read(ws)

    @abstractmethod
    def _read(self, ws: Workspace) -> tuple[int, Rows | Features]:
        """The newest version of the table, and what it holds."""

    def find(self, keys: list[list[Any]]) -> dict[str, Array]:
        """The columns for rows whose keys are given column by column.

        Raises: NotFound for a key that is not there, where that is refused.
        """
        found = self._rows.find(keys)
        if self._node.missing == "refuse" and not found.there.all():
            row = int(np.argmin(found.there))
            told = ", ".join(f"{name}={_shown(column[row])}" for name, column in zip(self.key, keys, strict=True))
            raise NotFound(f"'{self._node.source}' has no {told[:200]} (row {row})")
        return found.columns

    def refresh(self, ws: Workspace) -> bool:
        """Read the table again when there is a newer version; whether there was. Not for the event loop.

        What cannot be read leaves what is there in force; it is said once in the log.
        """
        try:
            if get_table(ws, self._table).version == self.version:
                return False
            self.version, self._rows = self._read(ws)
            self.trouble = ""
        except HomeostatError as error:
            if self.trouble != str(error):
                log.error("the lookup in table %s stays at version %d: %s", self._table, self.version, error)
            self.trouble = str(error)
            return False
        return True


class TableLookup(LookupTable):
    """Rows of a table. `fields` are the columns that it adds."""

    def __init__(self, ws: Workspace, node: Lookup, fields: list[Field]) -> None:
        self._fields = fields
        super().__init__(ws, node, node.table, node.key)

    def _read(self, ws: Workspace) -> tuple[int, Rows]:
        node = self._node
        version, frame = _frame(ws, node.table, [*node.key, *node.columns])
        frame = frame.drop_nulls(node.key)
        keys = [[k.encode() if isinstance(k, str) else k for k in frame[name].to_list()] for name in node.key]
        index: dict[Any, int] = {}
        for at, key in enumerate(keys[0] if len(keys) == 1 else zip(*keys, strict=True)):
            index[key] = at
        return version, Rows(index, {f.name: _array(frame[f.name].to_list(), f, node) for f in self._fields})


class ViewLookup(LookupTable):
    """Features of a view."""

    def __init__(self, ws: Workspace, node: Lookup, view: FeatureView) -> None:
        self._view = view
        super().__init__(ws, node, view.source, keys_of(view))

    def _read(self, ws: Workspace) -> tuple[int, Features]:
        view, node = self._view, self._node
        wanted = [*self.key, *([view.known_at] if view.known_at else [])]
        for feature in view.features:
            wanted += [feature.value] if isinstance(feature, Windows) else feature.values
        from homeostat.features import PreparedView

        version, frame = _frame(ws, view.source, wanted)
        defaults = {name: float(node.defaults.get(name, float("nan"))) for name in node.columns or view.columns}
        return version, Features(PreparedView(view, frame), self.key, defaults)


def _frame(ws: Workspace, name: str, columns: list[str]) -> tuple[int, pl.DataFrame]:
    table = get_table(ws, name)
    if table.rows > MAX_ROWS:
        raise TooLarge(f"table '{name}' has {table.rows} rows; a lookup holds at most {MAX_ROWS} in memory")
    wanted = list(dict.fromkeys(columns))
    return table.version, to_polars(read_table(ws, name, version=table.version, columns=wanted))


def _shown(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _array(values: list[Any], field: Field, node: Lookup) -> Array:
    default: Any = node.defaults.get(field.name)
    if field.dtype == "BYTES":
        missing = (default or "").encode()
        return np.array([missing if v is None else v.encode() for v in [*values, None]], dtype=object)
    missing = float("nan") if default is None else default
    target = tensors.NUMPY[field.dtype]
    return np.array([missing if v is None else v for v in [*values, None]], dtype=target)
