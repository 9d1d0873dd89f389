"""Images, figures, histograms, tables, text and audio as files: encoders that need nothing installed.

Each gives bytes and what the index says of them. Arrays are anything with `tolist` or nested lists; NumPy is used when
it is there.
"""

from __future__ import annotations

import io
import math
import re
import struct
import wave
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.records import Record, to_json

Kind = Literal["image", "figure", "histogram", "table", "text", "audio"]
MOST_ROWS = 100_000


class Media(Record):
    """An entry of a run's index `media/index.json`: where it lies (`path`), what it is, and what was said of it."""

    path: str
    kind: Kind
    key: str
    step: int
    at_ms: int
    caption: str = ""
    facts: dict[str, Any] = {}


class Encoded(Record):
    """The bytes of one thing, the ending of its file name, and its facts (size, rows, …)."""

    data: bytes
    suffix: str
    facts: dict[str, Any] = {}


def media_path(kind: str, key: str, step: int, suffix: str) -> str:
    """Where one thing lies among a run's artifacts.

    >>> media_path("image", "samples/night view", 3, ".png")
    'media/image/samples/night_view/3.png'
    """
    parts = [re.sub(r"[^\w.-]", "_", part, flags=re.ASCII).strip(".") or "_" for part in key.split("/") if part]
    return f"media/{kind}/{'/'.join(parts) or '_'}/{step}{suffix}"


def image(content: Any) -> Encoded:
    """PNG of an array (height × width, or × 1, 3 or 4 channels; whole numbers 0 to 255 or fractions 0 to 1), or the
    bytes of a PNG, JPEG, GIF or WebP, or anything with `save(file, format=...)`, such as a Pillow image.
    """
    if isinstance(content, bytes):
        for head, suffix in ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"GIF8", ".gif"), (b"RIFF", ".webp")):
            if content.startswith(head):
                return Encoded(data=content, suffix=suffix)
        raise InvalidInput("these bytes are no PNG, JPEG, GIF or WebP", hint="give an array or an image file's bytes")
    if hasattr(content, "save"):
        target = io.BytesIO()
        content.save(target, format="PNG")
        return Encoded(data=target.getvalue(), suffix=".png")
    rows = _plain(content)
    if not rows or not isinstance(rows, list) or not isinstance(rows[0], list) or not rows[0]:
        raise InvalidInput("an image is height × width, or height × width × channels", hint="give such an array")
    return Encoded(data=_png(rows), suffix=".png", facts={"width": len(rows[0]), "height": len(rows)})


def figure(content: Any) -> Encoded:
    """PNG of a Matplotlib figure, or the JSON of a Plotly one."""
    if hasattr(content, "savefig"):
        target = io.BytesIO()
        content.savefig(target, format="png", bbox_inches="tight")
        return Encoded(data=target.getvalue(), suffix=".png")
    if hasattr(content, "to_plotly_json") and hasattr(content, "to_json"):
        return Encoded(data=str(content.to_json()).encode(), suffix=".plotly.json")
    raise InvalidInput(f"{type(content).__name__} is no figure", hint="give a Matplotlib or Plotly figure")


