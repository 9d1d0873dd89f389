"""The spool of a run: a file on this machine's disk that holds what was logged until the workspace has it.

Each process that logs to a run has a folder of its own below `runs` in the home, with an append-only file `log`, and
`sent`, how far the workspace has it. A frame is length, CRC-32 and MessagePack; what a dying process has half written
is recognised and left out. Appending is one write to the operating system: it survives the death of the process at
once. `sync_disk` makes it survive the death of the machine.

The file is locked by the process that writes it, and the lock ends with the process, however it ends: whose lock can be
taken has nobody any more, and others may deliver it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from homeostat.core.errors import InvalidInput, StorageFull

if TYPE_CHECKING:
    from homeostat.core.workspace import Workspace

_HEAD = struct.Struct("<II")
_OFFSET = struct.Struct("<Q")
_MOST = 1 << 24
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_encode = msgspec.msgpack.Encoder().encode

Frame = tuple[Any, ...]
"""What was logged: its kind ("begin", "m", "params", "tags", "file", "media", "end"), then its values."""


class Spool:
    """The spool of this process for one run. Any thread may append."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._lock = threading.Lock()
        self._fd = os.open(folder / "log", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)  # at most a moment: who looks for what is left lets empty files go
        self._files = 0
        self._head = b""

    def append(self, *frame: Any) -> None:
        """Add a frame; the operating system has it when this returns.

        Raises: InvalidInput for what cannot be kept; StorageFull when the disk is full, and nothing is added.
        """
        try:
            body = _encode(frame)
        except (OverflowError, TypeError) as error:
            raise InvalidInput(f"this cannot be logged: {error}", hint="steps are integers of 64 bits") from error
        data = _HEAD.pack(len(body), zlib.crc32(body)) + body
        with self._lock:
            self._head = self._head or data
            self._write(data)

    def keep(self, content: bytes | Path) -> str:
        """A copy of bytes, or of a file, in the spool's folder; its name there."""
        with self._lock:
            self._files += 1
            name = f"file-{self._files}"
        try:
            if isinstance(content, bytes):
                (self.folder / name).write_bytes(content)
            else:
                shutil.copyfile(content, self.folder / name)
        except OSError as error:
            (self.folder / name).unlink(missing_ok=True)
            raise _full(self.folder, error) from error
        return name

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._fd).st_size

    def sync_disk(self) -> None:
        """Make what was appended survive the death of the machine."""
        os.fsync(self._fd)

    def start_again(self, delivered: int) -> bool:
        """Drop what is delivered, when that is everything: the file holds its first frame only."""
        with self._lock:
            if self.size() != delivered:
                return False
            os.ftruncate(self._fd, 0)
            self._write(self._head)
            write_sent(self.folder, len(self._head))
            return True

    def close(self) -> None:
        """Let go of the file, and of the lock on it."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def remove(self) -> None:
        """Close, and remove everything: the workspace has it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise _full(self.folder, error) from error
        if written != len(data):  # half a frame would hide every later one
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise _full(self.folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def spool_root(ws: Workspace | None = None) -> Path:
    """The folder of all spools of a home: the workspace's, or of one that is elsewhere, this machine's."""
    from homeostat.core.settings import Settings

    home = Settings().home if ws is None or ws.url.startswith(("http://", "https://")) else str(ws.home)
    return Path("./.homeostat" if "://" in home or ":/" in home else home).expanduser().absolute() / "runs"


def new_spool(root: Path, run_id: str) -> Spool:
    """A fresh spool for `run_id`."""
    return Spool(root / f"{run_id}.{secrets.token_hex(4)}")


def address(ws: Workspace) -> str:
    """The workspace's URL without user and password: tells whose spool it is, and can be shown."""
    if "://" not in ws.url:
        return ws.url
    parts = urlsplit(ws.url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def read_frames(folder: Path, offset: int, most: int = 1 << 20) -> list[tuple[Frame, int]]:
    """Whole frames from `offset` on, about `most` bytes of them, each with the offset where the next one begins."""
    try:
        with open(folder / "log", "rb") as source:
            source.seek(offset)
            data = source.read(most)
            if len(data) >= _HEAD.size and (need := _HEAD.size + _HEAD.unpack_from(data)[0]) > len(data):
                data += source.read(min(need, _MOST) - len(data))
    except FileNotFoundError:
        return []
    found: list[tuple[Frame, int]] = []
    at = 0
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(body) != length or zlib.crc32(body) != crc:
            break
        at += _HEAD.size + length
        found.append((tuple(msgspec.msgpack.decode(body)), offset + at))
    return found


def all_frames(folder: Path) -> Iterator[Frame]:
    """Every whole frame of a spool."""
    offset = 0
    while part := read_frames(folder, offset):
        yield from (frame for frame, _ in part)
        offset = part[-1][1]


def read_sent(folder: Path) -> int:
    """How far the workspace has it, as an offset into `log`."""
    try:
        told = _OFFSET.unpack((folder / "sent").read_bytes())[0]
        return told if told <= (folder / "log").stat().st_size else 0
    except (FileNotFoundError, struct.error):
        return 0


def write_sent(folder: Path, offset: int) -> None:
    """Note how far the workspace has it. Lost in a crash, something is delivered twice, which changes nothing."""
    fd = os.open(folder / "sent", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(fd, _OFFSET.pack(offset), 0)  # in place: a backup that reads meanwhile finds all of it
    finally:
        os.close(fd)


def begun(folder: Path) -> dict[str, Any] | None:
    """What the spool's run was begun with; None when not even that was written."""
    first = read_frames(folder, 0, 1 << 16)
    return first[0][0][1] if first and first[0][0][0] == "begin" else None


def last_steps(root: Path, run_id: str) -> dict[str, int]:
    """The highest step of each key in the spools of a run."""
    last: dict[str, int] = {}
    for folder in root.glob(f"{run_id}.*"):
        for frame in all_frames(folder):
            if frame[0] == "m":
                for key, step, _ in frame[2]:
                    last[key] = max(step, last.get(key, step))
    return last


def check_key(key: str) -> str:
    """`key` if it may name a metric, parameter or tag: heard at the call, not when it is sent."""
    if not key or len(key) > 250 or any(ord(char) < 32 for char in key):
        raise InvalidInput(f"{key[:80]!r} is not a key", hint="1 to 250 printable characters")
    return key


def check_id(run_id: str) -> str:
    """`run_id` if it may be one; it may then be used in paths."""
    if not _ID.match(run_id):
        raise InvalidInput(
            f"{run_id[:80]!r} is not a run id",
            hint="letters, digits, '_' and '-', at most 64, the first a letter or digit",
        )
    return run_id


def left_behind(root: Path) -> list[tuple[Path, int]]:
    """The spools that no process writes to any more, those begun first first, each with a lock that is now ours.

    Close the file descriptors; the lock goes with them.
    """
    found: list[tuple[int, Path, int]] = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            fd = os.open(folder / "log", os.O_RDWR)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            first = begun(folder)
        except OSError:
            first = None
        if first is None:  # somebody's, or somebody's in a moment
            os.close(fd)
        else:
            found.append((first.get("start_ms", 0), folder, fd))
    return [(folder, fd) for _, folder, fd in sorted(found)]


def _full(folder: Path, error: OSError) -> StorageFull | OSError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    return StorageFull(f"no room in {folder} for what is logged", hint="make room there, or set HOMEOSTAT_HOME")
