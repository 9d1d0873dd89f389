"""Every answered prediction is in the log: through a kill, a torn file, a repeat, a fold."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import homeostat as hs
from homeostat.core.errors import InvalidInput
from homeostat.serving import (
    PredictionClient,
    Route,
    count_predictions,
    deploy,
    fold,
    predictions,
    set_routes,
    wait_ready,
)
from homeostat.serving.spool import MAGIC, is_finished, read_spool, spool_files
from tests.serving.conftest import PlaneProcess
from tests.serving.models import COLUMNS, expected, register_logistic, register_tensor
from tests.serving.test_plane import WEIGHTS, deployed

Requests = list[tuple[str, dict[str, list[object]], np.ndarray]]


def requests(count: int, start: int = 0) -> Requests:
    rng = np.random.default_rng(7)
    return [
        (f"r{at:05d}", {"key": [f"k{at}-{row}" for row in range(rows)], "time": [1000 * at] * rows},
         rng.normal(size=(rows, 3)).astype("f4"))
        for at, rows in ((at, 1 + at % 3) for at in range(start, start + count))
    ]  # fmt: skip


def rows_of(asked: Requests) -> int:
    return sum(len(features) for _, _, features in asked)


def check(frame: pl.DataFrame, asked: Requests) -> None:
    """`frame` holds exactly what was asked and answered."""
    assert frame.height == rows_of(asked)
    assert frame.columns[:10] == [
        "request_id", "row", "key", "time_ms", "logged_ms", "model", "version", "route", "latency_us", "status",
    ]  # fmt: skip
    assert frame["request_id"].to_list() == [id for id, _, features in asked for _ in features]
    assert frame["row"].to_list() == [row for _, _, features in asked for row in range(len(features))]
    assert frame["key"].to_list() == [key for _, metadata, _ in asked for key in metadata["key"]]
    assert frame["time_ms"].to_list() == [time for _, metadata, _ in asked for time in metadata["time"]]
    features = np.concatenate([features for _, _, features in asked])
    np.testing.assert_array_equal(frame.select(COLUMNS).to_numpy(), features)
    np.testing.assert_allclose(frame["probability"].to_numpy(), expected(WEIGHTS, features), rtol=1e-4)


def test_what_was_answered_is_read_back_column_by_column(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    asked = requests(300)
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", asked)
        client.flush("delay")
    frame = predictions(ws, "delay")
    check(frame, asked)
    assert set(frame["route"]) == {"champion"}
    assert set(frame["status"]) == {200}
    assert count_predictions(ws, "delay") == frame.height
    window = predictions(ws, "delay", from_ms=10_000, to_ms=20_000, columns=["probability"])
    check_window = frame.filter(pl.col("time_ms").is_between(10_000, 19_999))
    assert window.equals(check_window.select(window.columns))
    assert window.columns[10:] == ["probability"]
    assert predictions(ws, "nobody").is_empty()
    with pytest.raises(InvalidInput, match="lies after"):
        predictions(ws, "delay", from_ms=2, to_ms=1)


def test_a_kill_loses_nothing_before_the_flush_and_repeats_count_once(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    deployed(ws, tmp_path)
    before, after = requests(200), requests(200, start=200)
    port = plane.port
    with PredictionClient(plane.url, retry_s=30) as client:
        client.predict_many("delay", before)
        client.flush("delay")
        outputs = client.iter_predict("delay", after)
        first = next(outputs)
        plane.kill()
        assert count_predictions(ws, "delay") >= rows_of(before)
        plane.start(port)
        # Whoever does not know what became of the second half asks for it again, with the same ids.
        again = client.predict_many("delay", after)
        np.testing.assert_array_equal(again[0], first)
        client.predict_many("delay", before[:50])
        client.flush("delay")
    check(predictions(ws, "delay"), before + after)
    assert count_predictions(ws, "delay") == rows_of(before + after)


def test_torn_and_damaged_tails_are_passed_over(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    asked = requests(50)
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", asked)
        client.flush("delay")
    plane.kill()
    (path,) = spool_files(ws.home)
    whole = path.read_bytes()
    frames = len(list(read_spool(path)))
    for tail in (b"H", MAGIC, MAGIC + bytes(8), MAGIC + (1000).to_bytes(4, "little") + bytes(100), whole[:-1]):
        path.write_bytes(whole + tail)
        assert len(list(read_spool(path))) >= frames
        check(predictions(ws, "delay"), asked)
    for cut in range(0, len(whole), 997):
        path.write_bytes(whole[:cut])
        assert predictions(ws, "delay").height <= rows_of(asked)
    path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    assert predictions(ws, "delay").is_empty()


def test_folding_changes_where_rows_lie_and_not_what_they_are(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    deployed(ws, tmp_path)
    asked = requests(120)
    with PredictionClient(plane.url) as client:
        for at in range(0, 120, 40):
            client.predict_many("delay", asked[at : at + 40])
            client.flush("delay")
            open_file = spool_files(ws.home)[-1]
            assert not is_finished(open_file)
            assert fold(ws).files == 0  # the plane still writes to it
            before = predictions(ws, "delay")
            port = plane.port
            plane.stop()
            result = fold(ws)
            assert (result.files, result.segments) == (1, 1)
            assert result.rows == sum(len(f) for _, _, f in asked[at : at + 40])
            assert spool_files(ws.home) == []
            assert predictions(ws, "delay").equals(before)
            plane.start(port)
        client.predict_many("delay", asked[:10])  # repeats of rows that are folded already
        client.flush("delay")
    check(predictions(ws, "delay"), asked)
    assert fold(ws).files == 0


def test_a_fold_that_was_cut_short_counts_nothing_twice(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    asked = requests(30)
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", asked)
    plane.stop()
    (path,) = spool_files(ws.home)
    data = path.read_bytes()
    fold(ws)
    path.write_bytes(data)  # as if it had died after the commit and before it deleted the file
    ws.db.write(lambda c: c.exec_driver_sql("insert into serving_folded values ('" + path.name + "')"))
    check(predictions(ws, "delay"), asked)
    assert fold(ws).rows == 0
    assert not path.exists()
    check(predictions(ws, "delay"), asked)


def test_shadows_are_logged_and_never_answer(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    other = np.array([0.0, 2.0, 0.0])
    register_logistic(ws, tmp_path, "delay", other)
    routes = [Route(version=1), Route(version=2, weight=0.5, role="shadow")]
    wait_ready(ws, "delay", set_routes(ws, "delay", routes).generation)
    asked = requests(400)
    with PredictionClient(plane.url) as client:
        answered = client.predict_many("delay", asked)
        client.flush("delay")
    features = np.concatenate([f for _, _, f in asked])
    np.testing.assert_allclose(np.concatenate(answered), expected(WEIGHTS, features), rtol=1e-4)
    check(predictions(ws, "delay"), asked)
    mirrored = predictions(ws, "delay", routes=["shadow"])
    assert set(mirrored["version"]) == {2}
    share = mirrored["request_id"].n_unique() / 400
    assert 0.4 < share < 0.6
    np.testing.assert_allclose(
        mirrored["probability"].to_numpy(), expected(other, mirrored.select(COLUMNS).to_numpy()), rtol=1e-4
    )
    both = predictions(ws, "delay", routes=["champion", "shadow"])
    assert both.height == rows_of(asked) + mirrored.height


def test_requests_without_metadata_and_with_number_keys(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    register_logistic(ws, tmp_path, "delay", WEIGHTS)
    wait_ready(ws, "delay", deploy(ws, "delay", key="flight", time="departure").generation)
    row = np.zeros((1, 3), "f4")
    with PredictionClient(plane.url) as client:
        client.predict("delay", row)
        client.predict("delay", row, id="b", flight=[17])
        client.predict("delay", row, id="c", departure=[5])
        for odd in (-1, 1 << 47, 1_385_000_000_000_000_000, -(1 << 63), (1 << 63) - 1):
            with pytest.raises(InvalidInput, match="'departure' holds times before 1970 or after 6429"):
                client.predict("delay", row, id="odd", departure=[odd])
        with pytest.raises(InvalidInput, match="no input 'key'"):
            client.predict("delay", row, key=["a"])
        client.flush("delay")
    frame = predictions(ws, "delay").sort("logged_ms", "request_id")
    assert sorted(frame["key"].to_list(), key=str) == ["17", None, None]
    assert frame.filter(pl.col("request_id") == "c")["time_ms"].to_list() == [5]
    others = frame.filter(pl.col("request_id") != "c")
    assert (others["time_ms"] == others["logged_ms"]).all()
    assert frame["request_id"].n_unique() == 3


def test_a_full_disk_stops_the_log_and_not_the_answers(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    deployed(ws, tmp_path)
    asked = requests(3000)
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", asked[:100])
        client.flush("delay")
        # From now on no file of the plane may grow, as on a full disk (writes give EFBIG instead of ENOSPC).
        before = resource.prlimit(plane.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        assert len(client.predict_many("delay", asked[100:])) == 2900
        status, _, body = plane.request("POST", "/v2/models/delay/flush")
        assert status == 507
        assert b"the prediction log cannot be written" in body
        assert predictions(ws, "delay").height == rows_of(asked[:100])
        resource.prlimit(plane.process.pid, resource.RLIMIT_FSIZE, before)
        client.flush("delay")
    check(predictions(ws, "delay"), asked)


def test_what_was_answered_is_durable_soon_without_a_flush(
    ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path
) -> None:
    deployed(ws, tmp_path)
    asked = requests(100)
    with PredictionClient(plane.url) as client:
        client.predict_many("delay", asked)
    while count_predictions(ws, "delay") < rows_of(asked):  # the test's own time limit is the limit
        pass
    plane.kill()
    check(predictions(ws, "delay"), asked)


def test_rows_of_several_texts_are_read_back_and_folded(ws: hs.Workspace, plane: PlaneProcess, tmp_path: Path) -> None:
    from onnx import TensorProto

    register_tensor(ws, tmp_path, "labels", TensorProto.STRING, "BYTES")
    deploy(ws, "labels")
    wait_ready(ws, "labels")
    texts = [["a", "b", "ç"], ["", "d", "e"]]
    for at, row in enumerate(texts):
        x = {"name": "x", "datatype": "BYTES", "shape": [1, 3], "data": row}
        assert plane.infer("labels", {"id": f"r{at}", "inputs": [x]})[0] == 200
    plane.flush("labels")
    before = predictions(ws, "labels", columns=["y"])
    assert before["y"].to_list() == texts
    plane.stop()
    assert fold(ws).rows == 2
    assert predictions(ws, "labels", columns=["y"]).equals(before)
