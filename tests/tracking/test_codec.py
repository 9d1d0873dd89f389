from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import Corrupt
from homeostat.tracking.codec import (
    Journalled,
    Point,
    decode_chunk,
    decode_journal,
    encode_chunk,
    encode_journal,
)

integers = st.integers(-(2**63), 2**63 - 1)
# Every bit pattern there is: NaN payloads, signed zeros, subnormals, infinities; and what 32-bit tensors give.
values = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0]),
    st.floats(width=32),
)


def bits(points: list[Point]) -> list[tuple[int, int, bytes]]:
    return [(p.step, p.at_ms, struct.pack("<d", p.value)) for p in points]


@given(st.lists(st.builds(Point, integers, integers, values), max_size=300))
def test_a_chunk_gives_back_every_bit(points: list[Point]):
    assert bits(decode_chunk(encode_chunk(points))) == bits(points)


@given(st.lists(st.builds(Point, integers, integers, st.floats(width=32)), min_size=1, max_size=50))
def test_a_chunk_of_32_bit_values_gives_back_every_bit(points: list[Point]):
    assert bits(decode_chunk(encode_chunk(points))) == bits(points)


@given(st.lists(st.builds(Journalled, st.text(max_size=20), integers, integers, values), max_size=50))
def test_a_journal_row_gives_back_every_point(points: list[Journalled]):
    back = decode_journal(encode_journal(points))
    assert [p[:3] for p in back] == [p[:3] for p in points]
    assert [struct.pack("<d", p.value) for p in back] == [struct.pack("<d", p.value) for p in points]


@given(st.binary(max_size=60))
def test_foreign_bytes_are_named_as_damage(data: bytes):
    with pytest.raises(Corrupt, match="damaged"):
        decode_chunk(bytes([9]) + data)


def test_a_cut_chunk_is_named_as_damage():
    whole = encode_chunk([Point(step, step * 10, step / 7) for step in range(500)])
    for length in (0, 3, 8, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Corrupt, match="damaged"):
            decode_chunk(whole[:length])


def test_a_training_curve_takes_a_fraction_of_a_row():
    import random

    noise = random.Random(1)
    points = [
        Point(i, 1_700_000_000_000 + i * 130 + noise.randrange(9), 2 / (1 + i / 50) + noise.gauss(0, 0.01))
        for i in range(4096)
    ]
    assert len(encode_chunk(points)) / len(points) < 9
