"""What an Arrow stream unpacks to is known before it is unpacked, and never too small."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.arrow_size import unpacked_size
from homeostat.core.errors import InvalidInput, TooLarge
from homeostat.core.frames import from_ipc, to_ipc


def stream(table: pa.Table, codec: str | None) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table, max_chunksize=1000)
    return sink.getvalue()


TABLE = pa.table({
    "number": pa.array(range(5000)),
    "text": pa.array(["some text that repeats"] * 5000),
    "kind": pa.array(["a", "b"] * 2500).dictionary_encode(),
    "nested": pa.array([[{"x": 1.5, "y": None}]] * 5000),
    "missing": pa.array([None] * 5000),
    "truth": pa.array([True, None] * 2500),
})  # fmt: skip


@pytest.mark.parametrize("codec", [None, "zstd", "lz4"])
def test_it_is_the_same_however_it_is_packed(codec: str | None):
    size = unpacked_size(stream(TABLE, codec))
    assert TABLE.nbytes <= size <= 1.2 * TABLE.nbytes


def test_a_bomb_is_refused_before_it_is_unpacked():
    """Every kind: packed zeros, a few bytes that claim many, one buffer for many columns, rows without bytes."""
    zeros = pa.table({"a": np.zeros(4_000_000, "i8")})
    packed = stream(zeros.combine_chunks(), "zstd")
    assert len(packed) < 2 << 20
    many = stream(pa.table({f"c{i}": zeros["a"][:20_000] for i in range(200)}), "zstd")
    nothing = stream(pa.table({"n": pa.nulls(1 << 28)}), None)
    for bomb in (packed, many):
        with pytest.raises(TooLarge, match="unpacks to"):
            from_ipc(bomb, 16 << 20)
    with pytest.raises(TooLarge):
        from_ipc(nothing, 1 << 20)
    assert from_ipc(packed, 64 << 20).height == 4_000_000


def test_what_our_client_sends_is_measured_and_read():
    frame = pl.DataFrame({"a": list(range(1000)), "b": ["x"] * 1000, "c": [[1, 2]] * 1000, "d": [None] * 1000})
    sent = to_ipc(frame)
    assert unpacked_size(sent) >= 8 * 1000
    assert from_ipc(sent, 1 << 20).equals(frame)
    assert from_ipc(to_ipc(pl.DataFrame()), 1).height == 0


def test_no_length_ends_the_process():
    """Every eight bytes of a stream in turn say more than there is: memory of petabytes is asked of nobody."""
    whole = to_ipc(pl.DataFrame({"a": [1, None], "b": ["a long text that is a view", None], "c": [[1], []]}))
    for at in range(0, len(whole) - 8, 4):
        for evil in ((1 << 61) - 1, 1 << 47, -1):
            broken = whole[:at] + evil.to_bytes(8, "little", signed=True) + whole[at + 8 :]
            with contextlib.suppress(InvalidInput, TooLarge):
                from_ipc(broken, 1 << 20)


@given(st.data())
def test_whatever_is_broken_is_told_as_such(data: Any):
    whole = stream(TABLE.slice(0, 50), "zstd")
    at = data.draw(st.integers(0, len(whole) - 1))
    piece = data.draw(st.binary(min_size=1, max_size=8))
    broken = data.draw(st.sampled_from([whole[:at], whole[:at] + piece + whole[at + len(piece) :], piece]))
    try:
        size = unpacked_size(broken)
    except ValueError:
        with pytest.raises((InvalidInput, TooLarge)):
            from_ipc(broken, 1 << 20)
    else:
        assert size >= 0
