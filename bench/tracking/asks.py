"""What the comparison asks of a server, in a process of its own.

    python -m bench.tracking.asks PORT '{"ask": "metric", "runs": ["…"], "start": 0}' --seconds 2 [--most 10]

`runs` has one entry for each connection. Every point sent is another one, as servers may drop what they have.
Prints one line of JSON, as `bench.load.load` gives it.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from typing import Any
from urllib.parse import quote

from bench.load import Script, load, request
from bench.tracking.peers.seed import START_MS, Seed, curve, seed

_API = "/api/2.0/mlflow/"
_STEP = b"10000001"  # stands for a number of as many digits
_TOKEN = re.compile(rb'"next_page_token": ?"([^"]+)"')
_VERSION = re.compile(rb'"version": ?"(\d+)"')

POINTS = 1000  # of a batch
KEYS = 10  # that they belong to


def _post(call: str, body: dict[str, Any]) -> bytes:
    return request("POST", _API + call, json.dumps(body, separators=(",", ":")).encode())


def metric(run: str, start: int) -> Script:
    """One point after another."""
    whole = _post("runs/log-metric", {"run_id": run, "key": "loss", "value": 0.4375, "timestamp": _now_ms(),
                                      "step": int(_STEP)})  # fmt: skip
    for step in range(int(_STEP) + start, 10**8):
        yield whole.replace(_STEP, b"%d" % step)
        yield None


def batch(run: str, start: int) -> Script:
    """A thousand points after another: ten metrics, a hundred steps."""
    now, steps = _now_ms(), POINTS // KEYS
    points = [
        {"key": f"metric_{key}", "value": 1 / (1 + at) + key, "timestamp": now + at, "step": int(_STEP) * steps + at}
        for at in range(steps) for key in range(KEYS)
    ]  # fmt: skip
    whole = _post("runs/log-batch", {"run_id": run, "metrics": points})
    for step in range(int(_STEP) + start, 10**8):
        yield whole.replace(_STEP, b"%d" % step)
        yield None


def create(experiment: str, start: int) -> Script:
    """One run after another, with the tags that clients set."""
    tags = {"mlflow.user": "ann", "mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL"}
    while True:
        yield _post("runs/create", {"experiment_id": experiment, "user_id": "ann", "start_time": _now_ms(),
                                    "run_name": f"run {start}",
                                    "tags": [{"key": key, "value": value} for key, value in tags.items()]})  # fmt: skip
        yield None
        start += 1


def search(body: dict[str, Any]) -> Script:
    """The same search again and again."""
    whole = _post("runs/search", body)
    while True:
        answer = yield whole
        expected = body["max_results"]
        if answer.count(b'"run_id"') < expected:
            raise SystemExit(f"a search found fewer than {expected} runs: {answer[:500]!r}")
        yield None


def seeded(experiment: str, numbers: range) -> Script:
    """The runs of `peers/seed.py`, each begun, filled and finished."""
    for number in numbers:
        one = seed(number)
        points = [{"key": k, "value": v, "timestamp": one.start_ms, "step": 0} for k, v in one.metrics.items()]
        yield from _run(experiment, one, [points])


def long(experiment: str, points: int) -> Script:
    """The run with the long history; whoever asks finds it by its name."""
    every = [{"key": "loss", "value": v, "timestamp": at, "step": step} for step, at, v in curve(points)]
    batches = [every[at : at + POINTS] for at in range(0, points, POINTS)]
    yield from _run(experiment, Seed("long", START_MS - 1000, {}, {}, {}), batches)


def _run(experiment: str, one: Seed, batches: list[list[dict[str, Any]]]) -> Script:
    tags, params = ([{"key": k, "value": v} for k, v in each.items()] for each in (one.tags, one.params))
    made = yield _post("runs/create", {"experiment_id": experiment, "user_id": "ann", "start_time": one.start_ms,
                                       "run_name": one.name, "tags": tags})  # fmt: skip
    run = json.loads(made.partition(b"\r\n\r\n")[2])["run"]["info"]["run_id"]
    for points in batches:
        yield _post("runs/log-batch", {"run_id": run, "metrics": points, "params": params})
    yield _post("runs/update", {"run_id": run, "status": "FINISHED", "end_time": one.start_ms + 500})
    yield None


def history(run: str, key: str, points: int) -> Script:
    """A whole history as the client asks for it: pages of 25,000."""
    path = f"{_API}metrics/get-history?run_id={run}&metric_key={key}&max_results=25000"
    while True:
        found = 0
        token = b""
        while True:
            answer = yield request("GET", path + (f"&page_token={quote(token.decode(), safe='')}" if token else ""))
            found += answer.count(b'"step"')
            last = _TOKEN.search(answer, max(0, len(answer) - 400))
            if last is None:
                break
            token = last[1]
        if found != points:
            raise SystemExit(f"a history of {points} points came as {found}")
        yield None


def register(model: str, source: str, run: str) -> Script:
    """A version made, an alias moved to it, the alias resolved."""
    create = _post("model-versions/create", {"name": model, "source": source, "run_id": run})
    resolve = request("GET", f"{_API}registered-models/alias?name={model}&alias=champion")
    while True:
        made = _version((yield create))
        yield _post("registered-models/alias", {"name": model, "alias": "champion", "version": made})
        if _version((yield resolve)) != made:
            raise SystemExit("an alias points elsewhere")
        yield None


def _version(answer: bytes) -> str:
    found = _VERSION.search(answer)
    if found is None:
        raise SystemExit(f"no version in {answer[:500]!r}")
    return found[1].decode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def scripts(job: dict[str, Any]) -> list[Script]:
    """The scripts of the connections."""
    start = int(job.get("start", 0))
    match job["ask"]:
        case "metric":
            return [metric(run, start) for run in job["runs"]]
        case "batch":
            return [batch(run, start) for run in job["runs"]]
        case "create":
            return [create(job["experiment"], start) for _ in range(int(job["connections"]))]
        case "seed":
            return [
                *(seeded(job["experiment"], range(first, job["count"], 8)) for first in range(8)),
                long(job["experiment"], job["points"]),
            ]
        case "search":
            return [search(job["body"])]
        case "history":
            return [history(job["run"], job["key"], job["points"])]
        case "register":
            return [register(job["model"], job["source"], job["run"])]
        case other:
            raise SystemExit(f"nobody can ask {other!r}")


def main() -> None:
    """Ask, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("job")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--most", type=int, default=0)
    args = parser.parse_args()
    print(json.dumps(load(("127.0.0.1", args.port), scripts(json.loads(args.job)), args.seconds, args.most)))


if __name__ == "__main__":
    main()
