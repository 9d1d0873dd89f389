"""Event files: one that tensorboardX 2.6 wrote, and the TensorFlow 2 form, written here byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.tracking.scripts.tfevents import EventFile, EventFolder, masked_crc, scalars

EXAMPLE = Path(__file__).parent / "assets" / "events.out.tfevents.1700000000.example"


def record(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", masked_crc(head)) + data + struct.pack("<I", masked_crc(data))


def field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2, len(body)]) + body


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def event(step: int, value: bytes, wall: float = 1.5) -> bytes:
    return b"\x09" + struct.pack("<d", wall) + b"\x10" + varint(step) + field(5, field(1, value))


def simple(tag: str, number: float) -> bytes:
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", number)


def test_the_file_of_another_writer_is_read():
    told = list(EventFile(EXAMPLE).read())
    assert [(one.tag, one.step, one.at_ms) for one in told] == [
        ("loss", 0, 1_700_000_000_000), ("loss", 1, 1_700_000_001_000), ("loss", 2, 1_700_000_002_000),
        ("auc/test", 7, 1_700_000_007_000),
    ]  # fmt: skip
    assert [round(one.value, 6) for one in told] == [1.0, 0.5, 0.333333, 0.75]


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (b"\x08\x01" + field(2, b"") + field(4, struct.pack("<f", 0.5)), 0.5),
        (b"\x08\x01" + field(5, struct.pack("<f", 0.25)), 0.25),
        (b"\x08\x02" + field(6, struct.pack("<d", 0.1)), 0.1),
        (b"\x08\x03" + field(7, b"\x05"), 5.0),
        (b"\x08\x09" + field(10, varint(-3)), -3.0),
        (b"\x08\x07" + field(8, b"text"), None),
        (b"\x08\x01" + field(2, field(2, b"\x08\x02")) + field(4, struct.pack("<ff", 1, 2)), None),
    ],
)
def test_tensors_of_one_number_are_scalars(tensor: bytes, expected: float | None):
    told = [one.value for one in scalars(event(3, field(1, b"loss") + field(8, tensor)))]
    assert told == ([] if expected is None else [expected])


def test_a_file_is_read_while_it_grows(tmp_path: Path):
    data = EXAMPLE.read_bytes()
    path = tmp_path / "train" / "events.out.tfevents.1"
    path.parent.mkdir()
    folder = EventFolder(tmp_path)
    found: list[tuple[str, int]] = []
    for end in range(0, len(data) + 1, 7):
        path.write_bytes(data[:end])
        found += [(one.tag, one.step) for one in folder.read()]
    path.write_bytes(data)
    found += [(one.tag, one.step) for one in folder.read()]
    assert found == [("train/loss", 0), ("train/loss", 1), ("train/loss", 2), ("train/auc/test", 7)]


def test_what_was_there_before_is_of_another_run(tmp_path: Path):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(record(event(0, simple("loss", 1))))
    folder = EventFolder(tmp_path)
    path.write_bytes(path.read_bytes() + record(event(-5, simple("loss", 2))))
    assert [(one.step, one.value) for one in folder.read()] == [(-5, 2.0)]


def test_nothing_is_read_from_damage_on(tmp_path: Path):
    whole = [record(event(step, simple("loss", step))) for step in range(3)]
    for at in range(len(whole[1])):
        damaged = bytearray(whole[1])
        damaged[at] ^= 1
        path = tmp_path / "events.out.tfevents.1"
        path.write_bytes(whole[0] + bytes(damaged) + whole[2])
        told = [one.step for one in EventFile(path).read()]
        # A bit of a record that is thereby no scalar any more costs that record only.
        assert told in ([0], [0, 2]), at


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_harm(data: bytes):
    list(scalars(data))
