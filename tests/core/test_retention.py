"""How long things are kept: by settings, by experiment, applied by hand and by the server; and what always stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.cli.main import main
from homeostat.core import gc
from homeostat.core.clock import now_ms
from homeostat.core.errors import Conflict, InvalidInput, Refused
from homeostat.core.events import cursors, dispatch, events_after, table
from homeostat.core.retention import DAY_MS, Keep, keep_of
from homeostat.core.settings import Settings
from homeostat.server.retention import RetentionThread
from homeostat.tracking import store

OLD, YOUNG = 40, 5  # days


def days_ago(days: float) -> int:
    return now_ms() - int(days * DAY_MS)


def declared(ws: hs.Workspace, **days: float) -> None:
    ws.settings = Settings({f"HOMEOSTAT_KEEP_{name.upper()}_DAYS": str(value) for name, value in days.items()})


def ended(ws: hs.Workspace, days: float, experiment: str = "default") -> str:
    """A run with a folded and a waiting point and an artifact, that ended so long ago."""
    id = ws.tracking.create_run(experiment).id
    ws.tracking.log_metrics(id, {"loss": 0.5}, step=1)
    ws.tracking.finish_run(id)
    ws.tracking.log_metrics(id, {"loss": 0.25}, step=2)
    ws.tracking.log_artifact(id, "a.bin", f"of {id}".encode())
    run = store.run
    ws.db.write(lambda c: c.execute(sa.update(run).where(run.c.id == id).values(end_ms=days_ago(days))))
    return id


def traced(ws: hs.Workspace, id: str, days: float, experiment: int = 0) -> None:
    row: dict[str, Any] = {"id": id, "experiment_id": experiment, "request_ms": days_ago(days), "state": "OK"}
    row |= {"client_request_id": "", "metadata": "{}", "tags": "{}"}
    file = {"root": f"{experiment}/traces/{id}/artifacts", "path": "traces.json", "digest": "0" * 64, "size": 1}

    def put(c: sa.Connection) -> None:
        c.execute(sa.insert(store.trace).values(**row))
        c.execute(sa.insert(store.span).values(trace_id=id, span_id="s", start_ns=1, body="{}"))
        c.execute(sa.insert(store.file).values(**file, at_ms=1))

    ws.db.write(put)


def holds(ws: hs.Workspace, id: str) -> tuple[int, int]:
    """How many points and artifacts a run has."""
    return len(ws.tracking.metric_history(id, "loss")), len(ws.tracking.list_artifacts(id))


def traces(ws: hs.Workspace) -> set[str]:
    return set(ws.db.read(lambda c: c.execute(sa.select(store.trace.c.id)).scalars()))


def test_without_a_policy_nothing_goes(ws: hs.Workspace):
    run = ended(ws, 4000)
    traced(ws, "tr-old", 4000)
    erased = ws.tracking.collect_garbage().erased
    assert set(erased.values()) == {0}
    assert RetentionThread(ws).apply() is None
    assert holds(ws, run) == (2, 1)
    assert traces(ws) == {"tr-old"}


def test_what_is_older_than_the_policy_goes_and_the_rest_stays(any_ws: hs.Workspace):
    old, young = ended(any_ws, OLD), ended(any_ws, YOUNG)
    running = any_ws.tracking.create_run().id
    any_ws.tracking.log_metrics(running, {"loss": 1.0})
    traced(any_ws, "tr-old", OLD)
    traced(any_ws, "tr-young", YOUNG)
    declared(any_ws, artifacts=30, points=30, traces=30)
    told = any_ws.tracking.collect_garbage(dry_run=True)
    assert holds(any_ws, old) == (2, 1)
    done = any_ws.tracking.collect_garbage()
    for erased in (told.erased, done.erased):
        assert (erased["artifacts"], erased["points"], erased["traces"]) == (1, 2, 1)
    assert holds(any_ws, old) == (0, 0)
    assert holds(any_ws, young) == (2, 1)
    assert len(any_ws.tracking.metric_history(running, "loss")) == 1
    assert any_ws.tracking.get_run(old).metrics == {"loss": 0.25}  # what lists and searches show stays
    assert traces(any_ws) == {"tr-young"}
    left = any_ws.db.read(lambda c: c.execute(sa.select(store.file.c.root)).scalars().all())
    assert left == ["0/traces/tr-young/artifacts"]
    again = any_ws.tracking.collect_garbage().erased
    assert set(again.values()) == {0}
    any_ws.tracking.log_metrics(old, {"loss": 0.1}, step=3)
    assert [m.value for m in any_ws.tracking.metric_history(old, "loss")] == [0.1]


def test_an_experiment_may_have_a_rule_of_its_own(ws: hs.Workspace):
    tracking = ws.tracking
    archive, scratch, other = (ended(ws, OLD, name) for name in ("archive", "scratch", "other"))
    tracking.set_retention("archive", artifacts_days=0, points_days=0)
    tracking.set_retention("scratch", points_days=1)
    declared(ws, artifacts=30)
    rule = tracking.get_retention("scratch")
    assert (rule.artifacts_days, rule.points_days, rule.traces_days) == (30, 1, 0)
    tracking.collect_garbage()
    assert [holds(ws, run) for run in (archive, scratch, other)] == [(2, 1), (0, 0), (2, 0)]
    tracking.set_retention("scratch")
    assert tracking.get_experiment("scratch").tags == {}
    for wrong in (-1.0, float("nan"), float("inf"), 36_501.0):
        with pytest.raises(InvalidInput):
            tracking.set_retention("scratch", traces_days=wrong)


def test_who_may_tag_an_experiment_cannot_erase_it(ws: hs.Workspace):
    ws.tracking.create_experiment("e")
    for attempt in (
        lambda: ws.tracking.set_experiment_tags("e", {"homeostat.keep": '{"points_days":0.001}'}),
        lambda: ws.tracking.create_experiment("f", tags={"homeostat.keep": "{}"}),
        lambda: ws.tracking.delete_experiment_tag("e", "homeostat.keep"),
    ):
        with pytest.raises(Refused, match="administrator"):
            attempt()
    assert hs.core.verbs.find("tracking", "set_retention").permission == "tracking:admin"


def test_runs_and_models_that_versions_name_keep_everything(ws: hs.Workspace):
    from homeostat.registry import store as registry

    by_run, by_source, by_proxy, free = (ended(ws, OLD) for _ in range(4))
    sources = [(by_run, ""), (None, f"runs:/{by_source}/model"), (None, f"mlflow-artifacts:/0/{by_proxy}/artifacts/m")]

    def put(c: sa.Connection) -> None:
        row = {"model": "m", "stage": "None", "created_ms": 1, "updated_ms": 1, "record": '{"model_id":"m-1"}'}
        for number, (run, source) in enumerate(sources, 1):
            c.execute(sa.insert(registry.version).values(**row, version=number, run_id=run, source=source))
        model = {"experiment_id": 0, "artifact_location": "", "created_ms": 1, "updated_ms": 1, "status": "ready"}
        model |= {"status_message": "", "lifecycle": "deleted", "model_type": "", "source_run_id": ""}
        for id in ("m-1", "m-2"):
            c.execute(sa.insert(store.logged_model).values(id=id, name=id, **model))

    ws.db.write(put)
    declared(ws, artifacts=30, points=30)
    done = ws.tracking.collect_garbage(deleted_days=0)
    assert [holds(ws, run) for run in (by_run, by_source, by_proxy, free)] == [(2, 1), (2, 1), (2, 1), (0, 0)]
    assert done.erased["logged models"] == 1
    assert ws.db.read(lambda c: c.execute(sa.select(store.logged_model.c.id)).scalars().all()) == ["m-1"]


def test_predictions_go_by_whole_pieces_and_feedback_with_them(ws: hs.Workspace):
    from homeostat.serving import store as serving

    def put(c: sa.Connection) -> None:
        for number, (begun, last) in enumerate([(OLD, OLD - 1), (OLD, YOUNG), (YOUNG, YOUNG)]):
            piece = {"model": "m", "digest": f"{number:064x}", "rows": 10}
            times = {"from_ms": days_ago(begun), "to_ms": days_ago(last)}
            c.execute(sa.insert(serving.segment).values(**piece, **times))
            said = {"model": "m", "request_id": str(number), "reward": 1.0, "at_ms": days_ago(last)}
            c.execute(sa.insert(serving.feedback).values(**said))
            c.execute(sa.insert(serving.truth).values(**said))

    ws.db.write(put)
    declared(ws, predictions=30)
    assert ws.tracking.collect_garbage(dry_run=True).erased["predictions"] == 10
    erased = ws.tracking.collect_garbage().erased
    assert (erased["predictions"], erased["feedback"]) == (10, 2)
    left = ws.db.read(lambda c: c.execute(sa.select(serving.segment.c.digest)).scalars().all())
    assert sorted(int(digest, 16) for digest in left) == [1, 2]


def test_events_go_once_they_are_old_and_heard(any_ws: hs.Workspace):
    from homeostat.registry.model import ModelCreated

    any_ws.tracking.create_run()
    any_ws.db.write(lambda c: hs.core.events.publish(any_ws, c, ModelCreated(model="m")))
    any_ws.tracking.create_run()
    any_ws.db.write(lambda c: c.execute(sa.update(table).values(at_ms=days_ago(OLD))))
    declared(any_ws, events=30)
    assert any_ws.tracking.collect_garbage(dry_run=True).erased["events"] == 1
    any_ws.tracking.collect_garbage()
    # The one that a listener has yet to hear of stays, the newest of all, and the one that tells of this.
    assert [e.name for e in events_after(any_ws, 0)] == ["model_created", "run_started", "garbage_collected"]
    dispatch(any_ws)
    assert any_ws.db.read(lambda c: c.execute(sa.select(cursors)).all())
    any_ws.tracking.collect_garbage()
    assert [e.name for e in events_after(any_ws, 0)] == ["garbage_collected", "garbage_collected"]


def test_the_server_applies_it_says_so_and_is_audited(ws: hs.Workspace):
    run = ended(ws, OLD)
    deleted = ws.tracking.create_run().id
    ws.tracking.delete_run(deleted)
    ws.db.write(lambda c: c.execute(sa.update(store.run).where(store.run.c.id == deleted).values(deleted_ms=1)))
    declared(ws, points=30)
    done = RetentionThread(ws).apply()
    assert done is not None
    assert done.erased["points"] == 2
    assert ws.tracking.get_run(deleted).lifecycle == "deleted"  # that is another policy
    declared(ws, deleted=30)
    done = RetentionThread(ws).apply()
    assert done is not None
    assert done.erased["runs"] == 1
    for _ in range(2):
        dispatch(ws)
        ws.db.write(lambda c: c.execute(sa.delete(cursors)))  # as if it had been killed before it noted that
    entries = ws.team.list_audit(verb="tracking.garbage_collected")
    assert [(e.actor, e.arguments["erased"]["points"], e.arguments["erased"]["runs"]) for e in reversed(entries)] == [
        ("retention", 2, 0), ("retention", 0, 1)
    ]  # fmt: skip
    assert ws.tracking.get_run(run).metrics == {"loss": 0.25}


def test_bytes_go_with_what_named_them(ws: hs.Workspace):
    old, young = ended(ws, OLD), ended(ws, YOUNG)
    declared(ws, artifacts=30)
    asked = gc.Asked(0, -10_000, keep_of(ws.settings), sweep_always=False)
    assert gc.collect(ws, asked).blobs == 1
    loose = ws.blobs.put_bytes(b"nobody's")
    assert gc.collect(ws, asked).blobs == 0  # nothing went: what names bytes is not looked for
    assert ws.blobs.exists(loose)
    assert ws.tracking.read_artifact(young, "a.bin") == f"of {young}".encode()
    assert ws.tracking.list_artifacts(old) == []


def test_a_server_that_ends_breaks_it_off_and_what_went_is_told(ws: hs.Workspace):
    for _ in range(25):
        id = ws.tracking.create_run().id
        ws.tracking.log_metrics(id, {"loss": 0.5})
        ws.tracking.finish_run(id)
    ws.db.write(lambda c: c.execute(sa.update(store.run).values(end_ms=1)))
    declared(ws, points=30)
    thread = RetentionThread(ws)
    thread._stop.set()
    assert thread.apply() is None
    assert events_after(ws, 0, names=["garbage_collected"]) == []

    def progress(said: str) -> None:
        if said.startswith("20 rows gone"):  # twenty runs' points went in a first transaction
            raise KeyboardInterrupt

    from homeostat.tracking import erase

    with pytest.raises(KeyboardInterrupt):
        erase(ws, progress=progress)
    with_points = ws.db.read(lambda c: c.execute(sa.select(store.chunk.c.run_seq).distinct()).scalars().all())
    assert len(with_points) == 5
    [told] = events_after(ws, 0, names=["garbage_collected"])
    assert told.payload["erased"]["points"] == 20
    erase(ws)
    assert ws.db.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(store.chunk)).scalar_one()) == 0


EXPIRES = """
import sys, homeostat as hs
hs.open(sys.argv[1]).tracking.collect_garbage()
"""


def test_whoever_is_killed_while_erasing_what_is_old_breaks_nothing(tmp_path: Path):
    workspace_url = str(tmp_path / "home")
    with hs.open(workspace_url) as ws:
        run = ended(ws, OLD)
    settings = {"HOMEOSTAT_KEEP_POINTS_DAYS": "30", "HOMEOSTAT_FAULT": "expire"}
    command = [sys.executable, "-c", EXPIRES, workspace_url]
    assert subprocess.run(command, env={**os.environ, **settings}, check=False).returncode == -9
    with hs.open(workspace_url) as ws:
        assert holds(ws, run) == (2, 1)
        ws.db.write(lambda c: c.execute(sa.update(hs.core.leases.table).values(until_ms=0)))
        declared(ws, points=30)
        assert ws.tracking.collect_garbage().erased["points"] == 2


def test_the_command_shows_what_the_policy_would_do(
    ws: hs.Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = ended(ws, OLD)
    monkeypatch.setenv("HOMEOSTAT_KEEP_POINTS_DAYS", "30")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["gc", "--dry-run", "--home", str(ws.home)]) == 0
    shown = capsys.readouterr()
    assert "2 points would be erased" in shown.out
    assert "looking for what has grown old" in shown.err
    assert shown.err.endswith("\r\x1b[2K")
    assert holds(ws, run) == (2, 1)
    assert main(["gc", "--yes", "--home", str(ws.home)]) == 0
    assert "2 points erased" in capsys.readouterr().out


def test_a_policy_that_cannot_be_meant_stops_the_start(ws: hs.Workspace, tmp_path: Path):
    for text in ("-1", "nan", "1e9"):
        ws.settings = Settings({"HOMEOSTAT_KEEP_EVENTS_DAYS": text})
        with pytest.raises(InvalidInput, match="events_days"):
            RetentionThread(ws).start()
    assert keep_of(Settings({})) == Keep()
    assert keep_of(Settings({})).nothing


def test_never_beside_another_one(ws: hs.Workspace):
    declared(ws, points=30)
    with gc.none_meanwhile(ws):
        assert RetentionThread(ws).apply() is None
        with pytest.raises(Conflict):
            ws.tracking.collect_garbage()
