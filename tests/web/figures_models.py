"""Runs, models and tables beside the year of `figures`: what the other three pages show."""

from __future__ import annotations

import random
import time
from typing import Any

Json = Any
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BASE = int(time.time() * 1000)
VERSIONS = {1: 0.763, 2: 0.740, 3: 0.781, 4: 0.754, 5: 0.706}
STEPS = ["collect", "features", "baselines", "tune", "fit", "package", "validate"]
WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heron", "iris", "juniper", "kelp", "lark"]


def _run(ident: str, name: str, kind: str, start: int, took: int | None, **rest: Json) -> Json:
    blank: Json = {
        "experiment": "flight-delay", "status": "finished", "params": {}, "metrics": {}, "tags": {}, "parent_id": None,
        "source": "pipeline:train", "code_version": "b7f3c1d09a2e", "error": None,
    }  # fmt: skip
    end = None if took is None else start + took
    return {"id": ident, "name": name, "kind": kind, "start_ms": start, "end_ms": end, **blank, **rest}


def _pipeline(version: int, auc: float, start: int) -> list[Json]:
    rng = random.Random(version)
    ident = f"run-train-{version}"
    found = [
        _run(ident, f"train-v{version}", "pipeline", start, 41_000, params={"trials": "20", "window": "all"},
             metrics={"auc": auc, "log_loss": round(0.71 - 0.33 * auc, 4)}),
    ]  # fmt: skip
    clock = start
    for name in STEPS:
        took = {"tune": 24_000, "features": 6_100, "fit": 4_200}.get(name, 1_400)
        tags = {"cached": "true"} if name == "collect" and version > 1 else {}
        found.append(
            _run(f"{ident}-{name}", name, "step", clock, took, parent_id=ident, tags=tags,
                 source=f"pipeline:{name}", metrics={"rows": 27_564.0 * version} if name == "features" else {}),
        )  # fmt: skip
        clock += took
    for i in range(20):
        quality = auc - abs(rng.gauss(0.006, 0.006)) * (1 - i / 30)
        found.append(
            _run(
                f"{ident}-trial-{i:02d}", f"trial-{i:02d}", "trial", start + 9_000 + i * 1_150, 1_100,
                parent_id=f"{ident}-tune", tags={"objective": "auc"},
                params={"learning_rate": f"{10 ** rng.uniform(-2, -0.6):.4f}", "num_leaves": str(rng.randint(15, 120)),
                        "min_child_samples": str(rng.randint(10, 400))},
                metrics={"auc": round(quality, 4), "log_loss": round(0.71 - 0.33 * quality, 4)},
            )
        )  # fmt: skip
    return found


def runs(notebooks: int = 1200) -> list[Json]:
    """Every run, newest first; `notebooks` plain ones make the table long."""
    rng = random.Random(1)
    found: list[Json] = []
    for version, auc in VERSIONS.items():
        found += _pipeline(version, auc, BASE - (6 - version) * 3 * HOUR)
    for i in range(notebooks):
        quality = 0.70 + 0.08 * rng.random()
        failed = i % 41 == 7
        found.append(
            _run(
                f"{i:08x}{rng.getrandbits(96):024x}", f"{rng.choice(WORDS)}-{i}", "run", BASE - DAY - i * 7 * MINUTE,
                rng.randint(4_000, 90_000), experiment="notebook", source="explore.py",
                status="failed" if failed else "finished",
                error="ValueError: column 'dep_delay' is known only after departure" if failed else None,
                params={"learning_rate": f"{10 ** rng.uniform(-2, -0.6):.4f}", "num_leaves": str(rng.randint(15, 120))},
                metrics={} if failed else {"auc": round(quality, 4), "log_loss": round(0.71 - 0.33 * quality, 4)},
            )
        )  # fmt: skip
    found.append(
        _run("run-now", "retune", "run", BASE - 2 * MINUTE, None, status="running", experiment="notebook",
             params={"trials": "200"}, metrics={"auc": 0.7491})
    )  # fmt: skip
    return sorted(found, key=lambda run: -run["start_ms"])


