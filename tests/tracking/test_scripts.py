"""`homeostat run script.py`: real scripts in real processes, and what of them is kept."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.cli.main import main
from homeostat.tracking import Run
from tests.tracking.test_tfevents import EXAMPLE

ARGPARSE = """
import argparse, sys
from pathlib import Path
import settings
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.1)
p.add_argument("--epochs", type=int, default=2)
p.add_argument("--out", default="")
given = p.parse_args()
for epoch in range(given.epochs):
    print(f"epoch {epoch} loss={given.lr * (epoch + 1)}")
print("scale:", settings.SCALE)
print("careful", file=sys.stderr)
if given.out:
    Path(given.out).write_text(str(given.lr))
sys.exit(3 if given.lr > 1 else 0)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(ARGPARSE)
    (folder / "settings.py").write_text("SCALE = 1\n")
    (folder / "model.bin").write_bytes(b"\0" * 100)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(Path(hs.__file__).parents[1]))
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path / "home"))
    return folder


def runs(kind: str | None = None) -> list[Run]:
    with hs.open() as ws:
        return ws.tracking.search_runs(kind=kind, order_by="start").runs


def read(run: str, path: str) -> bytes:
    with hs.open() as ws:
        return ws.tracking.read_artifact(run, path)


def test_a_script_is_a_run_with_its_flags_output_and_sources(project: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["run", "train.py", "--name", "first", "epochs=3", "lr=0.5", "--experiment", "try"]) == 0
    told = capfd.readouterr()
    assert "epoch 2 loss=1.5" in told.out and "careful" in told.err
    (run,) = runs()
    assert (run.name, run.experiment, run.status, run.source, run.kind) == (
        "first",
        "try",
        "finished",
        "train.py",
        "run",
    )
    assert run.params == {"lr": "0.5", "epochs": "3", "out": ""}
    assert run.metrics == {"loss": 1.5, "scale": 1.0}
    with hs.open() as ws:
        assert [(m.step, m.value) for m in ws.tracking.metric_history(run.id, "loss")] == [(0, 0.5), (1, 1.0), (2, 1.5)]
        paths = {artifact.path for artifact in ws.tracking.list_artifacts(run.id)}
    assert paths == {"source/train.py", "source/settings.py", "environment.json", "script.json", "console.txt"}
    assert read(run.id, "source/train.py").decode() == ARGPARSE
    console = read(run.id, "console.txt").decode()
    assert "epoch 0 loss=0.5\n" in console and "careful\n" in console
    assert json.loads(read(run.id, "environment.json"))["command"].endswith("--lr=0.5 --epochs=3")


