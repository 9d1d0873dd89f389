"""A small world for tests: a table of examples, models learnt from it, a prediction log as a data plane leaves it."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import polars as pl

import homeostat as hs
from homeostat.registry import load_model
from homeostat.serving.spool import Batch, Block, SpoolWriter, frame, spool_folder

DAY = 86_400_000
START = 1_362_096_000_000  # 1 March 2013
FEATURES = ["wind", "rain", "load", "hour"]


class World:
    """Examples of `days` days from `first_day` on (0 is START). `turn_day`: from then on, `load` means the opposite."""

    def __init__(
        self, first_day: int, days: int, per_day: int = 200, seed: int = 0, turn_day: int | None = None
    ) -> None:
        rng = np.random.default_rng(seed)
        n = days * per_day
        day = np.repeat(np.arange(first_day, first_day + days), per_day)
        wind, rain, load = rng.normal(size=n), rng.exponential(size=n), rng.normal(size=n)
        hour = rng.integers(0, 24, n)
        direction = np.where(day >= turn_day, -1.0, 1.0) if turn_day is not None else 1.0
        logit = -1.6 + 0.8 * wind + 0.4 * rain + 1.2 * direction * load
        late = rng.random(n) < 1 / (1 + np.exp(-logit))
        time_ms = START + day * DAY + hour * 3_600_000 + rng.integers(0, 3_600_000, n)
        self.rows = pl.DataFrame(
            {
                "id": [f"e{first_day + i // per_day}-{i}" for i in range(n)],
                "time_ms": time_ms, "wind": wind, "rain": rain, "load": load, "hour": hour.astype(float),
                "firm": rng.choice(["AA", "BB", "CC"], n), "late": late.astype(int),
                "known_ms": time_ms + 6 * 3_600_000,
            }
        ).sort("time_ms", "id")  # fmt: skip

    def keep(self, ws: hs.Workspace, table: str = "examples") -> None:
        """Write all examples as a table."""
        ws.data.write_table(table, self.rows, mode="overwrite", key=["id"])

    def learn(
        self, ws: hs.Workspace, model: str, until_day: int, since_day: int = -1000, once: str | None = None
    ) -> int:
        """Register a LightGBM model of what was known by `until_day`; its version."""
        until, since = START + until_day * DAY, START + since_day * DAY
        rows = self.rows.filter((pl.col("known_ms") < until) & (pl.col("time_ms") >= since))
        return learn(ws, model, rows, until, since, once)

    def ask(self, ws: hs.Workspace, model: str, version: int, first_day: int, days: int, **log: Any) -> None:
        """Log what `version` answers to the examples of those days."""
        rows = self.between(first_day, days)
        scores = load_model(ws, model, version).predict(rows.select(FEATURES))
        log_rows(ws, model, version, rows, scores, **log)

    def tell(self, ws: hs.Workspace, model: str, first_day: int, days: int) -> None:
        """Record the truth that became known in those days."""
        low, high = START + first_day * DAY, START + (first_day + days) * DAY
        known = self.rows.filter((pl.col("known_ms") >= low) & (pl.col("known_ms") < high))
        labels = known.select(
            pl.col("id").alias("key"), pl.col("late").alias("label"), pl.col("known_ms").alias("label_ms")
        )
        ws.monitoring.record_labels(model, labels)

    def between(self, first_day: int, days: int) -> pl.DataFrame:
        low, high = START + first_day * DAY, START + (first_day + days) * DAY
        return self.rows.filter((pl.col("time_ms") >= low) & (pl.col("time_ms") < high))


def learn(ws: hs.Workspace, model: str, rows: pl.DataFrame, until: int, since: int, once: str | None) -> int:
    import lightgbm as lgb

    fixed = {
        "objective": "binary",
        "verbosity": -1,
        "seed": 1,
        "deterministic": True,
        "num_threads": 1,
        "num_leaves": 15,
    }
    data = lgb.Dataset(rows.select(FEATURES).to_numpy(), rows["late"].to_numpy(), feature_name=FEATURES)
    booster = lgb.train(fixed, data, 40)
    sample = rows.tail(200).select(pl.col(FEATURES).cast(pl.Float32))
    params = {"since_ms": max(0, since), "until_ms": until, "rows": rows.height}
    return hs.log_model(ws, model, booster, sample=sample, params=params, once=once).version


def log_rows(
    ws: hs.Workspace, model: str, version: int, rows: pl.DataFrame, scores: np.ndarray,
    role: str = "champion", took_ms: float = 5.0, failed: int = 0, plane: str = "test",
) -> None:  # fmt: skip
    """Append rows to the prediction log, each a request of its own, with its id as key unless there is a column `key`;
    the first `failed` of them as errors."""
    writer = SpoolWriter(spool_folder(ws.home), plane)
    roles = {"champion": 0, "canary": 1, "shadow": 2}
    for status, part, score in (
        (500, rows.head(failed), scores[:failed]),
        (200, rows.tail(-failed or rows.height), scores[failed:]),
    ):
        if part.is_empty():
            continue
        n = part.height
        keys = part["key" if "key" in part.columns else "id"]
        times = part["time_ms"].to_numpy().astype("<i8")
        values = np.ascontiguousarray(part.select(pl.col(FEATURES).cast(pl.Float32)).to_numpy())
        outputs = [Block(["probability"], "FP32", [], score.astype("<f4").tobytes())] if status == 200 else []
        batch = Batch(
            model, version, status, [f"{model}-{role}-{key}" for key in part["id"]], np.ones(n, "<u4").tobytes(),
            bytes([roles[role]]) * n, struct.pack("<I", int(took_ms * 1000)) * n, times.tobytes(), keys.to_list(),
            times.tobytes(), [Block(FEATURES, "FP32", [len(FEATURES)], values.tobytes())], outputs,
        )  # fmt: skip
        writer.write(frame(batch))
    writer.sync()
    writer.rotate()