def pipeline_run(every: list[Json], ident: str) -> Json:
    run = next(run for run in every if run["id"] == ident)
    steps = [step for step in reversed(every) if step["parent_id"] == ident and step["kind"] == "step"]
    return {
        "id": ident, "pipeline": run["source"], "project": ".", "status": "finished", "params": {}, "outputs": {},
        "start_ms": run["start_ms"], "end_ms": run["end_ms"], "run_id": ident, "once": None, "error": None,
        "steps": [
            {"name": step["name"], "status": "cached" if step["tags"] else "done", "key": "k", "attempt": 1,
             "start_ms": step["start_ms"], "end_ms": step["end_ms"], "cached": bool(step["tags"]),
             "why": "nothing it depends on has changed" if step["tags"] else "an input changed", "run_id": step["id"],
             "error": None, "after": [], "cpu_ms": 0, "peak_kb": 0}
            for step in steps
        ],
    }  # fmt: skip


def metric_history(run: Json, key: str) -> list[Json]:
    last = run["metrics"].get(key)
    if last is None:
        return []
    if run["kind"] in ("step", "pipeline"):
        return [{"key": key, "value": last, "step": 0, "at_ms": run["start_ms"]}]
    rng = random.Random(run["id"] + key)
    sign = 1 if "loss" in key else -1
    points = [last + sign * 0.06 * 0.93**step + rng.gauss(0, 0.0008) for step in range(100)] + [last]
    return [
        {"key": key, "value": round(value, 5), "step": step, "at_ms": run["start_ms"] + step * 100}
        for step, value in enumerate(points)
    ]


COLUMNS = [
    "month", "week", "weekday", "hour", "minute", "carrier", "origin", "dest", "distance", "seats", "engine", "age",
    "temperature", "dewpoint", "humidity", "wind_speed", "wind_gust", "precipitation", "pressure", "visibility",
    "origin_delay_2h", "origin_delay_6h", "carrier_delay_6h", "carrier_delay_24h", "dest_delay_6h", "route_delay_30d",
    "tail_delay_last", "origin_cancelled_6h",
]  # fmt: skip


def _gate(name: str, passed: bool, value: float, limit: float, reason: str) -> Json:
    return {"gate": name, "passed": passed, "value": value, "limit": limit, "reason": reason}


def versions() -> list[Json]:
    found: list[Json] = []
    for version, auc in VERSIONS.items():
        refused = version in (2, 5)
        gates = [
            _gate("auc", True, auc, 0.7, f"{auc} on the newest labelled month"),
            _gate("better_than_champion", not refused, {2: 0.008, 5: -0.021}.get(version, 0.027), 0.0,
                  "its interval excludes zero" if not refused else "its interval does not lie above zero"),
            _gate("worst_carrier", version != 5, 0.61 if version == 5 else 0.68, 0.65, "YV, 412 flights"),
            _gate("calibration_error", True, 0.019, 0.03, "14 bins of equal size"),
            _gate("latency_p99_ms", True, 0.9, 5.0, "one row, ONNX, this machine"),
            _gate("onnx_agrees", True, 2.1e-7, 1e-5, "100 rows of the sample"),
            _gate("no_leak", True, 0.0, 0.0, "no feature changed when later values were changed"),
        ]  # fmt: skip
        found.append(
            {
                "model": "flight-delay", "version": version, "digest": f"{version}f0c9a7e4b1d{version:04x}" * 4,
                "flavor": "lightgbm", "status": "refused" if refused else "valid",
                "created_ms": BASE - (6 - version) * 3 * HOUR, "run_id": f"run-train-{version}",
                "signature": {
                    "inputs": [{"name": name, "dtype": "FP32", "shape": [-1]} for name in COLUMNS],
                    "outputs": [{"name": "probability", "dtype": "FP32", "shape": [-1]}], "tensor": "features",
                },
                "metrics": {"auc": auc, "log_loss": round(0.71 - 0.33 * auc, 3), "calibration_error": 0.019,
                            "brier": round(0.2 - 0.08 * auc, 4)},
                "params": {"learning_rate": "0.0613", "num_leaves": "63", "min_child_samples": "120", "trees": "214"},
                "tags": {"window": "last-60d" if version == 5 else "all"}, "size": 812_344 + version * 9_120,
                "files": {"model.json": f"a{version}77c0de" * 8, "model.onnx": f"b{version}91beef" * 8,
                          "model.txt": f"c{version}02f00d" * 8, "sample.arrow": f"d{version}43cafe" * 8},
                "environment": ["lightgbm==4.7.0", "numpy==2.4.1", "onnxruntime==1.31.0", "scikit-learn==1.9.0"],
                "onnx": {"available": True, "agrees": True, "max_difference": 2.1e-7, "tolerance": 1e-5, "reason": "",
                         "file": "model.onnx"},
                "data": [{"table": "flights", "version": 60 + 12 * version}, {"table": "weather", "version": 300}],
                "gates": gates, "description": "", "classes": ["0", "1"], "actor": "local",
                "aliases": ["champion"] if version == 4 else [],
            }
        )  # fmt: skip
    return found[::-1]


