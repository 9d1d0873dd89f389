"""Values to bytes and back: what one step gives and another takes, possibly on another day.

Data frames become Parquet, arrays `.npy`, paths trees or files, plain values JSON, lists, tuples and dicts their
parts. Anything else is pickled; pickles are read back in step processes only, never in a server.
"""

from __future__ import annotations

import io
import math
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from homeostat.core.blobs import BlobStore, digest_of
from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.extras import require
from homeostat.core.records import canonical_json
from homeostat.pipelines.model import Value

if TYPE_CHECKING:
    import numpy
    import polars

# JSON texts up to this many bytes stand in the record itself instead of in a blob.
_INLINE = 4096
_INT64 = 1 << 63


def identity(value: Value) -> str:
    """What the value is, in 64 digits: equal for equal content, whatever run made it."""
    inner = [identity(item) for item in value.items]
    return digest_of(canonical_json([value.codec, value.digest, value.data, inner, value.keys, value.note]).encode())


def encode(value: Any, blobs: BlobStore) -> Value:
    """`value` at rest, its bytes in `blobs`.

    Raises: InvalidInput for what cannot be kept (an open file, a lock, a generator), naming its type.
    """
    if is_json(value):
        text = canonical_json(value)
        if len(text) <= _INLINE:
            return Value(codec="json", data=value, size=len(text))
        return _blob("json", text.encode(), blobs)
    if type(value) in (list, tuple):
        return Value(codec=type(value).__name__, items=[encode(item, blobs) for item in value])
    if type(value) is dict and all(type(key) is str for key in value):
        return Value(codec="dict", keys=list(value), items=[encode(item, blobs) for item in value.values()])
    if isinstance(value, (bytes, bytearray)):
        return _blob("bytes", bytes(value), blobs)
    if isinstance(value, Path):
        return _encode_path(value, blobs)
    return _encode_library(value, blobs) or _encode_pickle(value, blobs)


def decode(value: Value, blobs: BlobStore, folder: Path, *, unpickle: bool = False) -> Any:
    """The value again. Files and folders are written below `folder`; pickles need `unpickle`.

    Raises: Refused for a pickle where it is not allowed; NotFound or Corrupt when the bytes are gone or damaged.
    """
    if value.codec in ("list", "tuple"):
        parts = [decode(item, blobs, folder, unpickle=unpickle) for item in value.items]
        return parts if value.codec == "list" else tuple(parts)
    if value.codec == "dict":
        return {
            key: decode(item, blobs, folder, unpickle=unpickle)
            for key, item in zip(value.keys, value.items, strict=True)
        }
    if value.codec == "json" and not value.digest:
        return value.data
    if value.codec == "pickle":
        if not unpickle:
            raise Refused(
                f"a pickled {value.note} is read in step processes only",
                hint="return a data frame, an array, JSON values or a Path to read it here",
                digest=value.digest,
            )
        return pickle.loads(blobs.get_bytes(value.digest))  # noqa: S301 - written by this workspace's own step
    if value.codec not in _DECODERS:
        raise InvalidInput(f"there is no codec '{value.codec}'", hint="was it written by a newer Homeostat?")
    return _DECODERS[value.codec](value, blobs, folder)


def is_json(value: Any) -> bool:
    """Whether JSON gives back exactly `value`: no NaN, no tuple, no number beyond 64 bits, text keys only."""
    kind = type(value)
    if value is None or kind is bool:
        return True
    if kind is str:
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    if kind is int:
        return -_INT64 <= value < _INT64
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(is_json(item) for item in value)
    return kind is dict and all(type(key) is str and is_json(key) and is_json(item) for key, item in value.items())


def blobs_of(value: Value) -> list[str]:
    """Digests of all the bytes that `value` needs."""
    own = [value.digest] if value.digest else []
    return own + [digest for item in value.items for digest in blobs_of(item)]


def _blob(codec: str, data: bytes, blobs: BlobStore, note: str = "") -> Value:
    return Value(codec=codec, digest=blobs.put_bytes(data), size=len(data), note=note)


