"""Files packed as .zip or .gz, unpacked in memory: whole, checked, and only up to a limit."""

from __future__ import annotations

import gzip
import io
import zipfile

from homeostat.core.errors import HomeostatError, InvalidInput, TooLarge

# The most that a packed file may hold once unpacked: a few kilobytes can be made to unpack to terabytes.
MAX_UNPACKED = 8 << 30


def unzip(data: bytes, name: str, limit: int = MAX_UNPACKED) -> tuple[str, bytes]:
    """The one file in a .zip archive: its name and content, which is compared with the archive's checksum.

    Raises: InvalidInput for an archive that is cut off or damaged, or holds another number of files than one;
    TooLarge above `limit` bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
            if len(members) != 1:
                listed = ", ".join(m.filename for m in members[:5]) or "nothing"
                raise InvalidInput(
                    f"{name} holds {len(members)} files ({listed}); one is expected", hint="unpack it, import each"
                )
            with archive.open(members[0]) as packed:
                return members[0].filename, _read(packed, name, limit)
    except HomeostatError:
        raise
    except Exception as error:  # the library fails in a dozen ways over what is no archive
        raise _damaged(name, "zip", error) from error


def gunzip(data: bytes, name: str, limit: int = MAX_UNPACKED) -> bytes:
    """The content of a .gz file. Raises as `unzip`."""
    try:
        with gzip.open(io.BytesIO(data)) as packed:
            return _read(packed, name, limit)
    except HomeostatError:
        raise
    except Exception as error:
        raise _damaged(name, "gzip", error) from error


def _read(packed: object, name: str, limit: int) -> bytes:
    content: bytes = packed.read(limit + 1)  # type: ignore[attr-defined]  # a file object, checksummed at its end
    if len(content) > limit:
        raise TooLarge(f"{name} unpacks to more than {limit:,} bytes", hint="split it and import the parts")
    return content


def _damaged(name: str, kind: str, error: BaseException) -> InvalidInput:
    return InvalidInput(
        f"{name} is not a whole {kind} file, it is cut off or damaged: {error}", hint="get the file again", file=name
    )