def models() -> list[Json]:
    return [
        {"name": "flight-delay", "description": "Will a flight land more than 15 minutes late, told one hour before.",
         "versions": 5, "aliases": {"champion": 4}, "updated_ms": BASE - 3 * HOUR},
        {"name": "baggage-volume", "description": "", "versions": 1, "aliases": {}, "updated_ms": BASE - 9 * DAY},
    ]  # fmt: skip


def version_diff(first: int, second: int) -> Json:
    found = {version["version"]: version for version in versions()}
    a, b = found[first], found[second]

    def changes(group: str) -> list[Json]:
        names = sorted({*a[group], *b[group]})
        return [{"name": n, "first": a[group].get(n), "second": b[group].get(n)} for n in names
                if a[group].get(n) != b[group].get(n)]  # fmt: skip

    named = {group: changes(group) for group in ("params", "metrics", "files", "tags")}
    return {"same_package": False, "signature": [], "environment": [], "data": [], **named}


def history() -> list[Json]:
    return [
        {"id": n, "model": "flight-delay", "action": "alias_moved", "alias": "champion", "previous": n - 1 or None,
         "version": n, "at_ms": BASE - (6 - n) * HOUR, "actor": "loop", "run_id": None, "reason": "its gain is certain",
         "detail": {}, "digest": f"{n}f" * 32, "before": f"{n - 1}f" * 32}
        for n in (4, 3, 1)
    ]  # fmt: skip


AS_BY_DEFAULT = {"key": "key", "time": "time", "sticky": "request", "max_waiting": 2048, "timeout_ms": 30_000,
                 "callers": [], "rate_limit": 0.0, "log_share": 1.0, "redacted": [], "min_replicas": 0,
                 "max_replicas": 1, "idle_s": 0.0, "bandit": None, "members": []}  # fmt: skip


def deployments() -> list[Json]:
    routes = [{"version": 4, "weight": 0.9, "role": "champion"}, {"version": 5, "weight": 0.1, "role": "canary"},
              {"version": 3, "weight": 1.0, "role": "shadow"}]  # fmt: skip
    policy = {"weights": [0.01, 0.1, 0.5, 1.0], "min_requests": 500, "hold_s": 60.0, "error_margin": 0.01,
              "slow_ratio": 2.0, "min_rewards": 0, "reward_margin": 0.02, "alpha": 0.05}  # fmt: skip
    steps = [{"weight": 0.01, "at_ms": BASE - 3 * HOUR}, {"weight": 0.1, "at_ms": BASE - 2 * HOUR}]
    canary = {"version": 5, "policy": policy, "steps": steps, "slow_us": 4000, "before": 8}
    return [{"model": "flight-delay", "routes": routes, "generation": 9, "updated_ms": BASE - 3 * HOUR, "canary": canary,
             **AS_BY_DEFAULT}]  # fmt: skip