def histogram(values: Any, bins: int = 64) -> Encoded:
    """JSON of `bins` equal bins over the finite values: `edges` (one more than bins), `counts`, and a summary."""
    if not 1 <= bins <= 4096:
        raise InvalidInput(f"a histogram of {bins} bins", hint="1 to 4096")
    told = [float(value) for value in _flat(_plain(values))]
    finite = [value for value in told if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in finite:
        counts[min(int((value - low) / width), bins - 1)] += 1
    mean = math.fsum(finite) / len(finite) if finite else None
    facts = {"count": len(told), "finite": len(finite), "min": low, "max": high, "mean": mean}
    edges = [low + width * i for i in range(bins + 1)]
    return Encoded(data=to_json({"edges": edges, "counts": counts, **facts}).encode(), suffix=".json", facts=facts)


def table(content: Any) -> Encoded:
    """JSON `{"columns": [...], "rows": [[...], ...]}` of a list of mappings, a mapping of columns, or a frame."""
    if hasattr(content, "to_dicts"):
        content = content.to_dicts()  # Polars
    elif hasattr(content, "to_dict"):
        content = content.to_dict("list")  # pandas
    elif hasattr(content, "to_pydict"):
        content = content.to_pydict()  # Arrow
    if isinstance(content, Mapping):
        columns = [str(name) for name in content]
        lists = [_plain(column) for column in content.values()]
        if len({len(column) for column in lists}) > 1:
            raise InvalidInput("the columns of this table are not of one length", hint="give each column as many rows")
        rows = [list(row) for row in zip(*lists, strict=True)]
    else:
        given = list(content)
        columns = list(dict.fromkeys(str(name) for row in given for name in row))
        rows = [[row.get(name) for name in columns] for row in given]
    if len(rows) > MOST_ROWS:
        raise TooLarge(
            f"a table of {len(rows)} rows", hint=f"at most {MOST_ROWS} here; `ws.data.write_table` keeps larger ones"
        )
    clean = [[_cell(value) for value in row] for row in rows]
    return Encoded(
        data=to_json({"columns": columns, "rows": clean}).encode(),
        suffix=".json",
        facts={"rows": len(rows), "columns": len(columns)},
    )


def text(content: str) -> Encoded:
    """UTF-8."""
    return Encoded(data=content.encode(), suffix=".txt", facts={"characters": len(content)})


def audio(content: Any, rate: int = 16_000) -> Encoded:
    """WAV of samples from -1 to 1 (or of a list of such lists, one for each channel), or the bytes of a sound file."""
    if isinstance(content, bytes):
        for head, suffix in ((b"RIFF", ".wav"), (b"OggS", ".ogg"), (b"fLaC", ".flac"), (b"ID3", ".mp3")):
            if content.startswith(head):
                return Encoded(data=content, suffix=suffix)
        raise InvalidInput("these bytes are no WAV, Ogg, FLAC or MP3", hint="give samples or a sound file's bytes")
    samples = _plain(content)
    channels = samples if samples and isinstance(samples[0], list) else [samples]
    if len({len(channel) for channel in channels}) != 1:
        raise InvalidInput("the channels of this sound are not of one length", hint="give each as many samples")
    merged = array("h", (_sample(value) for moment in zip(*channels, strict=True) for value in moment))
    if struct.pack("=h", 1) != struct.pack("<h", 1):
        merged.byteswap()
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(merged.tobytes())
    facts = {"rate": rate, "seconds": round(len(channels[0]) / rate, 3), "channels": len(channels)}
    return Encoded(data=target.getvalue(), suffix=".wav", facts=facts)


def _sample(value: float) -> int:
    return round(max(-1.0, min(1.0, float(value))) * 32767)


def _png(rows: list[Any]) -> bytes:
    """PNG as ISO 15948 has it: 8 bits a channel, no filter, one zlib stream."""
    first = rows[0][0]
    channels = len(first) if isinstance(first, list) else 1
    if channels not in (1, 3, 4):
        raise InvalidInput(f"an image of {channels} channels", hint="1 (grey), 3 (RGB) or 4 (RGBA)")
    width = len(rows[0])
    fractions = any(isinstance(value, float) for value in _flat(rows[0]))
    lines: list[bytes] = []
    for row in rows:
        values = [round(v * 255) if fractions else int(v) for v in _flat(row)]
        if len(values) != width * channels:
            raise InvalidInput("the rows of this image are not of one length", hint="give a full array")
        lines.append(b"\0" + bytes(max(0, min(255, value)) for value in values))

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, len(rows), 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    packed = zlib.compress(b"".join(lines))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", packed) + part(b"IEND", b"")


def _plain(values: Any) -> Any:
    for name in ("detach", "cpu"):  # tensors that live on a device or in a graph
        if hasattr(values, name):
            values = getattr(values, name)()
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _flat(values: Any) -> Iterable[Any]:
    if isinstance(values, Sequence) and not isinstance(values, str):
        for value in values:
            yield from _flat(value)
    else:
        yield values


def _cell(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value
    return value if isinstance(value, str | int | float | bool | None) else str(value)
