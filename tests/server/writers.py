"""Clients that write through MLflow's calls, remember what was answered, and look later whether it is there, once.

Each write has a name of its own, so that a second copy of it would be seen. Of a write in flight when the server dies
nothing is known: it may be there or not, whole, but never twice.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

API = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
BATCH = 40


class Refused(Exception):
    """An answer that was not 200."""


class Line:
    """One connection to a server, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._used_s = time.monotonic()

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        if time.monotonic() - self._used_s > 2:
            self._connection.close()  # it is opened again; a server ends those that nobody uses
        with contextlib.suppress(BrokenPipeError):  # who refuses a body need not take all of it: the answer is there
            self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        self._used_s = time.monotonic()
        response = self._connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise Refused(f"{method} {path}: {response.status} {data[:500]!r}")
        return data

    def post(self, call: str, **body: Any) -> dict[str, Any]:
        return json.loads(self.send("POST", API + call, json.dumps(body).encode()))

    def get(self, call: str, **query: Any) -> dict[str, Any]:
        return json.loads(self.send("GET", f"{API}{call}?{urlencode(query, doseq=True)}"))

    def close(self) -> None:
        self._connection.close()


@dataclass
class RunFacts:
    """What a run was answered to hold."""

    points: set[int] = field(default_factory=set)
    batches: set[int] = field(default_factory=set)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    finished: bool = False


