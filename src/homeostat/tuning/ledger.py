"""The durable side of a search: what was tried, written down trial by trial by the one process that holds it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from typing import Any

import sqlalchemy as sa
from msgspec import structs
from sqlalchemy import exc

from homeostat.core.blobs import digest_of
from homeostat.core.clock import now_ms
from homeostat.core.context import current_run
from homeostat.core.errors import Conflict, StepFailed
from homeostat.core.ids import new_hex_id
from homeostat.core.liveness import is_alive, this_process
from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.tracking import Metric, create_run, finish_run, log_batch
from homeostat.tuning import store
from homeostat.tuning.model import Study, Trial, best_of
from homeostat.tuning.store import Config


class Ledger:
    """One search as recorded. Writing needs it to be held; who holds it no longer gets a Conflict."""

    def __init__(self, ws: Workspace, config: Config, wanted: int, once: str | None) -> None:
        self._ws, self._config = ws, config
        self._owner, self._fence = this_process(), 0
        self._experiment = config.objective.replace(":", ".")[:128]
        self._run_id = current_run()
        self._since, self._spent_before = time.monotonic(), 0.0
        try:
            self.study = ws.db.write(lambda c: self._find(c, wanted, once))
        except exc.IntegrityError:  # another process began the same search at the same moment: now it is there
            self.study = ws.db.write(lambda c: self._find(c, wanted, once))
        self.trials: list[Trial] = []
        self.wanted = wanted

    @property
    def spent_s(self) -> float:
        """Seconds spent on this search, in earlier processes too."""
        return self._spent_before + time.monotonic() - self._since

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Within the block, this process and no other writes. Raises: Conflict while a living one does."""
        self._ws.db.write(self._take)
        self.trials = self._ws.db.read(lambda c: store.read_trials(c, self.study))
        try:
            yield
        finally:
            where = (store.studies.c.id == self.study, store.studies.c.fence == self._fence)
            self._ws.db.write(lambda c: c.execute(sa.update(store.studies).where(*where).values(owner="")).rowcount)

    def begin(self, trial: Trial) -> Trial:
        """Write down that a trial starts, as a run in tracking too."""
        run_id = digest_of(f"{self.study}/{trial.number}".encode())[:32]
        begun = structs.replace(trial, run_id=run_id, start_ms=now_ms())

        def put(connection: sa.Connection) -> None:
            self._guard(connection)
            store.put_trial(connection, self.study, begun)
            create_run(
                self._ws, self._experiment, name=f"trial {trial.number}", kind="trial", id=run_id,
                parent_id=self._run_id, params=trial.params, source=self._config.objective,
            )  # fmt: skip

        self._ws.db.write(put)
        self._keep(begun)
        return begun

    def end(self, trial: Trial) -> None:
        """Write down how a trial ended."""
        ended = structs.replace(trial, end_ms=now_ms())
        points = [Metric(key=name, value=value) for name, value in trial.metrics.items()]
        points += [
            Metric(key=f"reported/{self._config.metric}", value=value, step=int(step))
            for step, value in trial.reports.items()
        ]

        def put(connection: sa.Connection) -> None:
            self._guard(connection)
            store.put_trial(connection, self.study, ended)
            if trial.run_id is not None:
                log_batch(self._ws, trial.run_id, points, tags={"pruned": "true"} if trial.status == "pruned" else {})
                status = "failed" if trial.status == "failed" else "finished"
                finish_run(self._ws, trial.run_id, status=status, error=trial.error)

        self._ws.db.write(put)
        self._keep(ended)

    def close(self) -> Study:
        """Write down that the search is over. Raises: StepFailed when no trial succeeded."""
        best = best_of(self.trials, self._config.direction)
        errors = [trial.error for trial in self.trials if trial.error]
        error = None if best else f"none of {len(self.trials)} trials succeeded; the last: {(errors or ['?'])[-1]}"

        def put(connection: sa.Connection) -> Study:
            self._guard(connection, status="finished" if best else "failed", error=error, end_ms=now_ms())
            if self._run_id == self.study:
                value = [Metric(key=self._config.metric, value=best.value)] if best else []
                chosen = {f"best/{name}": str(part) for name, part in best.params.items()} if best else {}
                log_batch(self._ws, self.study, value, tags=chosen)
                finish_run(self._ws, self.study, status="finished" if best else "failed", error=error)
            return store.study_record(connection, self._row(connection))

        record = self._ws.db.write(put)
        if error is not None:
            raise StepFailed(
                f"tuning {self._config.objective}: {error}",
                hint=f"the logs of the trials are in {self._ws.home / 'tuning' / self.study}",
                study=self.study,
            )
        return record

    def _find(self, connection: sa.Connection, wanted: int, once: str | None) -> str:
        text = to_json(self._config)
        if once is not None:
            row = connection.execute(sa.select(store.studies).where(store.studies.c.once == once)).first()
            if row is not None:
                differing = _differing(from_json(row.config, Config), self._config)
                if differing:
                    raise Conflict(
                        f"once={once!r} means another search: it differs in {', '.join(differing)}",
                        hint="use another text, or none, for another search",
                        study=row.id,
                    )
                return row.id
        study = new_hex_id()
        connection.execute(
            sa.insert(store.studies).values(
                id=study, once=once, config=text, wanted=wanted, status="running", run_id=self._run_id or study,
                spent_ms=0, start_ms=now_ms(), owner="", fence=0,
            )
        )  # fmt: skip
        return study

    def _take(self, connection: sa.Connection) -> None:
        row = self._row(connection)
        if is_alive(row.owner):
            raise Conflict(
                f"the search {self.study} is being carried on by another process", hint="wait for it", study=self.study
            )
        where = (store.studies.c.id == self.study, store.studies.c.fence == row.fence)
        values: dict[str, Any] = {
            "owner": self._owner, "fence": row.fence + 1, "status": "running", "wanted": max(row.wanted, self.wanted),
            "end_ms": None, "error": None,
        }  # fmt: skip
        if not connection.execute(sa.update(store.studies).where(*where).values(**values)).rowcount:
            raise Conflict(f"the search {self.study} was just taken by another process", study=self.study)
        self._fence, self._run_id = row.fence + 1, row.run_id
        self._since, self._spent_before = time.monotonic(), row.spent_ms / 1000
        if self._run_id == self.study:
            name = self._config.objective.rpartition(":")[2]
            create_run(self._ws, self._experiment, name=f"tune {name}", id=self.study, source=self._config.objective)

    def _guard(self, connection: sa.Connection, **values: Any) -> None:
        """Only the newest holder goes past here."""
        where = (store.studies.c.id == self.study, store.studies.c.fence == self._fence)
        values["spent_ms"] = int(self.spent_s * 1000)
        if not connection.execute(sa.update(store.studies).where(*where).values(**values)).rowcount:
            raise Conflict(f"the search {self.study} was taken over by another process", study=self.study)

    def _row(self, connection: sa.Connection) -> sa.Row[Any]:
        return connection.execute(sa.select(store.studies).where(store.studies.c.id == self.study)).one()

    def _keep(self, trial: Trial) -> None:
        if trial.number == len(self.trials):
            self.trials.append(trial)
        else:
            self.trials[trial.number] = trial


def _differing(one: Config, other: Config) -> list[str]:
    return [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name) and name != "project"]
