from __future__ import annotations

import math
import random
import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import Corrupt
from homeostat.tracking.codec import Journalled, decode_chunk, decode_journal, encode_chunk, encode_journal

integers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300))
# Every bit pattern there is: NaN payloads, signed zeros, subnormals, infinities; what 32-bit tensors give; rounded
# numbers and counts; and few values again and again.
values = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0]),
    st.floats(width=32),
    st.decimals(-1000, 1000, places=4).map(float),
    st.integers(-(2**55), 2**55).map(float),
    st.sampled_from([0.0, -0.0, 0.1, math.inf, -math.inf, math.nan]),
)


def columns(*points: tuple[int, int, float]):
    steps, times, numbers = zip(*points, strict=True) if points else ((), (), ())
    return array("q", steps), array("q", times), array("d", numbers)


def bits(of: tuple[array, array, array]) -> list[tuple[str, bytes]]:
    return [(column.typecode, column.tobytes()) for column in of]


@given(st.lists(st.tuples(integers, integers, values), max_size=300))
def test_a_chunk_gives_back_every_bit(points: list[tuple[int, int, float]]):
    assert bits(decode_chunk(encode_chunk(columns(*points)))) == bits(columns(*points))


@given(st.lists(st.tuples(integers, integers, st.floats(width=32)), min_size=1, max_size=50))
def test_a_chunk_of_32_bit_values_gives_back_every_bit(points: list[tuple[int, int, float]]):
    assert bits(decode_chunk(encode_chunk(columns(*points)))) == bits(columns(*points))


# Long columns of one kind, as runs have them, so that each way of keeping them is taken; some values strewn in.
@given(
    kind=st.sampled_from(["noise", "noise 32", "smooth", "rounded", "shares", "counter", "constant", "stairs"]),
    length=st.sampled_from([1, 2, 5, 63, 64, 500, 2000]),
    strewn=st.lists(st.tuples(st.integers(0, 1999), values), max_size=3),
    disorder=st.booleans(),
    seed=st.integers(0, 9),
)
def test_a_curve_gives_back_every_bit(
    kind: str, length: int, strewn: list[tuple[int, float]], disorder: bool, seed: int
):
    noise = random.Random(seed)
    made = {
        "noise": lambda i: noise.gauss(1, 0.1),
        "noise 32": lambda i: struct.unpack("<f", struct.pack("<f", noise.gauss(0, 1)))[0],
        "smooth": lambda i: 1e-3 * math.cos(i / 700),
        "rounded": lambda i: round(noise.random(), 4),
        "shares": lambda i: noise.randrange(30) / 29,
        "counter": lambda i: i * 128.0,
        "constant": lambda i: 0.1,
        "stairs": lambda i: 0.1 * 0.5 ** (i // 300),
    }[kind]
    points = [(i, 1_700_000_000_000 + i * 130 + noise.randrange(20), made(i)) for i in range(length)]
    for at, value in strewn:
        step, time, _ = points[at % length]
        points[at % length] = (step, time, value)
    if disorder:
        noise.shuffle(points)
        points += points[: length // 2]
    assert bits(decode_chunk(encode_chunk(columns(*points)))) == bits(columns(*points))


def test_chunks_of_the_first_format_are_read():
    ends = [0.5, 0.25, math.inf, -0.0, 1e300, 0.1] * 2
    usual = [(step, 1_700_000_000_000 + step * 130 + (step * 7) % 11, value) for step, value in enumerate(ends)]
    kept = (
        "010101000c000000789c63604400065a80cebace3a28ca40127e8ac43e8fc4ee466213eba039b31064e94c04c980447620913648"
        "e41328f9e0c20706f39d10d2debebea1ce1e4202003f6c207e"
    )
    assert bits(decode_chunk(bytes.fromhex(kept))) == bits(columns(*usual))
    far = [(-(2**63), 2**63 - 1, 0.5), (2**63 - 1, -(2**63), math.nan)]
    kept = "0100000202000000789c63f8cf80041bea51b80cf50d0c2070c0be1e0089ec116f"
    assert bits(decode_chunk(bytes.fromhex(kept))) == bits(columns(*far))


@given(st.lists(st.builds(Journalled, st.text(max_size=20), integers, integers, values), max_size=50))
def test_a_journal_row_gives_back_every_point(points: list[Journalled]):
    back = decode_journal(encode_journal(points))
    assert [p[:3] for p in back] == [p[:3] for p in points]
    assert [struct.pack("<d", p.value) for p in back] == [struct.pack("<d", p.value) for p in points]


@given(st.sampled_from([1, 2, 9]), st.binary(max_size=60))
def test_foreign_bytes_are_named_as_damage(format: int, data: bytes):
    with pytest.raises(Corrupt, match="damaged"):
        decode_chunk(bytes([format]) + data)


def test_a_cut_or_changed_chunk_is_named_as_damage():
    whole = bytearray(encode_chunk(columns(*((step, step * 10, step / 7) for step in range(500)))))
    for length in (0, 1, 3, 8, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Corrupt, match="damaged"):
            decode_chunk(bytes(whole[:length]))
    for place in range(0, len(whole), 7):
        whole[place] ^= 64
        with pytest.raises(Corrupt, match="damaged"):
            decode_chunk(bytes(whole))
        whole[place] ^= 64


@pytest.mark.parametrize(
    ("most", "value"),
    [
        (0.01, lambda i, noise: 0.1),
        (0.01, lambda i, noise: i * 128.0),
        (0.5, lambda i, noise: 1e-3 * (1e4 - i) / 1e4),
        (1.5, lambda i, noise: 0.5e-3 * (1 + math.cos(math.pi * i / 1e4))),
        (1.5, lambda i, noise: round(0.9 + noise.gauss(0, 0.01), 4)),
        (1.0, lambda i, noise: min(391, int(noise.gauss(350, 7))) / 391),
        (3.3, lambda i, noise: struct.unpack("<f", struct.pack("<f", 0.3 + noise.gauss(0, 0.02)))[0]),
        # Eight random bytes less what is common: no way to keep these gets far below.
        (6.8, lambda i, noise: 0.3 + noise.gauss(0, 0.02)),
    ],
)
def test_regular_steps_cost_nothing_and_values_what_they_tell(most: float, value):
    noise = random.Random(1)
    points = [(i, 1_700_000_000_000 + i * 130, value(i, noise)) for i in range(10_000)]
    assert len(encode_chunk(columns(*points))) / len(points) < most
