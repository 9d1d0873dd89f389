"""What a script can be given is read from its text, and arrives in the script as its own parser reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeostat.core.errors import InvalidInput
from homeostat.tracking.scripts import child
from homeostat.tracking.scripts.batch import Choice, choice_for, trials
from homeostat.tracking.scripts.flags import Flag, command_line, find_flags, value_for

ARGPARSE = """
import argparse, json, sys
p = argparse.ArgumentParser()
p.add_argument("data")
p.add_argument("-l", "--learning-rate", dest="lr", type=float, default=0.1, help="step size")
p.add_argument("--epochs", type=int, default=5, choices=[1, 5, 10])
p.add_argument("--note", default="none")
p.add_argument("--fast", action="store_true")
p.add_argument("--no-cuda", dest="cuda", action="store_false")
p.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=True)
p.add_argument("--layers", type=int, nargs="+", default=[64])
p.add_argument("--computed", default=len(sys.argv))
p.add_argument("-v", action="count", default=0)
print(json.dumps(vars(p.parse_args())))
"""
CLICK = """
import click, json
@click.command()
@click.argument("data")
@click.option("--lr", "-l", default=0.1, help="step size")
@click.option("--kind", type=click.Choice(["a", "b"]), default="a")
@click.option("--fast", is_flag=True)
@click.option("--shuffle/--no-shuffle", default=True)
def main(**given):
    print(json.dumps(given))
main()
"""


def ran(tmp_path: Path, text: str, words: list[str]) -> dict[str, Any]:
    (tmp_path / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_argparse_options_are_found_and_arrive(tmp_path: Path):
    flags = find_flags(ARGPARSE)
    assert {f.name: f.default for f in flags} == {
        "data": None, "lr": 0.1, "epochs": 5, "note": "none", "fast": False, "cuda": True, "shuffle": True,
        "layers": [64], "computed": None,
    }  # fmt: skip
    assert [f.name for f in flags if f.required] == ["data"]
    assert next(f for f in flags if f.name == "lr").help == "step size"
    given = {
        "data": "-1", "lr": -0.5, "epochs": 10, "note": "-x y", "fast": True, "cuda": False, "shuffle": False,
        "layers": [8, 4],
    }  # fmt: skip
    told = ran(tmp_path, ARGPARSE, command_line(flags, given))
    assert {**told, "computed": 0, "v": 0} == {**given, "computed": 0, "v": 0}
    assert ran(tmp_path, ARGPARSE, command_line(flags, {"data": "x", "fast": False, "cuda": True}))["cuda"] is True


def test_click_options_are_found_and_arrive(tmp_path: Path):
    flags = find_flags(CLICK)
    assert {f.name: f.default for f in flags} == {
        "data": None, "lr": 0.1, "kind": "a", "fast": False, "shuffle": True
    }  # fmt: skip
    given = {"data": "x", "lr": 0.5, "kind": "b", "fast": True, "shuffle": False}
    assert ran(tmp_path, CLICK, command_line(flags, given)) == given


GLOBALS = """
import json
from pathlib import Path
lr: float = 0.1
epochs = 5
name, other = "a", "b"
LAYERS = [64, -1]
optimizer = "adam"
fast = False
_hidden = 3
again = 1
again = 2
computed = lr * 10
if __name__ == "__main__":
    print(json.dumps([lr, epochs, LAYERS, optimizer, fast, computed, __file__.rpartition("/")[2]]))