def _encode_path(path: Path, blobs: BlobStore) -> Value:
    if path.is_dir():
        tree = blobs.put_tree(path)
        return Value(codec="folder", digest=tree.digest, size=tree.size, note=path.name)
    if path.is_file():
        return Value(codec="file", digest=blobs.put_file(path), size=path.stat().st_size, note=path.name)
    raise InvalidInput(f"{path} is neither a file nor a folder", hint="write it before the step returns its path")


def _encode_library(value: Any, blobs: BlobStore) -> Value | None:
    """The value if it belongs to a library that is loaded and known here; nothing is imported to find out."""
    pl, pa, pd, np = (sys.modules.get(name) for name in ("polars", "pyarrow", "pandas", "numpy"))
    if np is not None:
        if isinstance(value, np.generic) and not isinstance(value, np.void):
            plain = value.item()
            return encode(plain, blobs) if is_json(plain) else None
        if type(value) is np.ndarray and not value.dtype.hasobject:
            return _blob("numpy", _npy(value), blobs)
    if pl is not None:
        if isinstance(value, pl.LazyFrame):
            return _parquet(value.collect(), blobs, "polars.LazyFrame")
        if isinstance(value, pl.DataFrame) and not any(kind == pl.Object for kind in value.dtypes):
            return _parquet(value, blobs, "polars.DataFrame")
    if pa is not None and isinstance(value, pa.Table):
        return _arrow(value, blobs, "pyarrow.Table")
    if pd is not None and type(value) is pd.DataFrame:
        try:
            return _arrow(require("pyarrow", "data").Table.from_pandas(value), blobs, "pandas.DataFrame")
        except ValueError:  # columns of mixed Python objects have no Arrow type (ArrowInvalid is a ValueError)
            return None
    return None


def _npy(array: numpy.ndarray) -> bytes:
    sink = io.BytesIO()
    require("numpy", "data").lib.format.write_array(sink, array, allow_pickle=False)
    return sink.getvalue()


def _parquet(frame: polars.DataFrame, blobs: BlobStore, note: str) -> Value:
    sink = io.BytesIO()
    frame.write_parquet(sink, compression="lz4", statistics=False)
    return _blob("parquet", sink.getvalue(), blobs, note)


def _arrow(table: Any, blobs: BlobStore, note: str) -> Value:
    sink = io.BytesIO()
    require("pyarrow.parquet", "data").write_table(table, sink, compression="lz4")
    return _blob("parquet", sink.getvalue(), blobs, note)


def _encode_pickle(value: Any, blobs: BlobStore) -> Value:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception as error:  # pickling runs the value's own code, which may raise anything
        raise InvalidInput(
            f"a {kind} cannot be kept: {error}",
            hint="return data frames, arrays, JSON values, a Path, or something that pickle accepts",
        ) from error
    return _blob("pickle", data, blobs, kind)


def _read_parquet(value: Value, blobs: BlobStore, _: Path) -> Any:
    path = blobs.local_path(value.digest)
    if value.note == "polars.LazyFrame":
        return require("polars", "data").scan_parquet(path)
    if value.note == "polars.DataFrame":
        # Not memory-mapped: the frame must not change should the file ever go.
        return require("polars", "data").read_parquet(path, memory_map=False)
    table = require("pyarrow.parquet", "data").read_table(path)
    return table.to_pandas() if value.note == "pandas.DataFrame" else table


def _read_file(value: Value, blobs: BlobStore, folder: Path) -> Path:
    place = folder / value.digest[:16]
    place.mkdir(parents=True, exist_ok=True)
    target = place / (value.note or "file")
    if not target.exists():
        partial = place / ".partial"
        partial.write_bytes(blobs.get_bytes(value.digest))
        partial.replace(target)
    return target


def _read_folder(value: Value, blobs: BlobStore, folder: Path) -> Path:
    return blobs.materialise_tree(value.digest, folder / value.digest[:16] / (value.note or "folder"))


_DECODERS: dict[str, Callable[[Value, BlobStore, Path], Any]] = {
    "json": lambda value, blobs, _: msgspec.json.decode(blobs.get_bytes(value.digest)),
    "bytes": lambda value, blobs, _: blobs.get_bytes(value.digest),
    "numpy": lambda value, blobs, _: require("numpy", "data").load(
        io.BytesIO(blobs.get_bytes(value.digest)), allow_pickle=False
    ),
    "parquet": _read_parquet,
    "file": _read_file,
    "folder": _read_folder,
}
