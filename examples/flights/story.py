"""The demo, told from the outside: only Homeostat's public API, as any user would have it.

collect → features → declare what must hold → learn → live through the year → look back
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
from features import FEATURES
from model import labels, matrix, measure
from year import DAY_MS, KEY, TIME, Cursor, Year, day_ms

import homeostat as hs

MODEL = "flight-delay"
LEARNT_BY = day_ms("2013-03-01")
YEAR_END = day_ms("2014-01-01")
QUICK_END = day_ms("2013-08-01")
OFFER_ON = day_ms("2013-11-30")
JUDGED_MS = 14 * DAY_MS
SETTLED_MS = 2 * DAY_MS  # flights of the last evening land after midnight
QUICK_SHARE = 6
QUICK_ROWS = 60_000

# What a month is remembered for, most telling first.
TELLING = ("roll_back", "promote", "refuse", "retrain", "fix_data", "collect", "canary", "wait")


def tell(ws: hs.Workspace, view: Any, project: Path, quick: bool, webhook: str) -> dict[str, Any]:
    """Run the whole story; the figures of the report."""
    _listen(ws, webhook)
    source = _prepare(ws, view, project)
    _learn(ws, view, project, quick)
    last = QUICK_END if quick else YEAR_END
    flights = _flights(ws, source, last, quick)
    _live(ws, view, project, flights, last, quick)
    return _look_back(ws, view, flights, last)


def _listen(ws: hs.Workspace, webhook: str) -> None:
    # The receiver has a new port at each start.
    if any(channel.name == "demo" for channel in ws.notify.list_channels()):
        ws.notify.remove_channel("demo")
    ws.notify.add_channel("demo", kind="slack", url=webhook)


def _prepare(ws: hs.Workspace, view: Any, project: Path) -> dict[str, Any]:
    with view.phase("collecting, checking, features", "prepare") as phase:
        done = ws.pipelines.run_pipeline("pipeline:prepare", project=str(project), once="demo/prepare")
        made = done.outputs["features"]
        phase.done(f"{made['rows']:,} flights, {len(FEATURES)} features")
    for name in done.outputs["tables"]:
        _findings(ws, view, name)
    return made


def _findings(ws: hs.Workspace, view: Any, name: str) -> None:
    version = ws.data.get_table_version(name, 1)
    report = version.check
    failed = [result.message for result in report.results if not result.passed] if report else []
    cleaned = [found.message for found in version.clean.findings if found.rows] if version.clean else []
    checked = len(report.results) if report else 0
    view.note(f"{name}: {version.rows:,} rows, {checked - len(failed)} of {checked} checks hold")
    for message in [*failed, *cleaned]:
        view.note(f"  · {message}")


def _learn(ws: hs.Workspace, view: Any, project: Path, quick: bool) -> None:
    config = (project / "homeostat.yaml").read_text(encoding="utf-8")
    if quick:
        config = config.replace("learn:", f"learn:\n  quick_rows: {QUICK_ROWS}", 1)
    ws.loop.apply(config, str(project))
    with view.phase("learning from January and February", "learn") as phase:
        params = {"model": MODEL, "since_ms": 0, "until_ms": LEARNT_BY, "purpose": "first"}
        ws.pipelines.run_pipeline("pipeline:train", params=params, project=str(project), once="demo/first")
        first = ws.registry.get_version(MODEL, 1)
        gates = sum(gate.passed for gate in first.gates)
        phase.done(f"20 trials, AUC {first.metrics['auc']:.3f} on its back-test, {gates} of {len(first.gates)} gates")
    for gate in first.gates:
        mark = "✓" if gate.passed else "✕"
        view.note(f"{mark} {gate.gate}: {gate.value:.4g} against {gate.limit:.4g}, {gate.reason}")
    if first.status != "valid":
        raise hs.HomeostatError("the first model did not pass its gates", hint="see the lines above")
    if MODEL not in [deployment.model for deployment in ws.serving.list_deployments()]:
        ws.registry.set_alias(MODEL, "champion", first.version)
        ws.serving.deploy(MODEL, first.version, key=KEY, time=TIME)
    deployment = ws.serving.get_deployment(MODEL)
    ws.serving.wait_ready(MODEL, deployment.generation, timeout_s=300)


def _flights(ws: hs.Workspace, source: dict[str, Any], last: int, quick: bool) -> pl.DataFrame:
    rows = ws.data.read_table(source["table"], version=source["version"])
    rows = rows.filter((pl.col("predict_ms") >= LEARNT_BY) & (pl.col("predict_ms") < last)).sort(
        "predict_ms", "flight_id"
    )
    return rows.gather_every(QUICK_SHARE) if quick else rows


def _live(ws: hs.Workspace, view: Any, project: Path, flights: pl.DataFrame, last: int, quick: bool) -> None:
    endpoint = ws.serving.endpoint()
    year = Year(ws, MODEL, endpoint.rest_url, flights, list(FEATURES))
    cursor = Cursor(ws.home / "demo.json", LEARNT_BY)
    days = (last - LEARNT_BY) // DAY_MS
    with view.phase("living through the year", "live", total=days) as phase:

        def look(end: int, decided: list[Any]) -> None:
            for decision in decided:
                view.decision(_date(decision.at_ms), decision.kind, decision.headline, decision.reason)
            champion = ws.serving.get_deployment(MODEL).champion
            phase.update((end - LEARNT_BY) // DAY_MS, f"{_date(end)}  v{champion}")
            if end == OFFER_ON:
                _offer(ws, view, project, end)

        year.live(LEARNT_BY, last, 2 * DAY_MS if quick else DAY_MS, cursor, look)
        phase.done(f"{flights.height:,} flights asked for over HTTP")


def _offer(ws: hs.Workspace, view: Any, project: Path, now: int) -> None:
    """Somebody believes that only the last two months matter: their model is judged by the same rule."""
    until = now - JUDGED_MS
    params = {"model": MODEL, "since_ms": until - 60 * DAY_MS, "until_ms": until, "purpose": "offered"}
    done = ws.pipelines.run_pipeline("pipeline:train", params=params, project=str(project), once="demo/offer")
    decision = ws.loop.offer(MODEL, done.outputs["version"], at_ms=now)
    view.decision(_date(now), decision.kind, decision.headline, decision.reason)


def _look_back(ws: hs.Workspace, view: Any, flights: pl.DataFrame, last: int) -> dict[str, Any]:
    with view.phase("looking back", "look_back") as phase:
        frozen = hs.load_model(ws, MODEL, 1)
        decisions = [d for d in ws.loop.decisions(MODEL, limit=2000) if d.at_ms <= last]
        months = [_month(ws, frozen, flights, decisions, start, end) for start, end in _months(LEARNT_BY, last)]
        kinds = [d.kind for d in decisions]
        report = {
            "model": MODEL,
            "months": months,
            "totals": {
                "flights": flights.height,
                "predictions": ws.serving.count_predictions(MODEL),
                "labels": sum(month["flights"] for month in months),
                "decisions": len(decisions),
                "trainings": kinds.count("retrain"),
                "promoted": kinds.count("promote"),
                "refused": kinds.count("refuse"),
                "rolled_back": kinds.count("roll_back"),
                "messages": len(ws.notify.list_deliveries(limit=1000)),
                "mean_gain_after_first_retraining": _mean_gain(months, decisions),
            },
            "decisions": [_told(decision) for decision in reversed(decisions)],
            "versions": [
                {"version": v.version, "digest": v.digest, "status": v.status, "onnx_difference": v.onnx.max_difference,
                 "learnt_until": _date(int(v.params["until_ms"])), "purpose": v.tags.get("purpose", "")}
                for v in sorted(ws.registry.list_versions(MODEL), key=lambda v: v.version)
            ],
        }  # fmt: skip
        phase.done(f"{len(decisions)} decisions, {len(report['versions'])} versions")
    return report


def _told(decision: Any) -> dict[str, Any]:
    kept = {name: getattr(decision, name) for name in ("id", "kind", "headline", "reason", "champion", "challenger")}
    return {"at": _date(decision.at_ms), **kept}


def _month(
    ws: hs.Workspace, frozen: Any, flights: pl.DataFrame, decisions: list[Any], start: int, end: int
) -> dict[str, Any]:
    rows = flights.filter(pl.col("predict_ms").is_between(start, end, closed="left"))
    live = ws.monitoring.quality(MODEL, start, end, "auc", at_ms=end + SETTLED_MS).overall
    told = sorted((d for d in decisions if start < d.at_ms <= end), key=lambda d: (TELLING.index(d.kind), -d.at_ms))
    past = sorted((d for d in decisions if d.at_ms <= end), key=lambda d: d.at_ms)
    champions = [d.challenger if d.kind == "promote" else d.champion for d in past if d.champion is not None]
    return {
        "month": _date(start)[:7],
        "flights": rows.height,
        "late_share": round(float(rows["late"].cast(pl.Float64).mean() or 0.0), 6),  # pyright: ignore[reportArgumentType]
        "auc_live": None if live.value is None else round(live.value, 6),
        "auc_frozen": round(float(measure(labels(rows), frozen.predict(matrix(rows)))["auc"]), 6),
        "decision": told[0].kind if told else "wait",
        "reason": told[0].headline if told else "nothing was due",
        "champion": champions[-1] if champions else 1,
    }


def _mean_gain(months: list[dict[str, Any]], decisions: list[Any]) -> float | None:
    """Mean of live minus never-retrained AUC over the months that began after the first retraining."""
    retrained = [d.at_ms for d in decisions if d.kind == "retrain" and d.at_ms > LEARNT_BY]
    if not retrained:
        return None
    after = [m for m in months if day_ms(m["month"] + "-01") > min(retrained)]
    gains = [
        m["auc_live"] - m["auc_frozen"] for m in after if m["auc_live"] is not None and m["auc_frozen"] is not None
    ]
    return round(sum(gains) / len(gains), 6) if gains else None


def _months(start: int, end: int) -> list[tuple[int, int]]:
    bounds = [day_ms(f"2013-{month:02d}-01") for month in range(3, 13)] + [day_ms("2014-01-01")]
    return [(a, b) for a, b in pairwise(bounds) if a >= start and b <= end]


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
