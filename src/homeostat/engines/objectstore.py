"""Blobs in an S3-like object store, through `obstore`: `s3://bucket/prefix`, `gs://…`, `az://…`, `memory://`.

Credentials and endpoints come from the store's usual environment variables. Content read once is kept in a cache
folder of the home.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from homeostat.core.blobs import BlobStore, Entry, check_digest, damaged, digest_of, digest_of_file, missing
from homeostat.core.clock import now_ms
from homeostat.core.errors import HomeostatError, Unavailable
from homeostat.core.extras import require
from homeostat.core.parts import FolderParts, Parts
from homeostat.engines.localfs import LocalBlobs
from homeostat.engines.object_parts import ObjectParts

_OLD_MS = 600_000
_PIECE = 4 << 20


def _ms(entry: Any) -> int:
    return int(entry["last_modified"].timestamp() * 1000)


class ObjectBlobs(BlobStore):
    """A blob store below `url` in an object store."""

    _in_memory: ClassVar[dict[str, Any]] = {}

    def __init__(self, url: str, home: Path) -> None:
        self._obstore = require("obstore", extra="s3")
        stores = require("obstore.store", extra="s3")
        parts = urlsplit(url)
        self._prefix = parts.path.strip("/")
        if parts.scheme == "memory":
            self._store = self._in_memory.setdefault(parts.netloc, stores.MemoryStore())
        else:
            options = {"allow_http": True} if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://") else {}
            root = f"{parts.scheme}://{parts.netloc}"
            self._store = stores.from_url(root, client_options=options or None)
        self._signs = parts.scheme != "memory"
        self._parts = self._parts_at(parts.scheme, home)
        self._cache = LocalBlobs((home / "cache" / "blobs").absolute().as_uri(), home)

    def put_bytes(self, data: bytes) -> str:
        digest = digest_of(data)
        if self._is_old(digest):
            self._put(digest, data)
        return digest

    def put_file(self, path: str | os.PathLike[str]) -> str:
        digest = digest_of_file(path)
        if self._is_old(digest):
            self._put(digest, Path(path))
        return digest

    def get_bytes(self, digest: str) -> bytes:
        key = self._key(digest)
        try:
            data = bytes(self._obstore.get(self._store, key).bytes())
        except FileNotFoundError:
            raise missing(digest) from None
        except Exception as error:  # obstore raises one class a provider
            raise self._unreachable(error) from error
        if digest_of(data) != digest:
            raise damaged(digest)
        return data

    def local_path(self, digest: str) -> Path:
        if not self._cache.exists(digest):
            self._fetch(digest)
        return self._cache.local_path(digest)

    @property
    def parts(self) -> Parts:
        return self._parts

    @property
    def signs(self) -> bool:
        return self._signs

    def address(self, digest: str, seconds: int) -> str:
        if not (self._signs and self.exists(digest)):
            raise missing(digest)
        try:
            return self._obstore.sign(self._store, "GET", self._key(digest), timedelta(seconds=seconds))
        except Exception as error:
            raise self._unreachable(error) from error

    def exists(self, digest: str) -> bool:
        return self._put_ms(digest) is not None

    def digests(self) -> Iterator[str]:
        try:
            for page in self._obstore.list(self._store, prefix=self._prefix or None):
                yield from (name for entry in page if len(name := entry["path"].rpartition("/")[2]) == 64)
        except Exception as error:
            raise self._unreachable(error) from error

    def entries(self) -> Iterator[Entry]:
        try:
            for page in self._obstore.list(self._store, prefix=self._prefix or None):
                for entry in page:
                    if len(name := entry["path"].rpartition("/")[2]) == 64:
                        yield Entry(digest=name, size=entry["size"], put_ms=_ms(entry))
        except Exception as error:
            raise self._unreachable(error) from error

    def remove(self, digest: str, before_ms: int) -> bool:
        key, put_ms = self._key(digest), self._put_ms(digest)
        if put_ms is None or put_ms >= before_ms:
            return False
        try:
            self._obstore.delete(self._store, key)
        except Exception as error:
            raise self._unreachable(error) from error
        self._cache.remove(digest, now_ms() + 1)
        return True

    def beginning(self, digest: str) -> bytes:
        if self._cache.exists(digest):
            return self._cache.beginning(digest)
        key = self._key(digest)
        try:
            empty = self._obstore.head(self._store, key)["size"] == 0
            return b"" if empty else bytes(self._obstore.get_range(self._store, key, start=0, end=1))
        except FileNotFoundError:
            raise missing(digest) from None
        except Exception as error:
            raise self._unreachable(error) from error

    def _fetch(self, digest: str) -> None:
        key, incoming = self._key(digest), self._cache.receive()
        try:
            try:
                for piece in self._obstore.get(self._store, key).stream(min_chunk_size=_PIECE):
                    incoming.write(bytes(piece))
            except FileNotFoundError:
                raise missing(digest) from None
            except HomeostatError:
                raise
            except Exception as error:
                raise self._unreachable(error) from error
            if incoming.digest != digest:
                raise damaged(digest)
            incoming.keep()
        finally:
            incoming.drop()

    def _parts_at(self, scheme: str, home: Path) -> Parts:
        if not self._signs:
            return FolderParts(home / "parts")
        # Azure wants to be told what kind of object it gets.
        headers = {"x-ms-blob-type": "BlockBlob"} if scheme in ("az", "azure", "abfs", "abfss", "adl") else {}
        prefix = f"{self._prefix}/parts/" if self._prefix else "parts/"
        return ObjectParts(self._store, prefix, headers, self._unreachable)

    def _put_ms(self, digest: str) -> int | None:
        key = self._key(digest)
        try:
            return _ms(self._obstore.head(self._store, key))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._unreachable(error) from error

    def _is_old(self, digest: str) -> bool:
        """Whether it is to be put: it is not there, or so old that garbage may be collected just now."""
        put_ms = self._put_ms(digest)
        return put_ms is None or put_ms < now_ms() - _OLD_MS

    def _key(self, digest: str) -> str:
        key = f"{check_digest(digest)[:2]}/{digest}"
        return f"{self._prefix}/{key}" if self._prefix else key

    def _put(self, digest: str, source: bytes | Path) -> None:
        try:
            self._obstore.put(self._store, self._key(digest), source)
        except Exception as error:
            raise self._unreachable(error) from error

    @staticmethod
    def _unreachable(error: Exception) -> Unavailable:
        first = str(error).strip().splitlines()[0][:300]
        return Unavailable(f"the object store does not answer as it should: {first}", hint="check its address and keys")
