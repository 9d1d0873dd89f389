"""`homeostat serve`: a folder of models served without a workspace, as in a pod."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from homeostat.cli.main import main
from homeostat.core.errors import PermissionDenied
from homeostat.serving.access import Access
from tests.serving.conftest import features
from tests.serving.models import expected, logistic

WEIGHTS = np.array([0.5, -1.0, 0.25])
ROWS = np.random.default_rng(0).normal(size=(60, 3))


class Pod:
    """`homeostat serve` in a process of its own, on a free port."""

    def __init__(self, *arguments: str, log: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "homeostat.cli.main", "serve", "--port", "0", *arguments],
                stderr=subprocess.PIPE, env=environment, text=True,
            )  # fmt: skip
            assert self.process.stderr is not None
            waiting = {"churn", "trees"}
            self.port = 0
            for line in self.process.stderr:
                stderr.write(line.encode())
                if found := re.search(r"data plane on http://\S+:(\d+)", line):
                    self.port = int(found[1])
                waiting -= set(re.findall(r"(\w+) version \d+ answers", line))
                if self.port and not waiting:
                    return
            stderr.flush()
            pytest.fail(f"it ended: {log.read_text()}")

    def ask(self, method: str, path: str, body: Any = None, host: str = "churn.example.com") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            data = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, data, {"Host": host})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model as Triton keeps it and one as MLServer does."""
    models = tmp_path_factory.mktemp("mnt") / "models"
    (models / "churn" / "1").mkdir(parents=True)
    (models / "churn" / "1" / "model.onnx").write_bytes(logistic(WEIGHTS))
    settings = {"name": "trees", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "m.joblib"}}
    (models / "second").mkdir()
    (models / "second" / "model-settings.json").write_text(json.dumps(settings))
    joblib.dump(LogisticRegression().fit(ROWS, ROWS[:, 0] > 0), models / "second" / "m.joblib")
    return models


@pytest.fixture(scope="module")
def pod(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    log = tmp_path_factory.mktemp("pod") / "log"
    running = Pod("--model_dir", str(folder), "--host", "0.0.0.0", "--open", "--allow-code", log=log)
    yield running
    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=300)
    assert running.process.returncode == 0


def test_the_probes_answer_whatever_host_is_asked(pod: Pod):
    assert pod.ask("GET", "/v2/health/live", host="10.1.2.3:8080")[0] == 200
    assert pod.ask("GET", "/v2/health/ready", host="10.1.2.3:8080") == (200, {"ready": True, "live": True})
    assert pod.ask("GET", "/v2/models")[1] == {"models": ["churn", "trees"]}


def test_models_of_both_layouts_answer(pod: Pod):
    asked = ROWS[:4].astype("f4")
    status, answer = pod.ask("POST", "/v2/models/churn/infer", features(asked))
    assert status == 200, answer
    np.testing.assert_allclose(answer["outputs"][0]["data"], expected(WEIGHTS, asked), rtol=1e-5)
    status, answer = pod.ask("POST", "/v1/models/trees:predict", {"instances": asked.tolist()})
    assert status == 200, answer
    model = LogisticRegression().fit(ROWS, ROWS[:, 0] > 0)
    np.testing.assert_allclose(answer["predictions"], model.predict_proba(asked)[:, 1], rtol=1e-5)


def test_whoever_reaches_the_port_changes_nothing(pod: Pod):
    status, answer = pod.ask("POST", "/v2/repository/models/churn/unload", {})
    assert status == 403
    assert "change nothing" in answer["error"]
    assert pod.ask("GET", "/v2/models/churn/ready")[0] == 200


def test_a_model_that_does_not_load_ends_the_server_with_the_reason(tmp_path: Path):
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", ["x"], ["y"], domain="com.microsoft")], "odd",
        [value("x", TensorProto.FLOAT, [None, 2])], [value("y", TensorProto.FLOAT, [None, 2])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    (tmp_path / "model.onnx").write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    )
    done = subprocess.run(
        [sys.executable, "-m", "homeostat.cli.main", "serve", "--model-dir", str(tmp_path), "--name", "odd", "--port",
         "0"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode not in (0, 1), done.stderr
    assert "NoSuchOperator" in done.stderr


@pytest.mark.parametrize(("arguments", "words"), [
    (["--host", "0.0.0.0"], "--open"),
    (["--token-file", "nowhere"], "no file of tokens"),
    (["--model-dir", "nowhere"], "nothing at nowhere"),
])  # fmt: skip
def test_what_cannot_be_served_is_refused(
    folder: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["serve", "--model-dir", str(folder), "--port", "0", *arguments]) != 0
    assert words in capsys.readouterr().err


def test_pickles_need_a_word(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["serve", "--model-dir", str(folder), "--port", "0"]) != 0
    assert "--allow-code" in capsys.readouterr().err


class Request:
    """A request of which access sees the headers; whoever sent it has gone."""

    transport = None

    def __init__(self, **headers: str) -> None:
        self.connection = self
        self.headers = {name.encode(): value.encode() for name, value in headers.items()}


def test_a_file_of_tokens_says_who_may_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "tokens"
    file.write_text("first\nsecond\n")
    access = Access("0.0.0.0", token_file=file)

    def status(request: Request) -> int:
        async def ask() -> int:
            found = asyncio.Event()
            access.look_up(request, found.set)
            await found.wait()
            assert access.known(request)
            refusal = access.refusal(request)
            return 200 if refusal is None else refusal.status

        return asyncio.run(ask())

    good = Request(authorization="Bearer second")
    assert [status(good), status(Request()), status(Request(authorization="Bearer third"))] == [200, 401, 401]
    assert access.actor(good, "explain:read") == "token"
    with pytest.raises(PermissionDenied):
        access.actor(good, "serving:write")
    file.write_text("third\n")
    assert [status(good), status(Request(authorization="Bearer third"))] == [401, 200]
    file.unlink()
    assert status(Request(authorization="Bearer third")) == 401
