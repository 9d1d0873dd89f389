"""skops: a scikit-learn model as a zip of arrays and a schema, which loads without running code of the file.

The same model gives the same bytes: the zip carries no times, and its files no names drawn by chance.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any, cast

from homeostat.core.errors import InvalidInput, Refused
from homeostat.core.extras import require

FILE = "model.skops"
_SCHEMA = "schema.json"


def dump_skops(estimator: Any) -> bytes:
    """The estimator as skops keeps it. Raises: InvalidInput when it holds types of neither scikit-learn nor skops."""
    io_of = require("skops.io", extra="skops")
    try:
        data = io_of.dumps(estimator)
        unknown = _unknown(io_of, data)
    except Exception as error:  # skops raises what the model's own state raises
        raise InvalidInput(f"skops cannot keep this {type(estimator).__name__}: {str(error)[:200]}",
                           hint="leave out pickled=False") from error  # fmt: skip
    foreign = [name for name in unknown if not name.startswith("sklearn.")]
    if foreign:
        raise InvalidInput(f"skops does not know '{foreign[0]}' to be harmless", hint="leave out pickled=False",
                           types=foreign)  # fmt: skip
    return _named_in_order(data)


def load_skops(data: bytes, trusted: bool) -> Any:
    """The estimator. Types that skops does not know to be harmless (a tree's nodes) are loaded only when `trusted`.

    Raises: Refused for such a type; InvalidInput for what is no such file.
    """
    io_of = require("skops.io", extra="skops")
    try:
        unknown = _unknown(io_of, data)
        if unknown and not trusted:
            raise Refused(
                f"the model holds a '{unknown[0]}', which skops does not know to be harmless",
                hint="load_model(ws, …, unpickle=True) in a process of your own, if you trust whoever registered it",
            )
        return io_of.loads(data, trusted=unknown)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise InvalidInput(f"this is not a model of skops: {str(error)[:200]}") from error


def is_harmless(data: bytes) -> bool:
    """Whether skops knows every type of the file, so that anybody may load it."""
    return not _unknown(require("skops.io", extra="skops"), data)


def types_of(data: bytes) -> list[str]:
    """The types that the file names, such as "sklearn.pipeline.Pipeline", sorted. Nothing is loaded."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        rest: list[Any] = [json.loads(file.read(_SCHEMA))]
    found: set[str] = set()
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            fields = cast("dict[str, Any]", one)
            if isinstance(fields.get("__module__"), str):
                found.add(f"{fields['__module__']}.{fields.get('__class__')}")
            rest.extend(fields.values())
        elif isinstance(one, list):
            rest.extend(cast("list[Any]", one))
    return sorted(found)


def _unknown(io_of: Any, data: bytes) -> list[str]:
    return sorted(io_of.get_untrusted_types(data=data))


def _named_in_order(data: bytes) -> bytes:
    """The same file with objects numbered as they come, instead of by their place in memory, and without times."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        files = {name: old.read(name) for name in old.namelist()}
    schema = files.pop(_SCHEMA).decode()
    stems = {name.partition(".")[0] for name in files}
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        old = str(found[1] or found[2])
        if found[2] and old not in stems:
            return found[0]  # a text of the model that looks like a name
        return found[0].replace(old, numbers.setdefault(old, str(len(numbers))))

    schema = re.sub(r'"__id__": (\d+)|": "(\d+)\.\w+"', number, schema)
    kept = io.BytesIO()
    renamed = {f"{numbers.get(name.partition('.')[0], name)}.{name.partition('.')[2]}": name for name in files}
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr(zipfile.ZipInfo(_SCHEMA), schema, zipfile.ZIP_DEFLATED)
        for name in sorted(renamed):
            new.writestr(zipfile.ZipInfo(name), files[renamed[name]], zipfile.ZIP_DEFLATED)
    return kept.getvalue()
