"""Models with an environment of their own: refused until it is there, made once, served by its Python alone."""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core.blobs import digest_of_file
from homeostat.core.errors import Corrupt, HomeostatError, InvalidInput, Refused, StepFailed, Unavailable
from homeostat.registry import log_model, package_model
from homeostat.serving import create_environment, deploy, wait_ready
from homeostat.serving.environments import Needs, make_environment, python_for, read_needs
from homeostat.serving.runtimes.process import Order, ProcessRuntime
from tests.serving.conftest import PlaneProcess, features
from tests.serving.wheels import borrow, write_wheel

X = np.array([[1.0, 2.0], [3.0, 4.0]], "f4")
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


class Greets:
    """Needs a distribution that is not installed here; tells which of ours its process finds."""

    def load(self, folder: Path | None) -> None:
        import greeting  # pyright: ignore[reportMissingImports]

        self.word: str = greeting.WORD

    def predict(self, rows: np.ndarray) -> dict[str, Any]:
        ours = sum(find_spec(name) is not None for name in ("msgspec", "sqlalchemy", "polars"))
        return {"sum": rows.sum(axis=1), "word": np.full(len(rows), self.word), "ours": np.full(len(rows), ours)}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that distributions are installed from."""
    folder = tmp_path / "wheels"
    write_wheel(folder, "greeting", "1.0", {"greeting.py": "WORD = 'hello'\n"})
    for name in ("numpy", "cloudpickle"):
        borrow(folder, tmp_path / "links", name)
    for name in ("UV_NO_INDEX", "UV_OFFLINE", "PIP_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def log(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: Any = ("greeting==1.0",)) -> None:
    """Log the model where its distribution is found."""
    beside = tmp_path / "beside"
    beside.mkdir(exist_ok=True)
    (beside / "greeting.py").write_text("WORD = 'written here'\n")
    with monkeypatch.context() as patch, hs.run("train", ws=ws) as run:
        patch.syspath_prepend(str(beside))
        log_model(ws, "own", Greets, X, run_id=run.id, environment=needs)
        sys.modules.pop("greeting")


def test_a_model_is_served_by_the_python_that_it_declares(
    ws: hs.Workspace, plane: PlaneProcess, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    log(ws, tmp_path, monkeypatch)
    version = ws.registry.get_version("own")
    assert "requirements.txt" in version.files
    assert [line.partition("==")[0] for line in version.environment] == ["cloudpickle", "greeting", "numpy", "python"]
    with pytest.raises(Refused, match=r"needs an environment of its own.*greeting==1.0 is missing") as refused:
        deploy(ws, "own")
    assert "`homeostat environment own/1` makes it" in str(refused.value.hint)
    assert main(["environment", "own/1", "--home", str(ws.home)]) == 0
    python = Path(capfd.readouterr().out.strip())
    assert python.is_file()
    assert python.is_relative_to(ws.home / "environments")
    made = create_environment(ws, "own")
    assert (made.python, made.made) == (str(python), True)
    wait_ready(ws, "own", deploy(ws, "own").generation, timeout_s=600)
    status, answer = plane.infer("own", features(X.tolist()))
    assert status == 200, answer
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs == {"sum": [3, 7], "word": ["hello"] * 2, "ours": [0, 0]}
    big = np.resize(X, (20_000, 2))
    status, answer = plane.infer("own", features(big.tolist()))
    assert status == 200
    np.testing.assert_allclose(answer["outputs"][0]["data"], big.sum(axis=1))


def test_what_cannot_be_made_leaves_nothing_behind(ws: hs.Workspace, wheels: Path) -> None:
    with pytest.raises(StepFailed, match="ended with"):
        make_environment(ws, Needs(requirements=["absent==1"], python=MINOR))
    assert list((ws.home / "environments").iterdir()) == []


def test_an_interpreter_may_be_named(ws: hs.Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(ws, tmp_path, monkeypatch)
    with pytest.raises(InvalidInput, match=r"cannot be used: greeting==1.0 is missing"):
        create_environment(ws, "own", use=sys.executable)
    with pytest.raises(InvalidInput, match="is no Python that runs here"):
        create_environment(ws, "own", use=tmp_path / "nothing")
    needs = Needs(requirements=["numpy==0.1"], python=MINOR)
    with pytest.raises(Refused, match="is installed, not numpy==0.1"):
        python_for(ws, needs, "own/1")
    named = make_environment(ws, needs, use=sys.executable)  # whoever names it knows its versions
    assert (named.python, named.made) == (sys.executable, False)
    assert python_for(ws, needs, "own/1") == Path(sys.executable)
    other = Needs(requirements=["numpy"], python="3.1")
    with pytest.raises(InvalidInput, match=r"Python is .*, not 3.1"):
        make_environment(ws, other, use=sys.executable)


def test_what_the_server_has_needs_nothing_made(ws: hs.Workspace) -> None:
    log_model(ws, "plain", lambda rows: rows[:, 0], X, environment=["numpy"])
    assert create_environment(ws, "plain").python == sys.executable
    assert not (ws.home / "environments").exists()
    log_model(ws, "none", lambda rows: rows[:, 0], X)
    with pytest.raises(InvalidInput, match="needs no environment of its own"):
        create_environment(ws, "none")


def test_requirements_are_read_from_a_file_and_checked(ws: hs.Workspace, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("# what it takes\nnumpy>=1  # any\n--hash=sha256:00\n\n")
    package = package_model(lambda rows: rows[:, 0], X, tmp_path / "p", environment=listed)
    assert (tmp_path / "p" / "requirements.txt").read_text().splitlines() == [*package.environment[:1], "numpy>=1"]
    for number, (needs, reason) in enumerate([(tmp_path / "no", "cannot be read"), (["=="], "is no requirement")]):
        with pytest.raises(InvalidInput, match=reason):
            package_model(lambda rows: rows[:, 0], X, tmp_path / str(number), environment=needs)
    import lightgbm

    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 1},
                             lightgbm.Dataset(np.resize(X, (50, 2)), np.arange(50) % 2), 2)  # fmt: skip
    with pytest.raises(InvalidInput, match="is data and runs with what the server has"):
        package_model(booster, X, tmp_path / "b", environment=["lightgbm"])


def test_needs_are_named_by_what_they_say() -> None:
    one, same = read_needs("b==2\na==1\n", "3.11.7"), read_needs("a==1\n# no\nb==2", "3.11.9")
    assert one == same
    assert one.digest == same.digest != read_needs("a==1\nb==2\n", "3.12.0").digest


def test_a_pickle_of_another_digest_is_not_loaded(tmp_path: Path) -> None:
    package_model(lambda rows: rows[:, 0], X, tmp_path / "p")
    order = Order(
        how="file", folder=tmp_path / "p", file="model.pkl", recorded="0" * 64, flavor="python",
        inputs=[("f0", "FP32"), ("f1", "FP32")], outputs=[("prediction", "FP32")], matrix=True,
        python=Path(sys.executable),
    )  # fmt: skip
    with pytest.raises(Corrupt, match="is not what was registered"):
        ProcessRuntime(order)


def test_an_interpreter_that_is_gone_is_told(tmp_path: Path) -> None:
    package_model(lambda rows: rows[:, 0], X, tmp_path / "p")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    order = Order(
        how="file", folder=tmp_path / "p", file="model.pkl", recorded=digest_of_file(tmp_path / "p" / "model.pkl"),
        flavor="python", inputs=[("f0", "FP32"), ("f1", "FP32")], outputs=[("prediction", "FP32")], matrix=True,
        python=python,
    )  # fmt: skip
    runtime = ProcessRuntime(order)
    try:
        python.unlink()
        with pytest.raises(Unavailable, match="the worker process of p cannot be started: .*No such file"):
            ProcessRuntime(order)
        os.kill(runtime.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="worker process"):
            runtime.run([X])
        with pytest.raises(Unavailable, match="cannot be started: .*No such file"):
            runtime.run([X])
    finally:
        runtime.close()


@pytest.mark.parametrize("harmless", [True, False])
def test_a_file_of_skops_is_served_by_another_python(tmp_path: Path, harmless: bool) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2)).astype("f4")
    model = LogisticRegression() if harmless else RandomForestClassifier(3, max_depth=2, random_state=0)
    model.fit(rows, rows[:, 0] > 0)
    package = package_model(model, rows, tmp_path, onnx=False, pickled=False, environment=["greeting==1.0"])
    listed = (tmp_path / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in listed] == ["greeting", "numpy", "scikit-learn", "skops"]

    def started(recorded: str) -> ProcessRuntime:
        return ProcessRuntime(Order(
            how="file", folder=tmp_path, file=package.file, recorded=recorded, flavor="sklearn",
            inputs=[("f0", "FP32"), ("f1", "FP32")], outputs=[("probability", "FP32")], matrix=True,
            python=Path(sys.executable),
        ))  # fmt: skip

    if not harmless:
        with pytest.raises(HomeostatError, match="which skops does not know to be harmless"):
            started("")
    runtime = started("" if harmless else digest_of_file(tmp_path / package.file))
    try:
        np.testing.assert_allclose(runtime.run([rows])[0], model.predict_proba(rows)[:, 1], rtol=1e-5)
    finally:
        runtime.close()


def test_a_model_that_its_environment_cannot_load_says_why(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(ws, tmp_path, monkeypatch, needs=["numpy"])  # forgot what it imports
    generation = deploy(ws, "own").generation
    with pytest.raises(HomeostatError, match="ModuleNotFoundError: No module named 'greeting'"):
        wait_ready(ws, "own", generation, timeout_s=600)