def graph_deployment() -> Json:
    """A graph of models that sleeps while nobody asks."""
    return {"model": "delay-by-season", "routes": [{"version": 2, "weight": 1.0, "role": "champion"}], "generation": 3,
            "updated_ms": BASE - 9 * HOUR, "canary": None, **AS_BY_DEFAULT, "max_replicas": 4, "idle_s": 600.0,
            "log_share": 0.5, "members": ["flight-delay", "winter-delay/3"]}  # fmt: skip


def graph() -> Json:
    """What it asks: a lookup, then by the season one model or two."""

    def member(name: str, version: int | None = None) -> Json:
        return {"type": "model", "name": name, "version": version, "inputs": {}, "outputs": {}}

    pair = {"type": "ensemble", "members": [member("flight-delay"), member("winter-delay", 3)], "combine": "mean",
            "weights": [1.0, 3.0]}  # fmt: skip
    when = {"column": "month", "parameter": None, "op": "in", "value": [12, 1, 2]}
    steps = [{"type": "lookup", "table": "airports", "view": "", "version": None, "key": ["dest"],
              "columns": ["altitude", "runways"]},
             {"type": "switch", "cases": [{"when": when, "then": pair}], "otherwise": member("flight-delay")}]  # fmt: skip
    return {"model": "delay-by-season", "version": 2, "graph": {"type": "sequence", "steps": steps},
            "members": ["flight-delay", "winter-delay/3"]}  # fmt: skip


def graph_traffic() -> Json:
    """What its nodes were asked: one of them fails now and then, another was not asked."""

    def node(path: str, name: str, requests: int, failed: int, ms: float | None, p95: float | None) -> Json:
        return {"node": path, "name": name, "requests": requests, "failed": failed, "latency_ms": ms,
                "latency_p95_ms": p95}  # fmt: skip

    pair = "graph.steps[1].cases[0]"
    return {"model": "delay-by-season", "version": 2, "from_ms": BASE - HOUR // 4, "to_ms": BASE, "log_share": 0.5,
            "nodes": [node("graph.steps[0]", "airports", 5400, 0, 0.021, 0.04),
                      node(f"{pair}.members[0]", "flight-delay", 5400, 0, 0.42, 1.3),
                      node(f"{pair}.members[1]", "winter-delay", 5400, 92, 2.4, 18.2),
                      node("graph.steps[1].otherwise", "flight-delay", 0, 0, None, None)]}  # fmt: skip


def importance() -> list[Json]:
    rng = random.Random(4)
    return [
        {
            "feature": name,
            "gain": round(1000 * 0.86**i * rng.uniform(0.8, 1.2), 1),
            "permutation": round(0.04 * 0.85**i, 4),
        }
        for i, name in enumerate(sorted(COLUMNS, key=lambda name: "delay" not in name))
    ]


def lineage() -> Json:
    def node(ident: str, kind: str, label: str, version: int | None, run_id: str | None = None) -> Json:
        return {"id": ident, "kind": kind, "label": label, "run_id": run_id, "at_ms": BASE - HOUR,
                "version": None if version is None else str(version)}  # fmt: skip

    nodes = [
        node("table/flights@108", "table", "flights", 108),
        node("table/weather@300", "table", "weather", 300),
        node("table/planes@1", "table", "planes", 1),
        node("table/airports@1", "table", "airports", 1),
        node("run/run-train-4-features", "run", "features", None, "run-train-4-features"),
        node("run/run-train-4-tune", "run", "tune", None, "run-train-4-tune"),
        node("run/run-train-4-fit", "run", "fit", None, "run-train-4-fit"),
        node("model/flight-delay@4", "model", "flight-delay", 4),
    ]
    pairs = [(0, 4), (1, 4), (2, 4), (3, 4), (4, 5), (4, 6), (5, 6), (6, 7)]
    return {
        "nodes": nodes,
        "edges": [{"source": nodes[a]["id"], "target": nodes[b]["id"]} for a, b in pairs],
        "truncated": False,
    }


def _check(check: str, column: str | None, passed: bool, message: str, severity: str = "error", rows: int = 0) -> Json:
    return {"check": check, "column": column, "passed": passed, "severity": severity, "observed": "", "expected": "",
            "rows": rows, "message": message}  # fmt: skip


