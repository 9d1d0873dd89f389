"""A few thousand mutilated inputs for each parser, always the same ones; bench/serving/fuzz.py runs millions."""

from __future__ import annotations

import pytest

from bench.serving.fuzz import TARGETS, run
from homeostat.core.errors import InvalidInput
from homeostat.serving.http1 import Limits
from homeostat.serving.one_line import one_line
from tests.serving.test_http1 import bodies, talk


@pytest.mark.parametrize("target", TARGETS)
def test_mutilated_inputs_are_refused_in_words_and_never_understood_two_ways(target: str) -> None:
    run(target, 2000, seed=1)


def test_names_with_line_ends_do_not_break_the_one_line() -> None:
    assert one_line(InvalidInput("no input 'a\r\nb\x1b'", hint="é")) == "no input 'a\\r\\nb\\x1b' (é)"


@pytest.mark.parametrize("line", [b"GET /\r\n\r\n", b"GET /\n\r\n", b"GET / HTTP/0.9\r\n\r\n"])
def test_requests_older_than_http_1_are_refused(line: bytes) -> None:
    transport, heard = talk([line], limits=Limits())
    assert not heard
    assert transport.closed
    assert b"error" in bodies(transport.written)[0]