def test_a_script_that_fails_is_a_failed_run_and_the_exit_code(project: Path):
    assert main(["run", "train.py", "lr=2"]) == 3
    (run,) = runs()
    assert (run.status, run.error, run.metrics["loss"]) == ("failed", "exit code 3", 4.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.py", "rate=1"], "no flag 'rate'"),
        (["train.py", "epochz=1"], "did you mean epochs"),
        (["train.py", "fast"], "not flag=value"),
        (["missing.py"], "no script"),
        (["train.py", "lr=uniform(0,1)"], "how often"),
        ([], "run what"),
        (["--restart", "nothing"], "not the run of a script"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_runs(
    project: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["run", *words]) in (2, 4)
    assert message in capsys.readouterr().err
    assert runs() == []


def test_globals_are_flags_where_there_are_no_options(project: Path):
    (project / "plain.py").write_text("lr = 0.1\nname = 'a'\nprint('twice:', lr * 2)\nprint('name is', name)\n")
    assert main(["run", "plain.py", "lr=0.25", "name=b c"]) == 0
    (run,) = runs()
    assert run.params == {"lr": "0.25", "name": "b c"} and run.metrics == {"twice": 0.5}
    assert b"name is b c" in read(run.id, "console.txt")


def test_show_flags_runs_nothing(project: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["run", "train.py", "--show-flags"]) == 0
    out = capsys.readouterr().out
    assert "epochs" in out and "3 flags" in out and runs() == []


def test_words_after_two_dashes_pass_as_they_are(project: Path):
    (project / "echo.py").write_text("import sys\nprint(sys.argv[1:])\n")
    assert main(["run", "echo.py", "--no-scalars", "--", "--deep", "x=1"]) == 0
    assert read(runs()[0].id, "console.txt") == b"['--deep', 'x=1']\n"


def test_a_grid_is_a_run_of_runs_and_a_failing_one_does_not_end_it(project: Path):
    assert main(["run", "train.py", "lr=[0.1,2]", "epochs=[1,2]", "--name", "grid"]) == 3
    (whole,) = runs("run")
    parts = runs("trial")
    assert (whole.name, whole.status) == ("grid", "failed")
    assert {part.parent_id for part in parts} == {whole.id}
    assert [(p.params["lr"], p.params["epochs"], p.status) for p in parts] == [
        ("0.1", "1", "finished"), ("0.1", "2", "finished"), ("2.0", "1", "failed"), ("2.0", "2", "failed"),
    ]  # fmt: skip


def test_draws_are_runs_too(project: Path):
    assert main(["run", "train.py", "lr=uniform(0.1,0.2)", "--trials", "2", "--seed", "1"]) == 0
    rates = [float(part.params["lr"]) for part in runs("trial")]
    assert len(set(rates)) == 2 and all(0.1 <= rate <= 0.2 for rate in rates)


def test_needed_leaves_out_what_is_there(project: Path, capsys: pytest.CaptureFixture[str]):
    for words in (["lr=0.1"], ["lr=0.1"], [], ["lr=[0.1,0.2]"]):
        assert main(["run", "train.py", "--needed", *words]) == 0
    assert len(runs("run")) == 2 and len(runs("trial")) == 1
    (project / "settings.py").write_text("SCALE = 2.0\n")  # longer: Python tells sources apart by second and size
    assert main(["run", "train.py", "--needed"]) == 0
    assert runs("run")[-1].metrics["scale"] == 2.0
    assert "was there already" in capsys.readouterr().err


def test_a_restarted_run_has_its_flags_and_the_sources_it_had(project: Path):
    assert main(["run", "train.py", "lr=0.5", f"out={project / 'out.txt'}"]) == 0
    (first,) = runs()
    (project / "out.txt").unlink()
    (project / "settings.py").write_text("SCALE = 2.0\n")
    (project / "train.py").write_text("raise SystemExit(9)\n")
    assert main(["run", "--restart", first.id]) == 0
    (again,) = runs()
    assert (again.id, again.params, again.metrics) == (first.id, first.params, first.metrics)
    assert (project / "out.txt").read_text() == "0.5"
    assert read(first.id, "source/settings.py") == b"SCALE = 1\n"
    assert main(["run", "--restart", first.id, "x=1"]) == 2


def test_tensorboard_files_become_metrics(project: Path):
    shutil.copy(EXAMPLE, project / "events.out.tfevents.0.old")
    (project / "board.py").write_text(
        "import pathlib, shutil, sys\npathlib.Path('logs/val').mkdir(parents=True)\n"
        f"shutil.copy({str(EXAMPLE)!r}, 'logs/val/events.out.tfevents.1.new')\n"
    )
    assert main(["run", "board.py"]) == 0
    (run,) = runs()
    assert run.metrics == {"val/loss": pytest.approx(1 / 3), "val/auc/test": 0.75}
    with hs.open() as ws:
        assert ws.tracking.metric_history(run.id, "val/loss")[1].at_ms == 1_700_000_001_000


def test_runs_of_the_script_s_own_are_children_of_its_run(project: Path):
    (project / "own.py").write_text("import homeostat as hs\nwith hs.run('inner') as run:\n    run.log(loss=1)\n")
    assert main(["run", "own.py"]) == 0
    outer, inner = runs()
    assert (inner.name, inner.parent_id, inner.metrics) == ("inner", outer.id, {"loss": 1.0})


def test_in_a_git_checkout_what_git_ignores_is_not_kept(project: Path):
    (project / ".gitignore").write_text("secret.txt\n")
    (project / "secret.txt").write_text("key")
    (project / "pkg").mkdir()
    (project / "pkg" / "a.py").write_text("")
    subprocess.run(["git", "init", "-q"], check=True)
    assert main(["run", "train.py"]) == 0
    with hs.open() as ws:
        kept = {a.path for a in ws.tracking.list_artifacts(runs()[0].id) if a.path.startswith("source/")}
    assert kept == {"source/train.py", "source/settings.py", "source/pkg/a.py"}


def test_an_entry_point_of_an_mlproject_runs_with_its_parameters(project: Path, capsys: pytest.CaptureFixture[str]):
    (project / "MLproject").write_text(
        "name: x\nentry_points:\n  main:\n    parameters:\n"
        "      rate: {type: float, default: 0.25}\n      epochs: int\n"
        "    command: python train.py --lr={rate} --epochs {epochs}\n"
        "  piped:\n    command: python train.py | tee log\n"
    )
    assert main(["run", ".", "epochs=4"]) == 0
    (run,) = runs()
    assert run.params == {"rate": "0.25", "epochs": "4"} and run.metrics["loss"] == 1.0
    for words in (["run", "."], ["run", ".", "--entry", "piped"], ["run", ".", "--entry", "none"]):
        assert main(words) in (2, 4)
    told = capsys.readouterr().err
    assert "needs epochs" in told and "not one program" in told and "has no 'none'" in told
    assert len(runs()) == 1


@pytest.mark.parametrize("text", [
    "- model: m\n  operations:\n    fit:\n      main: train\n      flags: {lr: {default: 0.5}, epochs: 1}\n",
    "fit:\n  main: train\n  flags:\n    lr: 0.5\n    epochs: 1\n",
])  # fmt: skip
def test_an_operation_of_a_guild_file_runs_with_its_defaults(project: Path, text: str):
    (project / "guild.yml").write_text(text)
    assert main(["run", "fit"]) == 0
    assert main(["run", "fit", "lr=[0.1,0.2]"]) == 0
    assert runs("run")[0].params == {"lr": "0.5", "epochs": "1", "out": ""}
    assert [(run.params["lr"], run.params["epochs"]) for run in runs("trial")] == [("0.1", "1"), ("0.2", "1")]
    assert main(["run", "nothing"]) == 4
