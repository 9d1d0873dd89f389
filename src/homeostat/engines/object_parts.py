"""Parts of files in an object store: their senders put them there themselves, at addresses signed for a while.

Each part is an object of its own below `parts/`, and not one of the store's own multipart uploads: these end under a
name that is given before the content is known, and bytes are named by their content here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from homeostat.core.extras import require
from homeostat.core.ids import new_hex_id
from homeostat.core.parts import Address, Incoming, Part, Parts, Sink, check_upload, no_part, no_upload, other_part
from homeostat.core.space import room_in

_ABOUT = "about"
_PIECE = 4 << 20


class ObjectParts(Parts):
    """Parts below `prefix` in `store`; `headers` go with each one that is put at a signed address.

    `failed` makes one of our errors of what `obstore` raises.
    """

    def __init__(self, store: Any, prefix: str, headers: dict[str, str], failed: Callable[[Exception], Exception]):
        self._obstore = require("obstore", extra="s3")
        self._store, self._prefix, self._headers, self._failed = store, prefix, headers, failed

    def begin(self, about: bytes) -> str:
        upload = new_hex_id()
        self._put(self._key(upload, _ABOUT), about)
        return upload

    def about(self, upload: str) -> bytes:
        key = self._key(upload, _ABOUT)
        try:
            return bytes(self._obstore.get(self._store, key).bytes())
        except FileNotFoundError:
            raise no_upload(upload) from None
        except Exception as error:  # obstore raises one class a provider
            raise self._failed(error) from error

    def address(self, upload: str, number: int, seconds: int) -> Address | None:
        key = self._key(upload, str(number))
        try:
            url = self._obstore.sign(self._store, "PUT", key, timedelta(seconds=seconds))
        except Exception as error:
            raise self._failed(error) from error
        return Address(url=url, headers=self._headers)

    def receive(self, upload: str, number: int) -> Incoming[str]:
        self.about(upload)
        return _PartObject(lambda path: self._put(self._key(upload, str(number)), path))

    def size(self, upload: str, parts: list[Part]) -> int:
        return sum(int(self._head(upload, part)["size"]) for part in parts)

    def pour(self, upload: str, parts: list[Part], into: Sink) -> None:
        for part in parts:
            known = str(self._head(upload, part)["e_tag"] or "").strip('"')
            if part.tag and known and part.tag != known:
                raise other_part(part.number)
            try:
                found = self._obstore.get(self._store, self._key(upload, str(part.number)))
                for piece in found.stream(min_chunk_size=_PIECE):
                    into.write(bytes(piece))
            except FileNotFoundError:
                raise no_part(part.number) from None

    def drop(self, upload: str) -> None:
        self._delete([key for key, _ in self._listed(f"{check_upload(upload)}/")])

    def sweep(self, before_ms: int) -> int:
        newest: dict[str, int] = {}
        keys: dict[str, list[str]] = {}
        for key, put_ms in self._listed(""):
            upload = key.rpartition("/")[0].rpartition("/")[2]
            newest[upload] = max(newest.get(upload, 0), put_ms)
            keys.setdefault(upload, []).append(key)
        old = [upload for upload, put_ms in newest.items() if put_ms < before_ms]
        for upload in old:
            self._delete(keys[upload])
        return len(old)

    def _key(self, upload: str, name: str) -> str:
        return f"{self._prefix}{check_upload(upload)}/{name}"

    def _head(self, upload: str, part: Part) -> Any:
        key = self._key(upload, str(part.number))
        try:
            return self._obstore.head(self._store, key)
        except FileNotFoundError:
            raise no_part(part.number) from None
        except Exception as error:
            raise self._failed(error) from error

    def _put(self, key: str, source: bytes | Path) -> dict[str, Any]:
        try:
            return self._obstore.put(self._store, key, source)
        except Exception as error:
            raise self._failed(error) from error

    def _listed(self, below: str) -> list[tuple[str, int]]:
        try:
            return [
                (entry["path"], int(entry["last_modified"].timestamp() * 1000))
                for page in self._obstore.list(self._store, prefix=f"{self._prefix}{below}".rstrip("/"))
                for entry in page
            ]
        except Exception as error:
            raise self._failed(error) from error

    def _delete(self, keys: list[str]) -> None:
        try:
            self._obstore.delete(self._store, keys)
        except FileNotFoundError:  # another one was faster
            pass
        except Exception as error:
            raise self._failed(error) from error


class _PartObject:
    """A part that comes through this machine: on disk until it is whole."""

    def __init__(self, put: Callable[[Path], dict[str, Any]]) -> None:
        self._put = put
        self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - open until it is kept or dropped

    def write(self, data: bytes | bytearray, /) -> None:
        with room_in(Path(self._file.name).parent):
            self._file.write(data)

    def keep(self) -> str:
        self._file.flush()
        return str(self._put(Path(self._file.name)).get("e_tag") or "").strip('"')

    def drop(self) -> None:
        self._file.close()
