"""What serving tells of a deployment: its past, its traffic, its canary, its shadow."""

from __future__ import annotations

import math
import random
from typing import Any

from tests.web.figures_models import BASE, deployments

Json = Any
HOUR = 3_600_000


def history() -> list[Json]:
    (now,) = deployments()
    told = [("canary step", now["routes"], "homeostat"), ("canary", now["routes"], "ann"),
            ("deploy", [{"version": 4, "weight": 1.0, "role": "champion"}], "loop"),
            ("deploy", [{"version": 3, "weight": 1.0, "role": "champion"}], "loop")]  # fmt: skip
    return [
        {"model": "flight-delay", "generation": 9 - at, "routes": routes, "reason": reason, "actor": actor,
         "at_ms": BASE - (2 + at * 3) * HOUR, "back_to": 7 - at if at < 3 else None}
        for at, (reason, routes, actor) in enumerate(told)
    ]  # fmt: skip


def states() -> list[Json]:
    told = [("flight-delay", 9, "ready"), ("delay-by-season", 3, "unloaded")]
    return [
        {"plane": f"127.0.0.1:8080#{at}", "model": model, "generation": generation, "state": state, "reason": ""}
        for at in range(2)
        for model, generation, state in told
    ]


def traffic(window_ms: int, points: int, asked: bool = True) -> list[Json]:
    step = window_ms // points
    begin = (BASE - window_ms) // step * step
    noise = random.Random(7)
    if not asked:
        return [{"model": "flight-delay", "from_ms": begin, "to_ms": BASE, "step_ms": step, "log_share": 1.0,
                 "requests": 0, "failed": 0, "latency_ms": None, "latency_p95_ms": None, "versions": [],
                 "points": []}]  # fmt: skip
    found: list[Json] = []
    for at in range(begin, BASE, step):
        wave = 1 + 0.4 * math.sin((at - begin) / window_ms * 6)
        for version, route, many in ((3, "shadow", 40), (4, "champion", 36), (5, "canary", 4)):
            p50 = noise.uniform(0.8, 1.1) * (1.3 if version == 5 else 1)
            found.append({"at_ms": at, "version": version, "route": route, "requests": round(many * wave * step / 1000),
                          "failed": int(version == 5 and noise.random() < 0.1), "latency_ms": p50,
                          "latency_p95_ms": p50 * noise.uniform(2, 2.6)})  # fmt: skip
    versions = []
    for version, route in ((3, "shadow"), (4, "champion"), (5, "canary")):
        own = [point for point in found if point["version"] == version]
        versions.append({"version": version, "route": route, "requests": sum(p["requests"] for p in own),
                         "failed": sum(p["failed"] for p in own), "latency_ms": 0.96, "latency_p95_ms": 2.2})  # fmt: skip
    whole = {key: sum(v[key] for v in versions if v["route"] != "shadow") for key in ("requests", "failed")}
    return [{"model": "flight-delay", "from_ms": begin, "to_ms": BASE, "step_ms": step, "log_share": 1.0, **whole,
             "latency_ms": 0.97, "latency_p95_ms": 2.3, "versions": versions, "points": found}]  # fmt: skip


def judgement() -> Json:
    judged = {"action": "wait", "reason": "it has answered 312 of 500 requests of this step", "errors_evidence": 1.4,
              "slow_evidence": 0.6, "error_rate_lo": -0.004, "error_rate_hi": 0.013, "reward_lo": None,
              "reward_hi": None}  # fmt: skip
    return {"model": "flight-delay", "version": 5, "weight": 0.1, "judgement": judged, "at_ms": BASE}


def shadow() -> list[Json]:
    noise = random.Random(3)
    pairs = [(x, min(1.0, max(0.0, x + noise.gauss(0, 0.04)))) for x in (noise.random() for _ in range(200))]
    output = {"output": "probability", "equal": 0.12, "mean": 0.214, "mean_answered": 0.209, "difference_mean": 0.031,
              "difference_p95": 0.09, "difference_max": 0.31, "correlation": 0.981, "pairs": pairs}  # fmt: skip
    rows = [{"request_id": f"1f0c{at:04x}", "row": 0, "output": "probability", "answered": f"{0.2 + at / 20:.4f}",
             "shadow": f"{0.51 + at / 30:.4f}"} for at in range(6)]  # fmt: skip
    return [{"version": 3, "requests": 18_240, "rows": 18_240, "failed": 0, "latency_ms": 0.9, "latency_p95_ms": 2.0,
             "latency_answered_ms": 0.97, "latency_answered_p95_ms": 2.3, "outputs": [output],
             "most_different": rows}]  # fmt: skip


def logged(request_id: str) -> list[Json]:
    inputs = {"distance": 1089.0, "hour": 17.0, "wind": 12.4}
    return [
        {"request_id": request_id, "row": 0, "key": "UA 1545", "time_ms": BASE, "logged_ms": BASE, "version": version,
         "route": route, "latency_ms": 0.9, "status": 200, "outputs": {"probability": value}, "inputs": inputs}
        for version, route, value in ((4, "champion", 0.2), (3, "shadow", 0.51))
    ]  # fmt: skip


def takes() -> Json:
    columns = [("distance", "FP32", [1089, 733.0]), ("hour", "FP32", [17, 6.0]), ("carrier", "BYTES", ["UA", "B6"])]
    inputs = [{"name": n, "datatype": d, "shape": [2], "data": v} for n, d, v in columns]
    body = {"content": {"application/json": {"examples": {"columns": {"value": {"inputs": inputs}}}}}}
    return {"paths": {"/v2/models/flight-delay/infer": {"post": {"requestBody": body}}}}


def predicted(rows: int) -> Json:
    data = [0.2184 + 0.1 * at for at in range(rows)]
    outputs = [{"name": "probability", "datatype": "FP32", "shape": [rows], "data": data}]
    answer = {"model_name": "flight-delay", "model_version": "4", "id": "d41d8c", "outputs": outputs,
              "parameters": {"version": "4", "route": "champion"}}  # fmt: skip
    return {"answer": answer, "took_ms": 0.84}
