"""Groups become frames: what is on disk does not depend on how they were joined, and what waits is bounded."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.serving import prediction_log
from homeostat.serving.contract import MatrixContract, TensorsContract, TensorSpec
from homeostat.serving.log_columns import Group, batch_of, kind_of, wanted
from homeostat.serving.log_frame import newest, to_frame
from homeostat.serving.log_policy import LogPolicy
from homeostat.serving.oip import Outputs
from homeostat.serving.prediction_log import PredictionLog
from homeostat.serving.question import Question
from homeostat.serving.spool import Batch, SpoolWriter, read_spool

COLUMNS = [TensorSpec(name=name, datatype="FP32", shape=[-1]) for name in ("a", "b")]
SCORE = TensorSpec(name="score", datatype="FP64", shape=[-1])
TEXT = TensorSpec(name="text", datatype="BYTES", shape=[-1])
ENDED = 10_000_000
ALL = ("champion", "canary", "shadow", "direct")


class Version(SimpleNamespace):
    """What the log knows of a loaded version."""

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]


def version(**given: Any) -> Any:
    whole = {"model": "m", "version": 1, "contract": MatrixContract("m", COLUMNS, "key", "time")}
    return Version(**{**whole, "log_policy": LogPolicy(), **given})


def question(
    at: int, rows: int, role: str = "champion", key: list[Any] | None = None, times: bytes | None = None
) -> Question:
    nobody: Any = None
    payload = np.full((rows, 2), at, "<f4").tobytes()
    return Question(nobody, nobody, f"r{at:04}", role, rows, payload, key, times, [], ENDED - 1000 * at)


Answered = tuple[list[Question], Any, Outputs | None]


def group(loaded: Any, questions: list[Question]) -> Answered:
    rows = sum(one.rows for one in questions)
    outputs = Outputs([SCORE, TEXT], [np.arange(rows) + 0.5, np.array([b"t"] * rows, object)])
    return questions, loaded.contract.merge([one.payload for one in questions]), outputs


def handed(
    loaded: Any,
    questions: list[Question],
    payload: Any,
    outputs: Outputs | None,
    status: int = 200,
    shadow_ns: int = -1,
) -> Group:
    specs, arrays = ([], []) if outputs is None else (outputs.specs, outputs.arrays)
    return loaded, questions, payload, specs, arrays, ENDED, status, shadow_ns


def logged(loaded: Any, groups: list[Answered], status: int = 200, shadow_ns: int = -1) -> Batch:
    return batch_of([handed(loaded, *one, status, shadow_ns) for one in groups], 77_000_000 - ENDED)


@st.composite
def asked(draw: st.DrawFn) -> list[Question]:
    found: list[Question] = []
    for at in range(draw(st.integers(1, 12))):
        rows = draw(st.integers(1, 3))
        key = draw(st.none() | st.just([f"k{at}"] * rows) | st.just([at] * rows))
        times = draw(st.none() | st.just(np.full(rows, at, "<i8").tobytes()))
        found.append(question(at, rows, draw(st.sampled_from(["champion", "canary", "direct"])), key, times))
    return found


@given(asked(), st.sets(st.integers(1, 11)))
def test_how_requests_are_joined_is_not_seen_in_the_log(questions: list[Question], cuts: set[int]) -> None:
    loaded = version()
    ends = [*sorted(cut for cut in cuts if cut < len(questions)), len(questions)]
    groups = [questions[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    frame = to_frame(logged(loaded, [group(loaded, one) for one in groups]), None, None, None)
    alone = [to_frame(logged(loaded, [group(loaded, one)]), None, None, None) for one in groups]
    assert newest([frame], ALL).equals(newest(alone, ALL))
    each = [(one, row) for one in questions for row in range(one.rows)]
    assert frame["request_id"].to_list() == [one.id for one, _ in each]
    assert frame["row"].to_list() == [row for _, row in each]
    assert frame["route"].to_list() == [one.role for one, _ in each]
    assert frame["latency_us"].to_list() == [int(one.id[1:]) for one, _ in each]
    assert frame["key"].to_list() == [None if one.key is None else str(one.key[0]) for one, _ in each]
    assert frame["time_ms"].to_list() == [77 if one.times is None else int(one.id[1:]) for one, _ in each]
    assert frame["a"].to_list() == [float(one.id[1:]) for one, _ in each]
    assert set(frame["text"]) == {"t"}


def test_shadows_say_so_and_a_failure_has_no_outputs() -> None:
    loaded, asked = version(), [question(1, 1), question(2, 2)]
    payload = loaded.contract.merge([one.payload for one in asked])
    outputs = Outputs([SCORE], [np.zeros(3)])
    one = to_frame(logged(loaded, [(asked, payload, outputs)] * 2, shadow_ns=5_000), None, None, None)
    other = to_frame(logged(loaded, [(asked, payload, None)], status=500), None, None, None)
    assert (set(one["route"]), set(one["latency_us"]), set(one["status"])) == ({"shadow"}, {5}, {200})
    assert (set(other["route"]), set(other["status"])) == ({"champion"}, {500})
    assert other["latency_us"].to_list() == [1, 2, 2]
    assert "score" not in other.columns


def read(folder: Path) -> list[Batch]:
    return [batch for path in sorted(folder.glob("*.spool")) for batch in read_spool(path)]


def test_answers_whose_rows_differ_in_shape_are_logged_each_with_its_own(tmp_path: Path) -> None:
    log, loaded = PredictionLog(tmp_path, "test"), version()
    spec = TensorSpec(name="score", datatype="FP64", shape=[-1, -1])
    widths = [2, 3, 3, 2, 2]
    for at, width in enumerate(widths):
        one = question(at, 1)
        log.add(loaded, [one], one.payload, Outputs([spec], [np.full((1, width), at, "<f8")]), ENDED, 200)
    assert flushed(log) == (5, None)
    log.close()
    frames = [to_frame(batch, None, None, None) for batch in read(tmp_path)]
    found = {id: list(score) for frame in frames for id, score in frame.select("request_id", "score").iter_rows()}
    assert found == {f"r{at:04}": [float(at)] * width for at, width in enumerate(widths)}


def test_versions_of_which_one_gives_a_number_and_another_several_are_read_together() -> None:
    frames: list[pl.DataFrame] = []
    for number, answer in enumerate([np.full(1, 0.5), np.array([[0.25, 0.75]]), np.array([b"no"], object)], 1):
        one = question(number, 1)
        spec = TensorSpec(name="score", datatype="BYTES" if answer.dtype == object else "FP64", shape=[-1])
        outputs = Outputs([spec], [answer])
        frames.append(to_frame(logged(version(version=number), [([one], one.payload, outputs)]), None, None, None))
    assert newest(frames[:2], ALL).sort("version")["score"].to_list() == [[0.5], [0.25, 0.75]]
    assert newest(frames, ALL).sort("version")["score"].to_list() == [["0.5"], ["0.25", "0.75"], ["no"]]


def test_an_input_of_an_outputs_name_does_not_stand_in_for_the_answer() -> None:
    loaded, one = version(), question(7, 1)
    outputs = Outputs([TensorSpec(name=COLUMNS[0].name, datatype="FP64", shape=[-1])], [np.array([0.5])])
    frame = to_frame(logged(loaded, [([one], one.payload, outputs)]), None, None, None)
    assert frame.select(one.name for one in COLUMNS).row(0) == (0.5, 7.0)


def test_requests_that_are_not_joined_are_told_apart_by_their_shapes(tmp_path: Path) -> None:
    spec = TensorSpec(name="x", datatype="INT64", shape=[-1])
    log = PredictionLog(tmp_path, "test")
    loaded = version(contract=TensorsContract("m", [spec], "key", "time", batchable=False))
    for at, size in enumerate([2, 3, 2]):
        array = np.full(size, at, "<i8")
        log.add(loaded, [question(at, 1)], [array], Outputs([spec], [array]), ENDED, 200)
    assert flushed(log) == (3, None)
    log.close()
    found = {tuple(one.ids): [block.tail for block in (*one.inputs, *one.outputs)] for one in read(tmp_path)}
    assert found == {("r0000", "r0002"): [[2], [2]], ("r0001",): [[3], [3]]}


def test_the_last_group_of_a_version_is_kept_if_it_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, loaded, other = PredictionLog(tmp_path, "test"), version(), version()
    assert log.latest(loaded) is None
    fill(log, loaded, 0, 3)
    failed = question(9, 1)
    log.add(loaded, [failed], failed.payload, None, ENDED, 500)
    flushed(log)
    assert log.latest(loaded) == question(2, 1).payload, "the last that was answered"
    monkeypatch.setattr(prediction_log, "MAX_LATEST", 10)
    fill(log, other, 4, 1)
    flushed(log)
    assert log.latest(other) is None
    log.close()


def test_versions_and_failures_are_told_apart() -> None:
    one, other, outputs = version(), version(), Outputs([SCORE], [np.zeros(1)])
    kinds = [
        kind_of(handed(one, [], b"", outputs)),
        kind_of(handed(one, [], b"", None, 500)),
        kind_of(handed(one, [], b"", outputs, shadow_ns=5)),
        kind_of(handed(other, [], b"", outputs)),
    ]
    assert len(set(kinds)) == 4
    assert kinds[0] == kind_of(handed(one, [], b"", Outputs([SCORE], [np.zeros(7)])))


def fill(log: PredictionLog, loaded: Any, first: int, many: int) -> None:
    for at in range(first, first + many):
        one = question(at, 1)
        log.add(loaded, [one], one.payload, Outputs([SCORE], [np.zeros(1)]), ENDED, 200)


def flushed(log: PredictionLog) -> tuple[int, Exception | None]:
    told: list[tuple[int, Exception | None]] = []
    heard = threading.Event()

    def done(rows: int, failure: Exception | None) -> None:
        told.append((rows, failure))
        heard.set()

    log.flush(done)
    assert heard.wait(60)
    return told[0]


def ids(folder: Path) -> list[str]:
    return [id for batch in read(folder) for id in batch.ids]


def written(folder: Path, many: int) -> None:
    """Return when so many requests are in the files."""
    deadline = time.monotonic() + 60
    while len(ids(folder)) < many:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_many_threads_log_each_request_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "PACK", 8)
    log, loaded = PredictionLog(tmp_path, "test"), version()
    threads = [threading.Thread(target=fill, args=(log, loaded, 1000 * at, 300)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flushed(log) == (1200, None)
    assert (log.rows, log.dropped, log.queued) == (1200, 0, 0)
    found = ids(tmp_path)
    assert sorted(found) == [f"r{1000 * at + one:04}" for at in range(4) for one in range(300)]
    for at in range(4):  # each thread's own order
        mine = [id for id in found if int(id[1:]) // 1000 == at]
        assert mine == sorted(mine)
    log.close()


class Full(SpoolWriter):
    """A writer onto a disk that is full."""

    full = True

    def write(self, data: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(data)


def test_what_waits_is_bounded_and_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "SpoolWriter", Full)
    monkeypatch.setattr(prediction_log, "MAX_WAITING", 4000)
    monkeypatch.setattr(prediction_log, "PACK", 10)
    log, loaded = PredictionLog(tmp_path, "test"), version()
    writer: Any = log._writer  # pyright: ignore[reportPrivateUsage]
    fill(log, loaded, 0, 1000)
    rows, failure = flushed(log)
    assert (rows, isinstance(failure, OSError)) == (0, True)
    assert 900 < log.dropped < 1000
    assert log.dropped + log.queued == 1000
    writer.full = False
    rows, failure = flushed(log)
    assert (rows + log.dropped, failure) == (1000, None)
    assert ids(tmp_path) == [f"r{at:04}" for at in range(log.dropped, 1000)]
    log.close()


class Watched(SpoolWriter):
    """A writer that tells of its syncs, of which some fail."""

    syncs = 0
    broken = 0

    def sync(self) -> None:
        self.syncs += 1
        if self.broken:
            self.broken -= 1
            raise OSError(5, "Input/output error")
        super().sync()


def test_what_is_written_is_not_synced_each_time_but_for_whoever_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "SpoolWriter", Watched)
    monkeypatch.setattr(prediction_log, "SYNC_S", 1e9)
    log = PredictionLog(tmp_path, "test")
    writer: Any = log._writer  # pyright: ignore[reportPrivateUsage]
    fill(log, version(), 0, 3)
    written(tmp_path, 3)
    assert writer.syncs == 0
    assert flushed(log) == (3, None)
    assert writer.syncs == 1
    log.close()


def test_what_was_written_and_could_not_be_synced_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "SpoolWriter", Watched)
    monkeypatch.setattr(prediction_log, "SYNC_S", 1e9)
    log, loaded = PredictionLog(tmp_path, "test"), version()
    writer: Any = log._writer  # pyright: ignore[reportPrivateUsage]
    fill(log, loaded, 0, 3)
    written(tmp_path, 3)
    writer.broken = 1
    fill(log, loaded, 3, 2)
    rows, failure = flushed(log)
    assert (rows, isinstance(failure, OSError)) == (0, True)
    assert flushed(log) == (5, None)
    assert (log.queued, log.dropped) == (0, 0)
    log.close()
    frames = [to_frame(batch, None, None, None) for batch in read(tmp_path)]
    assert sum(frame.height for frame in frames) == 10
    assert newest(frames, ALL)["request_id"].to_list() == [f"r{at:04}" for at in range(5)]


def test_a_group_that_cannot_be_taken_apart_takes_no_other_with_it(tmp_path: Path) -> None:
    log, loaded = PredictionLog(tmp_path, "test"), version()
    spec = TensorSpec(name="x", datatype="INT64", shape=[-1])
    odd = version(contract=TensorsContract("m", [spec], "key", "time", batchable=False))
    fill(log, loaded, 0, 2)
    log.add(odd, [question(9, 1)], object(), None, ENDED, 500)
    fill(log, loaded, 2, 2)
    assert log.queued == 5
    assert flushed(log) == (4, None)
    assert (log.dropped, log.queued) == (1, 0)
    log.close()
    assert ids(tmp_path) == ["r0000", "r0001", "r0002", "r0003"]


def test_lone_requests_reach_the_disk_without_being_asked_for(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "test")
    fill(log, version(), 0, 3)
    written(tmp_path, 3)
    assert ids(tmp_path) == ["r0000", "r0001", "r0002"]
    log.close()


def test_one_bad_entry_is_counted_and_the_log_goes_on(tmp_path: Path) -> None:
    log, loaded = PredictionLog(tmp_path, "test"), version()
    one = question(1, 1)
    log.add(loaded, [one], object(), None, ENDED, 500)
    assert flushed(log) == (0, None)
    assert log.dropped == 1
    fill(log, loaded, 2, 1)
    assert flushed(log) == (1, None)
    log.close()
    assert ids(tmp_path) == ["r0002"]


def test_what_a_deployment_does_not_want_logged_never_waits(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "test")
    fill(log, version(log_policy=LogPolicy(share=0.0)), 0, 5)
    assert log.queued == 0
    log.close()
    policy = LogPolicy(share=0.5)
    loaded, asked = version(log_policy=policy), [question(at, 2) for at in range(20)]
    batch = logged(loaded, [wanted(loaded, *group(loaded, asked))])
    taken = [one.id for one in asked if policy.takes(one.id)]
    assert batch.ids == taken
    frame = to_frame(batch, None, None, None)
    assert frame["a"].to_list() == [float(id[1:]) for id in taken for _ in range(2)]
    assert frame["score"].to_list() == [2 * int(id[1:]) + row + 0.5 for id in taken for row in range(2)]


def test_a_version_is_told_from_its_shadow_and_its_failures_within_one_frame_of_time(tmp_path: Path) -> None:
    log, loaded, other = PredictionLog(tmp_path, "test"), version(), version(version=2)
    specs = [SCORE]  # a version's own: the same object each time
    took = [-1, -1, 3_000, -1, 2_000, -1]
    for at, shadow_ns in enumerate(took):
        one, outputs = question(at, 1), Outputs(specs, [np.full(1, float(at))])
        log.add(loaded, [one], one.payload, outputs, ENDED, 200, shadow_ns)
        if at == 3:
            log.add(loaded, [question(7, 1)], one.payload, None, ENDED, 500)
            log.add(other, [question(8, 1)], one.payload, Outputs([SCORE], [np.full(1, 8.0)]), ENDED, 200)
    assert flushed(log) == (8, None)
    log.close()
    frame = newest([to_frame(batch, None, None, None) for batch in read(tmp_path)], ALL).sort("request_id")
    assert frame["score"].to_list() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, None, 8.0]
    assert frame["status"].to_list() == [200] * 6 + [500, 200]
    assert frame["version"].to_list() == [1] * 7 + [2]
    expected = ["champion", "champion", "shadow", "champion", "shadow", "champion", "champion", "champion"]
    assert frame["route"].to_list() == expected
