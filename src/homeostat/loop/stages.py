"""The six stations of one model's loop, as the page draws them: data, features, train, validate, serve, watch."""

from __future__ import annotations

from homeostat.core.errors import NotFound
from homeostat.core.workspace import Workspace
from homeostat.data import get_table, list_versions
from homeostat.loop.applied import Applied
from homeostat.loop.model import Stage, VariableStatus
from homeostat.loop.words import count, span
from homeostat.pipelines import list_pipeline_runs
from homeostat.registry import ModelVersion, get_version
from homeostat.serving import Deployment


def stages_of(
    ws: Workspace, current: Applied, deployment: Deployment | None, variables: list[VariableStatus]
) -> list[Stage]:
    """Each station with what is to be said of it now."""
    version = _version(ws, current.config.model, deployment)
    return [
        _data(ws, current),
        _features(version),
        _train(ws, current, version),
        _validate(version),
        _serve(deployment, variables),
        _watch(variables),
    ]


def _version(ws: Workspace, model: str, deployment: Deployment | None) -> ModelVersion | None:
    if deployment is None:
        return None
    try:
        return get_version(ws, model, deployment.champion)
    except NotFound:
        return None


def _data(ws: Workspace, current: Applied) -> Stage:
    label, data = "Data", current.config.data
    if data is None:
        return Stage(name="data", label=label, detail="no table is named", state="idle")
    try:
        table = get_table(ws, data.table)
        newest = list_versions(ws, data.table, limit=1)[0]
    except NotFound:
        return Stage(name="data", label=label, detail=f"{data.table} is not there yet", state="warn")
    sound = newest.check is None or newest.check.passed
    detail = f"v{table.version} · {table.rows:,} rows" + ("" if sound else " · checks failed")
    return Stage(name="data", label=label, detail=detail, state="ok" if sound else "bad")


def _features(version: ModelVersion | None) -> Stage:
    if version is None:
        return Stage(name="features", label="Features", detail="none yet", state="idle")
    return Stage(name="features", label="Features", detail=count(len(version.signature.inputs), "input"), state="ok")


def _train(ws: Workspace, current: Applied, version: ModelVersion | None) -> Stage:
    label, pipeline = "Train", current.config.pipeline
    if pipeline is None:
        return Stage(name="train", label=label, detail="no pipeline is named", state="idle")
    runs = list_pipeline_runs(ws, pipeline, limit=1).runs
    if runs and runs[0].status == "running":
        done = sum(1 for step in runs[0].steps if step.status in ("done", "cached"))
        return Stage(name="train", label=label, detail=f"{done} of {len(runs[0].steps)} steps", state="working")
    if runs and runs[0].status == "failed":
        return Stage(name="train", label=label, detail="the last run failed", state="bad")
    rows = version.params.get("rows") if version else None
    took = span(runs[0].end_ms - runs[0].start_ms) if runs and runs[0].end_ms else ""
    said = [f"{int(rows):,} rows" if rows and rows.isdigit() else "", took]
    return Stage(name="train", label=label, detail=" · ".join(s for s in said if s) or "not run yet",
                 state="ok" if runs or version else "idle")  # fmt: skip


def _validate(version: ModelVersion | None) -> Stage:
    label = "Validate"
    if version is None or not version.gates:
        return Stage(
            name="validate", label=label, detail="by the loop's own judgement", state="ok" if version else "idle"
        )
    passed = sum(1 for gate in version.gates if gate.passed)
    good = passed == len(version.gates)
    return Stage(
        name="validate", label=label, detail=f"{passed} of {len(version.gates)} gates", state="ok" if good else "bad"
    )


def _serve(deployment: Deployment | None, variables: list[VariableStatus]) -> Stage:
    if deployment is None:
        return Stage(name="serve", label="Serve", detail="not deployed", state="idle")
    said = [f"v{deployment.champion}"]
    canary = next((r for r in deployment.routes if r.role == "canary"), None)
    if canary is not None:
        said.append(f"v{canary.version} at {canary.weight:.0%}")
    slow = next((v for v in variables if v.measure.startswith("latency") and v.value is not None), None)
    if slow is not None and slow.value is not None:
        said.append(f"{slow.measure[-3:]} {span(slow.value)}")
    served = [v.state for v in variables if v.measure.startswith(("latency", "errors"))]
    state = "bad" if "out" in served else "warn" if "at_risk" in served else "working" if canary else "ok"
    return Stage(name="serve", label="Serve", detail=" · ".join(said), state=state)


def _watch(variables: list[VariableStatus]) -> Stage:
    point = next((v.history[-1] for v in variables if v.history and v.measure == "auc"), None)
    states = {v.state for v in variables}
    state = "bad" if "out" in states else "warn" if "at_risk" in states else "ok" if "within" in states else "idle"
    detail = f"labels {point.mature:.0%} in" if point is not None else "nothing looked at yet"
    return Stage(name="watch", label="Watch", detail=detail, state=state)
