"""The real `kserve` client, in the environment that `make test` made for it, by each way it knows of asking."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.serving import deploy, wait_ready
from tests.serving.conftest import PlaneProcess
from tests.serving.datatypes import KINDS, deploy_echoes, same
from tests.serving.models import COLUMNS, register_logistic

ROOT = Path(__file__).parents[2]
ASKS = Path(__file__).parent / "kserve_asks.py"
# The client has no arrays of this one.
CLIENT_KINDS = [kind for kind in KINDS if kind != "BF16"]

Case = dict[str, Any]
Ask = Callable[[list[Case]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def plane(shared: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> PlaneProcess:
    scratch = tmp_path_factory.mktemp("models")
    deploy_echoes(shared.ws, scratch)
    register_logistic(shared.ws, scratch, "delay", np.array([1.0, 2.0, 3.0]))
    wait_ready(shared.ws, "delay", deploy(shared.ws, "delay").generation)
    return shared


@pytest.fixture(scope="module")
def ask(plane: PlaneProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    named = os.environ.get("HOMEOSTAT_KSERVE_PYTHON")
    python = Path(named) if named else ROOT / ".peers" / "kserve" / "bin" / "python"
    if not python.is_file():
        pytest.skip("the KServe client is not installed (`make test` does it, or name a Python that has it in"
                    " HOMEOSTAT_KSERVE_PYTHON): its tests are not run")  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))}

    def all_of(cases: list[Case]) -> list[dict[str, Any]]:
        for case in cases:
            by_grpc = case["by"].startswith("grpc")
            case["url"] = f"127.0.0.1:{plane.port}" if by_grpc else f"http://127.0.0.1:{plane.port}"
        assert client.stdin is not None and client.stdout is not None
        client.stdin.write(json.dumps(cases) + "\n")
        client.stdin.flush()
        answers = client.stdout.readline()
        assert answers, log.read_text()
        return json.loads(answers)

    log = tmp_path_factory.mktemp("kserve") / "log"
    with (
        log.open("w") as said,
        subprocess.Popen(
            [python, ASKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=environment
        ) as client,
    ):
        yield all_of


def case(by: str, kind: str, array: np.ndarray, **change: Any) -> Case:
    if kind == "BYTES":
        data: Any = [base64.b64encode(value).decode() for value in array.reshape(-1)]
    else:
        data = base64.b64encode(array.tobytes()).decode()
    return {"by": by, "model": kind.lower(), "datatype": kind, "shape": list(array.shape), "data": data} | change


def array_of(kind: str, answer: dict[str, Any], like: np.ndarray) -> np.ndarray:
    assert "error" not in answer, answer
    assert (answer["datatype"], answer["shape"]) == (kind, list(like.shape))
    if kind == "BYTES":
        return np.array([base64.b64decode(value) for value in answer["data"]], dtype=object)
    return np.frombuffer(base64.b64decode(answer["data"]), like.dtype).reshape(like.shape)


@pytest.mark.parametrize("by", ["rest-binary", "rest-json", "grpc"])
def test_every_datatype_comes_back(plane: PlaneProcess, ask: Ask, by: str) -> None:
    kinds = [kind for kind in CLIENT_KINDS if (by, kind) != ("rest-json", "FP16")]
    answers = ask([case(by, kind, KINDS[kind][1]) for kind in kinds])
    for kind, answer in zip(kinds, answers, strict=True):
        same(kind, array_of(kind, answer, KINDS[kind][1]), KINDS[kind][1])
        assert answer["model"] == kind.lower()


@pytest.mark.parametrize("by", ["rest-binary", "rest-json", "grpc"])
def test_what_does_not_fit_is_told_why(plane: PlaneProcess, ask: Ask, by: str) -> None:
    small, wide = np.array([[1, 2]], "i1"), np.array([[1, 2]], "i4")
    wrong = {
        "expected datatype INT8": case(by, "INT8", wide, datatype="INT32"),
        "expected shape [-1, -1], got [2]": case(by, "INT8", small.reshape(-1)),
        "has no input 'z'": case(by, "INT8", small, name="z"),
        "no model 'nobody'": case(by, "INT8", small, model="nobody"),
    }
    for message, answer in zip(wrong, ask(list(wrong.values())), strict=True):
        assert message in answer["error"]
        unknown = answer["code"] in (404, "NOT_FOUND")
        assert unknown == message.startswith("no model")
        assert unknown or answer["code"] in (400, "INVALID_ARGUMENT")


def test_health_and_the_first_protocol(plane: PlaneProcess, ask: Ask) -> None:
    there = {"live": True, "ready": True, "model": True}
    rest, rpc, none, first, explained = ask([
        {"by": "rest-health", "model": "int8"},
        {"by": "grpc-health", "model": "int8"},
        {"by": "rest-health", "model": "nobody"},
        {"by": "rest-v1", "model": "delay", "health": True},
        {"by": "rest-v1", "model": "delay", "data": [[0.0] * len(COLUMNS), [0.1, 0.2, 0.3]]},
    ])  # fmt: skip
    assert rest == rpc == there
    assert none == there | {"model": False}
    assert first == {"ready": True}
    np.testing.assert_allclose(explained["predictions"], [0.5, 1 / (1 + np.exp(-1.4))], rtol=1e-6)
