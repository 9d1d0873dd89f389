"""MLflow's own scoring client against a data plane of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

import homeostat as hs
from homeostat.serving import deploy, wait_ready
from tests.mlflow.client import Client
from tests.serving.conftest import PlaneProcess
from tests.serving.datatypes import KINDS, deploy_echoes
from tests.serving.models import COLUMNS, register_logistic

# Halves have no JSON form, here as everywhere.
_JSON_KINDS = [kind for kind in KINDS if kind not in ("FP16", "BF16")]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneProcess]:
    folder = tmp_path_factory.mktemp("scoring")
    with hs.open(folder / "home") as ws:
        running = PlaneProcess(ws, folder / "plane.log")
        deploy_echoes(ws, folder / "models")
        register_logistic(ws, folder / "models", "delay", np.array([1.0, 2.0, 3.0]))
        wait_ready(ws, "delay", deploy(ws, "delay").generation)
        yield running
        assert running.stop() == 0, running.log.read_text()


def test_every_datatype_comes_back(mlflow_client: Client, plane: PlaneProcess) -> None:
    sent = {
        kind: [[v.decode() if isinstance(v, bytes) else v for v in row] for row in KINDS[kind][1].tolist()]
        for kind in _JSON_KINDS
    }
    said = mlflow_client.check(f"""
        import json, numpy as np
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient

        for kind, rows in json.loads({json.dumps(json.dumps(sent))}).items():
            client = ScoringServerClient("127.0.0.1", f"{plane.port}/v2/models/{{kind.lower()}}")
            dtype = object if kind == "BYTES" else {{"FP32": "f4", "FP64": "f8", "BOOL": "?"}}.get(kind, kind.lower())
            array = np.array(rows, dtype=dtype)
            print(kind, json.dumps([client.invoke(form)["predictions"]
                                    for form in (array, {{"x": array}})]))
    """)
    back = {kind: json.loads(rows) for kind, _, rows in (line.partition(" ") for line in said.splitlines())}
    assert list(back) == _JSON_KINDS
    for kind, answers in back.items():
        for rows in answers:
            if kind == "FP32":
                np.testing.assert_allclose(rows, sent[kind], rtol=1e-7)
            else:
                assert rows == sent[kind], kind


def test_frames_and_what_does_not_fit(mlflow_client: Client, plane: PlaneProcess) -> None:
    said = mlflow_client.check(f"""
        import numpy as np, pandas as pd
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient

        columns = {COLUMNS!r}
        client = ScoringServerClient("127.0.0.1", "{plane.port}/v2/models/delay")
        rows = pd.DataFrame([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]], columns=columns)
        print(client.invoke(rows[columns[::-1]]).get_predictions().iloc[:, 0].round(6).tolist())
        for port, asked in (
            ("{plane.port}/v2/models/delay", rows[columns[:2]]),
            ("{plane.port}/v2/models/delay", rows.astype(object).replace(0.1, "far")),
            ("{plane.port}/v2/models/int8", np.array([[[1, 2]]])),
            ("{plane.port}/v2/models/fp16", np.array([[1.0]])),
            ("{plane.port}/v2/models/nobody", rows),
            ("{plane.port}", rows),
        ):
            try:
                print(client.__class__("127.0.0.1", port).invoke(asked))
            except Exception as error:
                print(error)
        server = ScoringServerClient("127.0.0.1", {plane.port})
        server.wait_server_ready(timeout=300)
        print(server.get_version())
    """)
    frame, *refused, version = said.splitlines()
    assert json.loads(frame) == [0.5, round(float(1 / (1 + np.exp(-1.4))), 6)]
    wanted = [
        (400, COLUMNS[2]), (400, "input 'distance': the data is not a list of FP32 values"), (400, "expected shape"),
        (400, "FP16 has no JSON form"), (404, "no model 'nobody'"), (400, "names no model"),
    ]  # fmt: skip
    assert len(refused) == len(wanted)
    for line, (status, message) in zip(refused, wanted, strict=True):
        assert f"error code {status}" in line and message in line, line
    assert version