TABLES = {
    "flights": (336_776, 112, "Every departure from New York in 2013, as scheduled and as flown."),
    "weather": (26_115, 300, "Hourly weather at the three airports."),
    "planes": (3_322, 1, "Tail numbers, builders and seats."),
    "airports": (1_458, 1, "Airports with their places."),
    "airlines": (16, 1, ""),
}
FLIGHT_COLUMNS = [
    ("flight_id", "int64", False), ("sched_dep", "datetime[UTC]", False), ("carrier", "string", False),
    ("flight", "int32", False), ("tailnum", "string", True), ("origin", "string", False), ("dest", "string", False),
    ("distance", "float32", False), ("dep_delay", "float32", True), ("arr_delay", "float32", True),
    ("arrived", "datetime[UTC]", True), ("late", "boolean", True),
]  # fmt: skip


def tables() -> list[Json]:
    columns = [{"name": name, "type": kind, "nullable": nullable} for name, kind, nullable in FLIGHT_COLUMNS]
    return [
        {"name": name, "version": version, "rows": rows, "bytes": rows * 41, "updated_ms": BASE - HOUR * (i + 1),
         "columns": columns if name == "flights" else columns[:5], "key": ["flight_id"] if name == "flights" else [],
         "description": description}
        for i, (name, (rows, version, description)) in enumerate(TABLES.items())
    ]  # fmt: skip


def table_versions(name: str, limit: int) -> list[Json]:
    rows, newest, _ = TABLES[name]
    checks = [
        _check("unique", "flight_id", True, "336,776 values, none twice"),
        _check("not_null", "sched_dep", True, "none is missing"),
        _check("range", "distance", True, "17 to 4,983 miles, within 10 to 6,000"),
        _check("levels", "origin", True, "EWR, JFK, LGA and no other"),
        _check("freshness", None, True, "newest row 1 h 40 old, at most 2 h"),
        _check("not_null", "tailnum", False, "2,512 rows have no tail number", "warn", 2_512),
        _check("possible_times", "arr_time", True, "no flight lands before it starts"),
    ]
    report = {"table": name, "version": newest, "passed": True, "at_ms": BASE - HOUR, "results": checks}
    cleaning = {
        "table": name, "rows_in": rows + 31, "rows_out": rows,
        "findings": [_check("duplicates", None, False, "31 rows were there twice and were dropped", "info", 31),
                     _check("impossible_times", "dep_time", False, "29 times of 24:00 read as midnight", "info", 29)],
    }  # fmt: skip
    first = max(1, newest - limit + 1)
    return [
        {
            "table": name, "version": version, "rows": round(rows * version / newest),
            "bytes": round(rows * 41 * version / newest), "digest": f"{version:06x}9ac41be7" * 4,
            "operation": "append" if version > 1 else "overwrite",
            "message": f"day {version}" if newest > 1 else "import",
            "source": "nycflights13", "run_id": None, "created_ms": BASE - (newest - version) * 4 * MINUTE - HOUR,
            "check": report if version == newest and name == "flights" else None,
            "clean": cleaning if version == newest and name == "flights" else None,
        }
        for version in range(newest, first - 1, -1)
    ]  # fmt: skip


def profile(name: str) -> Json:
    rng = random.Random(3)
    columns = [
        {
            "name": column, "type": kind, "count": 336_776, "nulls": 8_255 if nullable else 0, "distinct": 120,
            "min": None if kind == "string" else "-86", "max": None if kind == "string" else "1272", "mean": 6.9,
            "histogram": [] if kind == "string" else [
                {"low": i, "high": i + 1, "count": round(9000 * 0.8**i * rng.uniform(0.7, 1.3))} for i in range(16)
            ],
            "levels": [{"value": v, "count": n} for v, n in (("UA", 58_665), ("B6", 54_635), ("EV", 54_173))]
            if kind == "string" else [],
        }
        for column, kind, nullable in FLIGHT_COLUMNS
    ]  # fmt: skip
    return {"table": name, "version": TABLES[name][1], "rows": TABLES[name][0], "columns": columns}
