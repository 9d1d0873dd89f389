from __future__ import annotations

import io
import json
import struct
import wave
import zlib

import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.tracking import media


def decoded(png: bytes) -> np.ndarray:
    """The pixels of an unfiltered PNG, its checksums checked."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(name + body)
        parts[name] = body
        at += 12 + length
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    channels = {0: 1, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    assert depth == 8 and not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 3), (1, 1, 4)])
def test_an_image_is_a_png_with_these_pixels(shape: tuple[int, ...]):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = pixels.reshape(shape[0], shape[1], -1)
    assert (decoded(media.image(pixels).data) == expected).all()
    assert (decoded(media.image(pixels.astype("float64") / 255).data) == expected).all()
    assert (decoded(media.image(pixels.tolist()).data) == expected).all()


@pytest.mark.parametrize("wrong", [[], [[]], [1, 2], [[1, 2], [3]], [[[1, 2]]], b"nothing"])
def test_what_is_no_image_is_refused(wrong: object):
    with pytest.raises(InvalidInput):
        media.image(wrong)


def test_a_histogram_counts_every_finite_value():
    values = np.random.default_rng(0).normal(size=1000)
    told = json.loads(media.histogram([*values, float("nan"), float("inf")], bins=16).data)
    counts, edges = np.histogram(values, 16)
    assert told["counts"] == counts.tolist() and np.allclose(told["edges"], edges)
    assert (told["count"], told["finite"]) == (1002, 1000) and told["mean"] == pytest.approx(values.mean())
    assert json.loads(media.histogram([]).data)["counts"] == [0] * 64
    assert sum(json.loads(media.histogram([3, 3, 3], bins=2).data)["counts"]) == 3


def test_tables_of_every_kind_are_the_same():
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]
    expected = {"columns": ["id", "name"], "rows": [[1, "a"], [2, None]]}
    for given in (rows, {"id": [1, 2], "name": ["a", None]}, pl.DataFrame(rows), pl.DataFrame(rows).to_arrow()):
        assert json.loads(media.table(given).data) == expected
    with pytest.raises(TooLarge):
        media.table({"x": range(100_001)})
    with pytest.raises(InvalidInput):
        media.table({"x": [1], "y": [1, 2]})


def test_sound_is_a_wav_with_these_samples():
    told = media.audio([[0.0, 1.0, -1.0, 2.0], [0.0, 0.5, 0.0, 0.0]], rate=8000)
    with wave.open(io.BytesIO(told.data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 4)
        samples = np.frombuffer(file.readframes(4), "<i2").reshape(4, 2)
    assert samples[:, 0].tolist() == [0, 32767, -32767, 32767] and samples[1, 1] == round(0.5 * 32767)


class Drawn:
    def savefig(self, target: io.BytesIO, **_: object) -> None:
        target.write(b"\x89PNG drawn")


def test_a_run_keeps_media_with_an_index_that_grows(ws: hs.Workspace):
    for step in (0, 1):
        with hs.run(ws=ws, id="seen") as run:
            run.log_image("samples/first ../one", [[0, 255]], step=step, caption=f"step {step}")
            run.log_figure("roc", Drawn(), step=step)
    index = {entry["path"]: entry for entry in json.loads(ws.tracking.read_artifact("seen", "media/index.json"))}
    assert len(index) == 4
    entry = index["media/image/samples/first_/one/1.png"]
    assert (entry["key"], entry["step"], entry["caption"]) == ("samples/first ../one", 1, "step 1")
    assert entry["facts"] == {"width": 2, "height": 1}
    for path in index:
        assert ws.tracking.read_artifact("seen", path).startswith(b"\x89PNG")
