"""What the prediction log keeps: a share of the requests, whole, and no redacted column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.serving import PredictionClient, deploy, predictions, wait_ready
from homeostat.serving.log_policy import LogPolicy
from homeostat.serving.spool import spool_files
from tests.serving.conftest import PlaneProcess
from tests.serving.models import COLUMNS, expected, register_logistic
from tests.serving.test_plane import WEIGHTS
from tests.serving.test_predictions import Requests, requests


def ask(ws: hs.Workspace, plane: PlaneProcess, scratch: Path, asked: Requests, **policy: object) -> None:
    register_logistic(ws, scratch, "m", WEIGHTS)
    wait_ready(ws, "m", deploy(ws, "m", **policy).generation)  # pyright: ignore[reportArgumentType]
    with PredictionClient(plane.url) as client:
        list(client.predict_many("m", asked))
        client.flush("m")


def test_a_share_of_the_requests_is_logged_whole(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    asked = requests(200)
    ask(ws, plane, tmp_path, asked, log_share=0.25)
    kept = [(id, rows) for id, _, rows in asked if LogPolicy(share=0.25).takes(id)]
    assert 20 < len(kept) < 80
    log = predictions(ws, "m")
    assert log["request_id"].to_list() == [id for id, rows in kept for _ in rows]
    features = np.concatenate([rows for _, rows in kept])
    np.testing.assert_array_equal(log.select(COLUMNS).to_numpy(), features)
    np.testing.assert_allclose(log["probability"].to_numpy(), expected(WEIGHTS, features), rtol=1e-4)


def test_a_redacted_column_is_not_on_disk(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    asked = requests(20)
    ask(ws, plane, tmp_path, asked, redacted=[COLUMNS[1]])
    log = predictions(ws, "m")
    assert COLUMNS[1] not in log.columns
    features = np.concatenate([rows for _, _, rows in asked])
    np.testing.assert_array_equal(log.select(COLUMNS[0], COLUMNS[2]).to_numpy(), features[:, [0, 2]])
    secret = features[:, 1].astype("<f4")
    files = spool_files(ws.home)
    assert files
    for path in files:
        data = path.read_bytes()
        assert not any(value.tobytes() in data for value in secret)


def test_a_policy_that_cannot_be_is_refused(ws: hs.Workspace, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "m", WEIGHTS)
    with pytest.raises(InvalidInput, match="log_share=1.5"):
        deploy(ws, "m", log_share=1.5)
    with pytest.raises(InvalidInput, match="no input 'zip' to redact") as error:
        deploy(ws, "m", redacted=["zip"])
    assert COLUMNS[0] in (error.value.hint or "")


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_what_a_smaller_one_kept(name: str, one: float, other: float) -> None:
    small, large = sorted([one, other])
    assert not LogPolicy(share=small).takes(name) or LogPolicy(share=large).takes(name)
