"""What searches cost where there are 100,000 runs with 50 metrics each: p50 and p95 of each kind of question.

    python -m bench.tracking.hundred_thousand FOLDER [--runs 100000] [--metrics 50] [--rounds 20]
    python -m bench.tracking.hundred_thousand FOLDER --url postgresql://…

FOLDER keeps what was made, so that measuring again does not make it again; with `--seed-only` nothing is measured.
Rows are put into the tables directly: logging them would measure something else. Each question is asked in turns with
the others, with different values each time, through the server's own function without HTTP around it; what MLflow's
client asks is asked as it asks it. CPU is that of this process, and of those below `--postgres PID`, a PostgreSQL on
this machine: on one that has other work to do it says what the time would be without that. `first` is what the first
question of a kind took in this process, which remembers nothing yet. With `--writes 200`, so many points a second are
logged meanwhile. Exit code 1 when a p95 of the time is above 150 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import homeostat as hs
from bench.processes import tree
from homeostat.core.foreign import Args
from homeostat.tracking.mlflow import search as mlflow

BAR_MS = 150
_START = 1_700_000_000_000
_ADJECTIVES = [
    "amber",
    "bold",
    "brisk",
    "calm",
    "clever",
    "crisp",
    "eager",
    "fair",
    "fleet",
    "gentle",
    "keen",
    "lucid",
    "merry",
    "noble",
    "quiet",
    "sunny",
    "swift",
]
_NOUNS = (
    "badger",
    "crane",
    "falcon",
    "finch",
    "fox",
    "gull",
    "heron",
    "lynx",
    "marten",
    "otter",
    "owl",
    "raven",
    "seal",
)
_TABLES = {
    "tracking_experiment": "id name lifecycle artifact_location created_ms updated_ms",
    "tracking_run": "seq id experiment_id name status lifecycle owner actor kind start_ms end_ms source code_version"
    " pending told_ms",
    "tracking_param": "run_seq key value number",
    "tracking_tag": "run_seq key value",
    "tracking_series": "run_seq key points last_step last_ms last_value min_value max_value",
}


def experiments() -> Iterator[tuple[Any, ...]]:
    for number in range(1, 21):
        yield number, f"experiment-{number}", "active", "", _START, _START


def runs(count: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(1)
    for seq in range(1, count + 1):
        status = chance.choices(("finished", "failed", "killed", "running"), (90, 6, 3, 1))[0]
        start = _START + seq * 1000
        yield (
            seq, f"{chance.getrandbits(128):032x}", chance.randint(1, 20),
            f"{chance.choice(_ADJECTIVES)}-{chance.choice(_NOUNS)}-{seq}", status, "active",
            chance.choice(("ann", "bob")), "anonymous", chance.choice(("run", "run", "trial")), start,
            None if status == "running" else start + chance.randint(1000, 9_000_000),
            chance.choice(("train.py", "sweep.py")), f"{chance.getrandbits(160):040x}", 0, 0,
        )  # fmt: skip


def params(count: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(2)
    for seq in range(1, count + 1):
        numbers = {
            "lr": 10 ** chance.uniform(-5, 0), "depth": chance.randint(2, 16), "seed": chance.randint(0, 10**6),
            "dropout": round(chance.random(), 3),
        }  # fmt: skip
        texts = {
            "model": chance.choice(("forest", "boosting", "linear", "mlp")),
            "optimizer": chance.choice(("adam", "sgd")),
            "data": f"s3://bucket/flights/2013-{chance.randint(1, 12):02}/part-{chance.randint(0, 999):04}.parquet",
            "features": chance.choice(("all", "weather", "carrier")),
        }  # fmt: skip
        for key, value in sorted({**numbers, **texts}.items()):
            yield seq, key, str(value), float(value) if key in numbers else None


def tags(count: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(3)
    for seq in range(1, count + 1):
        yield seq, "mlflow.note.content", f"night shift {chance.randint(0, 5000)}"
        yield seq, "mlflow.user", chance.choice(("ann", "bob"))
        yield seq, "stage", chance.choice(("dev", "prod"))
        yield seq, "team", chance.choice(("red", "blue", "green", "delay ops"))


def series(count: int, metrics: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(4)
    keys = sorted(["auc", "loss", "val/loss", *(f"metric_{number:02}" for number in range(metrics - 3))])
    for seq in range(1, count + 1):
        for key in keys:
            value = chance.random()
            yield seq, key, 100, 99, _START, value, value * 0.9, value * 1.1


def seed(ws: hs.Workspace, count: int, metrics: int) -> None:
    """Fill the empty tables; their indexes are made afterwards, which is faster."""
    made = {
        "tracking_experiment": experiments(), "tracking_run": runs(count), "tracking_param": params(count),
        "tracking_tag": tags(count), "tracking_series": series(count, metrics),
    }  # fmt: skip
    ws.db.write(lambda c: fill(c, made))
    if ws.db.url.startswith("postgresql"):
        import psycopg

        with psycopg.connect(ws.db.url, autocommit=True) as c:
            c.execute("vacuum analyze")


def fill(c: sa.Connection, made: dict[str, Iterator[tuple[Any, ...]]]) -> None:
    begun = time.monotonic()
    metadata = sa.MetaData()
    metadata.reflect(c, only=list(made))
    indexes = [index for table in metadata.tables.values() for index in table.indexes]
    for index in indexes:
        index.drop(c)
    for table, rows in made.items():
        insert(c, table, rows)
        print(f"{table:<22} {time.monotonic() - begun:6.1f} s", flush=True)
    for index in indexes:
        index.create(c)
    print(f"{'indexes':<22} {time.monotonic() - begun:6.1f} s", flush=True)


def insert(c: sa.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    columns = _TABLES[table].split()
    cursor: Any = c.connection.cursor()
    if c.dialect.name == "postgresql":
        with cursor.copy(f"copy {table} ({', '.join(columns)}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        return
    statement = f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"
    while batch := list(itertools.islice(rows, 50_000)):
        cursor.executemany(statement, batch)


Question = Callable[[random.Random], object]


def questions(ws: hs.Workspace) -> dict[str, Question]:
    """What is asked, each a function of chance, so that no answer is the same twice."""
    find, facets = ws.tracking.search_runs, ws.tracking.run_facets
    columns = ["metrics.auc", "metrics.loss", "metrics.val/loss", "metrics.metric_00", "metrics.metric_01"]

    def page(query: str = "", order: str = "-run.start", **more: Any) -> object:
        return find(query=query, order_by=order, limit=200, columns=columns, **more)

    def word(r: random.Random) -> str:
        return r.choice((r.choice(_NOUNS), f"{r.choice(_ADJECTIVES)}-{r.choice(_NOUNS)}-{r.randint(1, 99)}", "forest",
                         f"0.{r.randint(10, 99)}", f'"shift {r.randint(0, 4999)}"', "nowhere"))  # fmt: skip

    def deep(r: random.Random) -> object:
        order = "-run.metrics.auc"
        after = find(order_by=order, limit=1000, columns=[]).next
        begun = time.perf_counter()
        page(order=order, after=after)
        return time.perf_counter() - begun

    def theirs(r: random.Random, filter_: str, order: str) -> object:
        body = {"experiment_ids": [str(number) for number in range(1, 21)], "filter": filter_, "order_by": [order],
                "max_results": 100}  # fmt: skip
        return mlflow.search(ws, Args(body))

    return {
        "table: newest": lambda r: page(),
        "table: facets": lambda r: facets(),
        "table: word": lambda r: page(word(r)),
        "table: word, facets": lambda r: facets(query=word(r)),
        "table: best of a word": lambda r: find(query=word(r), order_by="-run.metrics.auc", limit=1, columns=[]),
        "table: query, facets": lambda r: facets(query=f"run.metrics.auc > {r.random()} and run.params.lr < 0.01"),
        "metric filter and order": lambda r: page(f"run.metrics.loss < {r.random()}", "-run.metrics.auc"),
        "two metrics, a parameter, a tag": lambda r: page(
            f'run.metrics.auc > {r.random()} and run.metrics.loss < {r.random()} and run.params.model == "forest"'
            ' and run.tags.team == "red"', "-run.metrics.auc"),
        "few that fit": lambda r: page(f"run.metrics.auc.max > {1.09 + r.random() / 100} and run.params.lr < 0.01"),
        "none that fits": lambda r: page(f"run.metrics.auc > {1 + r.random()}", "run.metrics.loss"),
        "order by greatest": lambda r: page(f"run.metrics.loss < {r.random()}", "-run.metrics.auc.max"),
        "order by a parameter": lambda r: page(f"run.metrics.loss < {r.random()}", "run.params.lr"),
        "order by a text": lambda r: page(f"run.params.depth > {r.randint(2, 16)}", "run.params.data"),
        "or, not, a part of a text": lambda r: page(
            f'(run.metrics.auc > {r.random()} or run.params.depth > 8) and not "{r.randint(100, 999)}" in run.notes'),
        "arithmetic": lambda r: page(f"run.metrics.auc - run.metrics.loss > {r.random()}"),
        "a day of an experiment": lambda r: page(
            f'run.experiment == "experiment-{r.randint(1, 20)}" and run.start > {_START} and run.status == "failed"'),
        "a page behind 1,000": deep,
        "groups": lambda r: ws.tracking.group_runs(
            f"run.metrics.auc > {r.random()}", by=["run.params.model"], metrics=["run.metrics.loss"]),
        "MLflow: metric filter and order": lambda r: theirs(r, f"metrics.loss < {r.random()}", "metrics.auc DESC"),
        "MLflow: metric, parameter, tag": lambda r: theirs(
            r, f"metrics.loss < {r.random()} and params.model = 'forest' and tags.team = 'red'", "metrics.auc ASC"),
        "MLflow: few that fit": lambda r: theirs(
            r, f"metrics.loss < {r.random() / 1000}", "attributes.start_time DESC"),
    }  # fmt: skip


@contextlib.contextmanager
def writing(ws: hs.Workspace, points: int) -> Iterator[None]:
    """Log as many points a second to ten of the newest runs meanwhile."""
    stop = threading.Event()

    def write() -> None:
        chance = random.Random(6)
        ids = [run.id for run in ws.tracking.search_runs(limit=10, columns=[]).runs]
        for step in itertools.count(100):
            if not points or stop.wait(1 / points):
                return
            ws.tracking.log_metrics(chance.choice(ids), {chance.choice(("auc", "loss")): chance.random()}, step)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def spent_s(postgres: int | None) -> float:
    """CPU seconds of this process, and of those below the other, to the microsecond: `cpu_s` knows hundredths."""
    used = time.process_time()
    for pid in tree(postgres) if postgres else ():
        with contextlib.suppress(OSError):  # it has ended
            used += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return used


def measure(ws: hs.Workspace, rounds: int, only: str, postgres: int | None) -> int:
    asked = {name: ask for name, ask in questions(ws).items() if only in name}
    took: dict[str, list[float]] = {name: [] for name in asked}
    cpu: dict[str, list[float]] = {name: [] for name in asked}
    first: dict[str, float] = {}
    chance = random.Random(5)
    for number in range(rounds + 1):
        for name, ask in asked.items():
            used, begun = spent_s(postgres), time.perf_counter()
            own = ask(chance)
            spent = own if isinstance(own, float) else time.perf_counter() - begun
            used = spent_s(postgres) - used
            if not number:  # the first round also warms the files
                first[name] = spent * 1000
            else:
                took[name].append(spent * 1000)
                cpu[name].append(used * 1000)
    above = 0
    print(f"{'':<34} {'first':>8} {'p50':>8} {'p95':>8} {'CPU p50':>8} {'CPU p95':>8} ms, of {rounds}")
    for name, values in took.items():
        high, used = (statistics.quantiles(some, n=20)[-1] for some in (values, cpu[name]))
        above += high > BAR_MS
        figures = (first[name], statistics.median(values), high, statistics.median(cpu[name]), used)
        told = f"{name:<34} {' '.join(f'{figure:8.1f}' for figure in figures)}"
        print(f"{told}{'  above the bar' if high > BAR_MS else ''}")
    return 1 if above else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default="/tmp/homeostat-hundred-thousand")
    parser.add_argument("--url", help="a PostgreSQL database instead of SQLite in the folder")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--metrics", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--writes", type=int, default=0, help="points a second that are logged meanwhile")
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--postgres", type=int, metavar="PID", help="whose CPU is counted, with those below it")
    parser.add_argument("--seed-only", action="store_true")
    given = parser.parse_args()
    home = Path(given.folder)
    os.environ["HOMEOSTAT_HOME"] = str(home)
    with hs.open(given.url or home) as ws:
        if not ws.tracking.search_runs(limit=1, columns=[]).runs:
            seed(ws, given.runs, given.metrics)
        with writing(ws, given.writes):
            return 0 if given.seed_only else measure(ws, given.rounds, given.only, given.postgres)


if __name__ == "__main__":
    sys.exit(main())