"""


def test_globals_are_found_and_replaced_before_anything_is_computed_from_them(tmp_path: Path):
    flags = {f.name: f for f in find_flags(GLOBALS)}
    assert {f.name: f.default for f in flags.values()} == {
        "lr": 0.1, "epochs": 5, "LAYERS": [64, -1], "optimizer": "adam", "fast": False
    }  # fmt: skip
    values = {"lr": 0.5, "LAYERS": [1], "optimizer": "it's", "fast": True}
    (tmp_path / "script.py").write_text(GLOBALS)
    done = subprocess.run(
        [sys.executable, child.__file__, str(tmp_path / "script.py"), json.dumps(values)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [0.5, 5, [1], "it's", True, 5.0, "script.py"]


def test_a_replaced_script_fails_where_its_text_says(tmp_path: Path):
    (tmp_path / "script.py").write_text("lr = (\n  0.1\n)\n\nraise ValueError(lr)\n")
    done = subprocess.run(
        [sys.executable, child.__file__, str(tmp_path / "script.py"), '{"lr": 2.0}'],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "line 5, in <module>" in done.stderr and "ValueError: 2.0" in done.stderr


def test_declared_options_win_over_globals_unless_asked_otherwise():
    text = "size = 3\np.add_argument('--lr', default=0.1)"
    assert [f.name for f in find_flags(text)] == ["lr"]
    assert [f.name for f in find_flags(text, "globals")] == ["size"]
    assert find_flags(text, "click") == []
    with pytest.raises(InvalidInput, match="not valid Python"):
        find_flags("def (")


def test_values_have_the_type_of_the_default():
    lr, fast = Flag(name="lr", via="globals", default=0.1), Flag(name="fast", via="argparse", takes="switch")
    name = Flag(name="name", via="globals", default="x")
    assert value_for(lr, "1") == 1.0 and isinstance(value_for(lr, "1"), float)
    assert value_for(name, "0.1") == "0.1" and value_for(fast, "yes") is True
    for flag, text in ((lr, "fast"), (fast, "maybe"), (Flag(name="k", via="click", choices=["a"]), "b")):
        with pytest.raises(InvalidInput):
            value_for(flag, text)


LR = Flag(name="lr", via="globals", default=0.1)
LAYERS = Flag(name="layers", via="argparse", option="--layers", default=[64], takes="list")
OPTIMIZER = Flag(name="opt", via="globals", default="adam")


@pytest.mark.parametrize(
    ("flag", "text", "values"),
    [
        (LR, "0.5", [0.5]),
        (LR, "[0.1,1]", [0.1, 1.0]),
        (LR, "range(1,3)", [1.0, 2.0, 3.0]),
        (LR, "linspace(0,1,3)", [0.0, 0.5, 1.0]),
        (LR, "choice(1,2)", [1.0, 2.0]),
        (OPTIMIZER, "[adam,sgd]", ["adam", "sgd"]),
        (OPTIMIZER, "['a b', \"c\"]", ["a b", "c"]),
        (OPTIMIZER, "f(x)", ["f(x)"]),
        (LAYERS, "[64,32]", [[64, 32]]),
        (LAYERS, "[[64],[64,32]]", [[64], [64, 32]]),
    ],
)
def test_what_a_flag_may_be(flag: Flag, text: str, values: list[Any]):
    assert choice_for(flag, text).values == values


@pytest.mark.parametrize("text", ["[]", "uniform(1)", "uniform(2,1)", "loguniform(0,1)", "range(1,2,0)", "choice()"])
def test_what_makes_no_choice_is_refused(text: str):
    with pytest.raises(InvalidInput):
        choice_for(LR, text)


def test_draws_are_repeatable_and_within_bounds():
    choices = {
        "lr": choice_for(LR, "loguniform(0.001,0.1)"),
        "n": choice_for(Flag(name="n", via="globals", default=1), "randint(1,3)"),
        "opt": Choice(values=["a", "b"]),
    }
    drawn = trials(choices, 50, seed=3)
    assert drawn == trials(choices, 50, seed=3) != trials(choices, 50, seed=4)
    assert all(0.001 <= one["lr"] <= 0.1 and one["n"] in (1, 2, 3) for one in drawn)
    assert {one["opt"] for one in drawn} == {"a", "b"}
    with pytest.raises(InvalidInput, match="how often"):
        trials(choices)


def test_a_sample_of_a_grid_repeats_nothing():
    choices = {"a": Choice(values=list(range(10))), "b": Choice(values=list(range(10)))}
    drawn = trials(choices, 60)
    assert len({(one["a"], one["b"]) for one in drawn}) == 60
    assert trials(choices, 1000) == trials(choices) and len(trials(choices)) == 100
