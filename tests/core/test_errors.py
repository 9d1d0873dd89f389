from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from homeostat.cli.main import main
from homeostat.core import errors
from homeostat.core.errors import HomeostatError, NotFound, from_code


def every(root: type[HomeostatError] = HomeostatError) -> list[type[HomeostatError]]:
    return [root, *(found for child in root.__subclasses__() for found in every(child))]


def test_the_drawn_tree_is_the_real_one():
    drawn = {
        name: (int(status), int(code))
        for name, status, code in re.findall(r"(\w+)(?: \(\w+\))? +(\d{3}) +(\d+)", errors.__doc__ or "")
    }
    assert drawn == {kind.__name__: (kind.status, kind.exit_code) for kind in every()}


def test_codes_are_unique():
    codes = [kind.code for kind in every()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", every(), ids=lambda kind: kind.__name__)
def test_an_error_survives_the_wire_and_the_process_border(kind: type[HomeostatError]):
    error = kind("what", hint="do this", name="x", limit=3)
    for back in (from_code(error.code, error.message, error.hint, error.facts), pickle.loads(pickle.dumps(error))):
        assert type(back) is kind
        assert (back.message, back.hint, back.facts) == ("what", "do this", {"name": "x", "limit": 3})


def test_errors_are_what_a_caller_would_expect():
    assert issubclass(errors.InvalidInput, ValueError)
    assert issubclass(errors.NotFound, LookupError)
    assert issubclass(errors.MissingExtra, ImportError)


def test_the_text_shows_what_to_do_next():
    assert (
        str(NotFound("model 'x' is not registered", hint="list them")) == "model 'x' is not registered\n  → list them"
    )


def test_an_unknown_code_is_still_an_error_of_ours():
    assert type(from_code("from_the_future", "what")) is HomeostatError


def test_the_command_line_tells_what_the_system_and_the_database_cannot_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    home = str(tmp_path / "home")
    for words, code, said in (
        (["apply", "x" * 5000, "--home", home], 2, "(5,000 characters): File name too long"),
        (["tracking", "create-run", "--name", "\udcff", "--home", home], 2, "is not text in UTF-8"),
        (["demo", "--report", str(tmp_path / "none" / "r.json"), "--home", home], 4, "there is no folder for"),
    ):
        assert main(words) == code
        assert said in capsys.readouterr().err
