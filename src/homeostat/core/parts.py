"""Files that arrive in parts: several at a time, in any order, each again when it was lost; then they are one.

An upload is named by 32 random hexadecimal digits. Who knows them may send its parts, so they are told to nobody but
the one who began it. What is never completed goes when garbage is collected.
"""

from __future__ import annotations

import os
import re
import shutil
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import blake3

from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.ids import new_hex_id
from homeostat.core.records import Record
from homeostat.core.space import room_in

Kept_co = TypeVar("Kept_co", covariant=True)

_UPLOAD = re.compile(r"[0-9a-f]{32}\Z")
_ABOUT = "about"
_PIECE = 1 << 20


class Address(Record):
    """Where a part is put by HTTP, and the headers it needs."""

    url: str
    headers: dict[str, str]


class Part(Record):
    """A part as its sender knows it: its number from 1, and what the answer called its content; empty: not known."""

    number: int
    tag: str = ""


class Sink(Protocol):
    """What takes the bytes of all parts, in order."""

    def write(self, data: bytes | bytearray, /) -> None:
        """Add `data` at the end."""


class Incoming(Protocol[Kept_co]):
    """Bytes on their way: `write` their pieces, then `keep` them, or `drop` them."""

    def write(self, data: bytes | bytearray, /) -> None:
        """Add `data` at the end."""

    def keep(self) -> Kept_co:
        """All pieces are there: what they are called from now on."""
        ...

    def drop(self) -> None:
        """Forget them; nothing after `keep`."""


class Parts(ABC):
    """Where parts wait for each other."""

    @abstractmethod
    def begin(self, about: bytes) -> str:
        """The name of a new upload; `about` is kept with it."""

    @abstractmethod
    def about(self, upload: str) -> bytes:
        """What was said of the upload when it began. Raises NotFound."""

    def address(self, upload: str, number: int, seconds: int) -> Address | None:
        """Where the part may be put for so long, without this machine; None where it goes through this one."""
        return None

    @abstractmethod
    def receive(self, upload: str, number: int) -> Incoming[str]:
        """A part that arrives here; it replaces one of the same number. Raises NotFound."""

    @abstractmethod
    def size(self, upload: str, parts: list[Part]) -> int:
        """Bytes of `parts` together. Raises InvalidInput for one that is not there."""

    @abstractmethod
    def pour(self, upload: str, parts: list[Part], into: Sink) -> None:
        """The bytes of `parts`, one after the other. Raises InvalidInput for one that is another than it is called."""

    @abstractmethod
    def drop(self, upload: str) -> None:
        """Forget the upload and its parts; one that is not there is gone already."""

    @abstractmethod
    def sweep(self, before_ms: int) -> int:
        """Drop the uploads to which nothing has come since; how many they were."""


def check_upload(upload: str) -> str:
    """`upload` if it has the shape of an upload's name; it may then be used in paths. Raises NotFound."""
    if not _UPLOAD.match(upload):
        raise no_upload(upload)
    return upload


def no_upload(upload: str) -> NotFound:
    """The error for an upload that is not under way."""
    return NotFound(f"there is no upload {upload[:32]!r}", hint="it was completed or given up; begin anew")


def no_part(number: int) -> InvalidInput:
    """The error for a part that is not there."""
    return InvalidInput(f"part {number} of the upload is not there", hint="send it, then complete the upload")


def other_part(number: int) -> InvalidInput:
    """The error for a part whose content is another than its sender says."""
    return InvalidInput(f"part {number} of the upload is another than the one named", hint="send it again")


class FolderParts(Parts):
    """Parts as files of `folder`, one folder for each upload."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, about: bytes) -> str:
        upload = new_hex_id()
        with room_in(self._folder):
            (self._folder / upload).mkdir(parents=True)
            (self._folder / upload / _ABOUT).write_bytes(about)
        return upload

    def about(self, upload: str) -> bytes:
        try:
            return (self._of(upload) / _ABOUT).read_bytes()
        except FileNotFoundError:
            raise no_upload(upload) from None

    def receive(self, upload: str, number: int) -> Incoming[str]:
        return _PartFile(self._of(upload), number, upload)

    def size(self, upload: str, parts: list[Part]) -> int:
        return sum(self._path(upload, part.number).stat().st_size for part in parts)

    def pour(self, upload: str, parts: list[Part], into: Sink) -> None:
        for part in parts:
            hasher = blake3.blake3()
            with self._path(upload, part.number).open("rb") as file:
                while piece := file.read(_PIECE):
                    hasher.update(piece)
                    into.write(piece)
            if part.tag not in ("", hasher.hexdigest()):
                raise other_part(part.number)

    def drop(self, upload: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._of(upload))

    def sweep(self, before_ms: int) -> int:
        gone = 0
        for found in self._folder.glob("*/"):
            with suppress(FileNotFoundError):
                if _UPLOAD.match(found.name) and found.stat().st_mtime_ns // 1_000_000 < before_ms:
                    shutil.rmtree(found)
                    gone += 1
        return gone

    def _of(self, upload: str) -> Path:
        return self._folder / check_upload(upload)

    def _path(self, upload: str, number: int) -> Path:
        path = self._of(upload) / str(number)
        if not path.is_file():
            raise no_part(number)
        return path


class _PartFile:
    """A part that is written beside and then takes its number. It is no promise yet, so nothing waits for the disk."""

    def __init__(self, folder: Path, number: int, upload: str) -> None:
        self._path = folder / str(number)
        self._beside = folder / f"{number}-{new_hex_id()}"
        self._hasher = blake3.blake3()
        try:
            with room_in(folder):
                self._file = open(self._beside, "xb", buffering=0)  # noqa: SIM115 - open until it is kept or dropped
        except FileNotFoundError:
            raise no_upload(upload) from None

    def write(self, data: bytes | bytearray, /) -> None:
        self._hasher.update(data)
        view = memoryview(data)
        with room_in(self._path.parent):
            while view:
                view = view[self._file.write(view) :]

    def keep(self) -> str:
        self._file.close()
        try:
            os.replace(self._beside, self._path)
        except FileNotFoundError:  # given up meanwhile
            raise no_upload(self._path.parent.name) from None
        return self._hasher.hexdigest()

    def drop(self) -> None:
        self._file.close()
        self._beside.unlink(missing_ok=True)
