"""Names from outside. The table holds the traversals that other products fell to, each as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import InvalidInput
from homeostat.core.paths import check_name, inside

ATTACKS = {
    "up": "../secret",
    "up, in the middle": "a/../../secret",
    "up, at the end": "a/..",
    "up and back in": "../base/a",
    "percent": "..%2fsecret",
    "percent dots": "%2e%2e/secret",
    "percent twice": "%252e%252e%252fsecret",
    "percent thrice": "%25252e%25252e/secret",
    "percent backslash": "..%5csecret",
    "overlong dots, as percent": "%c0%ae%c0%ae/secret",
    "absolute": "/etc/passwd",
    "absolute, doubled": "//etc/passwd",
    "address": "file:///etc/passwd",
    "address with host": "file://host/etc/passwd",
    "backslash": "..\\secret",
    "backslash inside": "a\\..\\..\\secret",
    "share": "\\\\host\\share",
    "drive": "C:/windows/win.ini",
    "stream": "a.txt::$DATA",
    "NUL": "a\x00.txt",
    "NUL after up": "..\x00/secret",
    "empty": "",
    "dot": ".",
    "dot part": "a/./b",
    "empty part": "a//b",
    "slash at the end": "a/",
    "line break": "a\r\nSet-Cookie: x",
    "escape": "a\x1b[2Jb",
    "delete": "a\x7fb",
    "device": "nul",
    "device with suffix": "a/CON.txt",
    "device number": "com1/x",
    "too long": "a" * 1025,
    "lone surrogate": "a\ud800b",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_nothing_leads_out(tmp_path: Path, attack: str):
    (tmp_path / "base").mkdir()
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(InvalidInput, match="does not lie inside"):
        inside(tmp_path / "base", attack)


# Odd, and harmless: these are plain names of files below the folder.
@pytest.mark.parametrize(
    "name", ["a", "a/b.c", "…", "．．/x", "~", "~root/x", "a b", "-rf", "..a", "a..", "$HOME", "#", "?", ";"]
)
def test_odd_names_stay_inside(tmp_path: Path, name: str):
    path = inside(tmp_path, name)
    assert path == tmp_path.resolve().joinpath(*name.split("/"))


@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "", "a", "/", "\\", "%2e", "C:"])).map("/".join))
def test_any_text_is_inside_or_refused(text: str):
    root = Path("/srv/root")
    try:
        path = inside(root, text)
    except InvalidInput:
        return
    assert path.is_relative_to(root)
    assert path != root
    assert ".." not in path.parts


def test_a_link_out_is_refused_and_a_link_within_is_not(tmp_path: Path):
    root = tmp_path / "base"
    (root / "real").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (root / "out").symlink_to(tmp_path)
    (root / "file").symlink_to(tmp_path / "secret")
    (root / "within").symlink_to(root / "real")
    for attack in ("out/secret", "file", "out"):
        with pytest.raises(InvalidInput, match="does not lie inside"):
            inside(root, attack)
    assert inside(root, "within/a.txt") == root.resolve() / "within" / "a.txt"


def test_a_folder_behind_a_link_is_still_a_root(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "link", "a") == (tmp_path / "real" / "a").resolve()


@pytest.mark.parametrize("name", ["flights", "flight-delay", "a.b", "_x", "A1", "x" * 128])
def test_good_names(name: str):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a.", "a/b", "a\\b", "a b", "a\n", "é", "x" * 129, "con", "nul.txt", "-a", "a\x00"],
)
def test_bad_names_say_what_is_good(name: str):
    with pytest.raises(InvalidInput, match="is not a valid model") as caught:
        check_name(name, "model")
    assert "flight-delay" in caught.value.hint