class Writer(threading.Thread):
    """Writes one thing after another until the server is gone. `name` is nobody else's; so is what it writes."""

    def __init__(self, port: int, name: str, experiment: str, model: str, answered: threading.Semaphore) -> None:
        super().__init__(name=name)
        self._line = Line(port)
        self._chance = random.Random(name)
        self._answered = answered
        self._count = 0
        self._run = ""
        self.experiment, self.model = experiment, model
        self.runs: dict[str, RunFacts] = {}
        self.names: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.alias: int | None = None
        self.flight: tuple[str, Any] = ("nothing", None)
        self.fault: Exception | None = None

    def run(self) -> None:
        kinds = [self._point] * 6 + [self._batch, self._param, self._tag, self._file] * 2
        kinds += [self._version, self._point_alias, self._finish, self._create]
        try:
            while True:
                self._count += 1
                (self._chance.choice(kinds) if self._run else self._create)()
                self.flight = ("nothing", None)
                self._answered.release()
        except (OSError, http.client.HTTPException):
            pass  # the server was killed
        except Exception as error:
            self.fault = error
        finally:
            self._line.close()

    @property
    def _facts(self) -> RunFacts:
        return self.runs[self._run]

    def _fly(self, what: str, value: Any) -> None:
        self.flight = (what, (self._run, value))

    def _create(self) -> None:
        name = f"{self.name}-{self._count}"
        self._fly("run", name)
        made = self._line.post("runs/create", experiment_id=self.experiment, run_name=name, start_time=1)
        self._run = made["run"]["info"]["run_id"]
        self.runs[self._run] = RunFacts()
        self.names[name] = self._run

    def _point(self) -> None:
        step = self._count
        self._fly("point", step)
        self._line.post("runs/log-metric", run_id=self._run, key="p", value=step / 7, timestamp=step, step=step)
        self._facts.points.add(step)

    def _batch(self) -> None:
        start = self._count * BATCH
        self._fly("batch", start)
        metrics = [{"key": "b", "value": 1.5, "timestamp": 1, "step": start + i} for i in range(BATCH)]
        key = f"batch-{start}"
        self._line.post(
            "runs/log-batch", run_id=self._run, metrics=metrics, params=[{"key": key, "value": key}],
            tags=[{"key": key, "value": key}],
        )  # fmt: skip
        self._facts.batches.add(start)
        self._facts.params[key] = self._facts.tags[key] = key

    def _param(self) -> None:
        key = f"param-{self._count}"
        self._fly("param", key)
        self._line.post("runs/log-parameter", run_id=self._run, key=key, value=key)
        self._facts.params[key] = key

    def _tag(self) -> None:
        key = f"tag-{self._count}"
        self._fly("tag", key)
        self._line.post("runs/set-tag", run_id=self._run, key=key, value=key)
        self._facts.tags[key] = key

    def _file(self) -> None:
        path = f"folder/{self._count}.bin"
        data = random.Random(path).randbytes(self._chance.choice([10, 5_000, 300_000]))
        self._fly("file", path)
        self._line.send("PUT", f"{FILES}/{self.experiment}/{self._run}/artifacts/{path}", data)
        self._facts.files[path] = data

    def _finish(self) -> None:
        self._fly("finish", None)
        self._line.post("runs/update", run_id=self._run, status="FINISHED", end_time=2)
        self._facts.finished = True
        self._run = ""

    def _version(self) -> None:
        mark = f"{self.name}-{self._count}"
        self._fly("version", mark)
        made = self._line.post(
            "model-versions/create", name=self.model, source=f"s3://bucket/{mark}", description=mark, run_id=self._run
        )
        self.versions[mark] = int(made["model_version"]["version"])

    def _point_alias(self) -> None:
        if not self.versions:
            return
        wanted = self._chance.choice(list(self.versions.values()))
        self._fly("alias", wanted)
        self._line.post("registered-models/alias", name=self.model, alias=f"of-{self.name}", version=str(wanted))
        self.alias = wanted

    def check(self, line: Line) -> None:
        """Everything that was answered is there, and nothing twice."""
        what, (run, value) = self.flight if self.flight[1] else ("nothing", ("", None))
        flying = {(what, run): value}
        found = [r for r in all_runs(line, self.experiment) if r["info"]["run_name"].startswith(f"{self.name}-")]
        once({r["info"]["run_name"]: r["info"]["run_id"] for r in found}, self.names, flying.get(("run", run)))
        assert len({r["info"]["run_name"] for r in found}) == len(found), "a run is there twice"
        for shown in found:
            if facts := self.runs.get(shown["info"]["run_id"]):
                self._check_run(line, shown, facts, lambda kind, of=shown: flying.get((kind, of["info"]["run_id"])))
        self._check_model(line, what, value)

    def _check_run(self, line: Line, shown: dict[str, Any], facts: RunFacts, flying: Any) -> None:
        run = shown["info"]["run_id"]
        data = {part: pairs(shown["data"].get(part, [])) for part in ("params", "tags")}
        data["tags"] = {key: value for key, value in data["tags"].items() if not key.startswith("mlflow.")}
        batch = flying("batch")
        key = None if batch is None else f"batch-{batch}"
        once(data["params"], facts.params, flying("param") or key)
        once(data["tags"], facts.tags, flying("tag") or key)
        steps = history(line, run, "p")
        assert max(steps.values(), default=1) == 1, "a point is there twice"
        once(dict.fromkeys(steps), dict.fromkeys(facts.points), flying("point"))
        points = history(line, run, "b")
        assert max(points.values(), default=1) == 1, "a point of a batch is there twice"
        starts = {step // BATCH * BATCH for step in points}
        assert len(points) == BATCH * len(starts), "half a batch is there"
        once(dict.fromkeys(starts), dict.fromkeys(facts.batches), batch)
        assert batch is None or (batch in starts) == (key in data["params"]) == (key in data["tags"])
        listed = line.get("artifacts/list", run_id=run, path="folder").get("files", [])
        sizes = {entry["path"]: entry["file_size"] for entry in listed}
        assert len(sizes) == len(listed), "a file is there twice"
        once(sizes, {path: len(data) for path, data in facts.files.items()}, flying("file"))
        for path, content in facts.files.items():
            assert line.send("GET", f"{FILES}/{self.experiment}/{run}/artifacts/{quote(path)}") == content
        assert not facts.finished or shown["info"]["status"] == "FINISHED"

    def _check_model(self, line: Line, what: str, value: Any) -> None:
        versions = line.get("model-versions/search", filter=f"name='{self.model}'").get("model_versions", [])
        numbers = sorted(int(version["version"]) for version in versions)
        assert numbers == list(range(1, len(numbers) + 1)), "a version's number is missing or there twice"
        marks = Counter(version["description"] for version in versions)
        assert max(marks.values(), default=1) == 1, "a version is there twice"
        mine = {v["description"]: int(v["version"]) for v in versions if v["description"].startswith(f"{self.name}-")}
        once(mine, self.versions, value if what == "version" else None)
        aliases = line.get("registered-models/get", name=self.model)["registered_model"].get("aliases", [])
        pointed = {alias["alias"]: int(alias["version"]) for alias in aliases}.get(f"of-{self.name}")
        assert pointed == self.alias or (what == "alias" and pointed == value)


def once(found: dict[Any, Any], answered: dict[Any, Any], flying: Any) -> None:
    """`found` is what was answered, and perhaps what was flying."""
    assert {key: found.get(key) for key in answered} == answered, "an answered write is lost"
    assert set(found) - set(answered) <= {flying}, "there is what nobody wrote"


def pairs(items: list[dict[str, str]]) -> dict[str, str]:
    found = {item["key"]: item["value"] for item in items}
    assert len(found) == len(items), "a key is there twice"
    return found


def history(line: Line, run: str, key: str) -> Counter[int]:
    found = line.get("metrics/get-history", run_id=run, metric_key=key).get("metrics", [])
    return Counter(int(metric["step"]) for metric in found)


def all_runs(line: Line, experiment: str) -> list[dict[str, Any]]:
    """Every run of an experiment, page by page."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = line.post("runs/search", experiment_ids=[experiment], max_results=1000, page_token=token)
        found += page.get("runs", [])
        if not (token := page.get("next_page_token", "")):
            return found
