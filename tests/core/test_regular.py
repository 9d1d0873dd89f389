"""Patterns find what Python's find, and none of them takes forever."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import InvalidInput
from homeostat.core.regular import Pattern

ATOM = st.sampled_from(("a", "b", ".", "[ab]", "[^a]", "[a-c-]", "\\d", "\\W", "\\.", "^", "$", "ä", "-", "\\n"))
PATTERN = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.builds("({}|{})".format, inner, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(("*", "+", "?", "{2}", "{1,}", "{0,2}", "*?"))),
    ),
    max_leaves=6,
)


@given(PATTERN, st.text("abcä1-.\n ", max_size=12))
def test_what_python_finds_is_found(pattern: str, text: str):
    # Python's $ also stands before a newline that ends the text; ours, like PostgreSQL's, only at the end.
    python = pattern.replace("$", "\\Z").replace("[^a]", "[^a]")
    assert Pattern(pattern).found(text) == (re.search(python, text, re.ASCII) is not None)


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[a", "[", "*", "a**", "a{3,2}", "a{101}", "\\", "\\1", "(?=a)", "(?P<n>a)", "[z-a]", "a" * 201,
     "(" * 40 + ")" * 40, "((a{100}){100}){100}", "\\x41", "[\\D]"],
)  # fmt: skip
def test_what_is_no_pattern_here_is_said(pattern: str):
    with pytest.raises(InvalidInput, match="pattern"):
        Pattern(pattern)


def test_no_pattern_takes_forever():
    for pattern in ("(a+)+$", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*b", ".*.*.*.*=.*x", "(a?){50}a{50}$"):
        assert not Pattern(pattern).found("a" * 8000 + "!")
