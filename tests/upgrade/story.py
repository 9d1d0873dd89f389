"""What an old workspace had lived through, told by verbs; and the questions whose answers must not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

import homeostat as hs
from homeostat.core.records import plain
from tests.rows import fill_empty

RUN = "a" * 32
OPEN = "b" * 32
FLIGHTS = pl.DataFrame({"flight": [1, 2, 3], "delay": [0.5, None, -3.0], "carrier": ["UA", "Ω", None]})

CONFIG = "model: late\nhold: [auc >= 0.9 over 7d, errors <= 0.1% over 1h]\n"


def live(ws: hs.Workspace, folder: Path) -> None:
    """Fill a fresh workspace: first through verbs, then a made-up row for each table that these do not reach."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("kept")
    with hs.run("first", ws=ws, id=RUN, params={"lr": 0.1}, tags={"Ω": "1"}, surroundings=False) as run:
        ws.data.write_table("flights", FLIGHTS, key=["flight"], message="first")
        ws.data.write_table("flights", FLIGHTS.head(1), mode="upsert", key=["flight"], once="second")
        ws.data.write_tree("notes", str(folder / "notes"))
        rows = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
        for seed in (0.1, 1.0):
            model = LogisticRegression(C=seed).fit(rows, rows[:, 0] > 0)
            hs.log_model(ws, "late", model, rows, metrics={"auc": 0.5 + seed / 10})
        run.log(loss=0.5, auc=0.7)
        run.log_artifact(b"bytes", "plots/a.bin")
    ws.tracking.create_run(id=OPEN, name="still open", parent_id=RUN)
    ws.tracking.log_metrics(OPEN, {"loss": 0.25}, step=1, at_ms=1)
    ws.registry.set_alias("late", "champion", 1)
    ws.registry.set_alias("late", "champion", 2, expect=1)
    ws.explain.importance("late", 1)
    ws.serving.deploy("late", 1)
    ws.serving.deploy("late", 2)
    ws.monitoring.record_labels("late", pl.DataFrame({"key": ["1", "2"], "label": [1.0, 0.0], "label_ms": [5, 6]}))
    ws.loop.apply(CONFIG)
    ws.loop.review("late", at_ms=1_700_000_000_000, now=True)
    ws.team.add_user("ann", role="editor")
    ws.team.create_token("ann", expires_in_s=None)
    ws.team.record_audit("data.write_table", {"name": "flights"})
    ws.leases.acquire("work", 60, "somebody")
    ws.db.write(fill_empty)


QUESTIONS: dict[str, Callable[[hs.Workspace], Any]] = {
    "tables": lambda ws: ws.data.list_tables(),
    "table": lambda ws: ws.data.get_table("flights"),
    "versions": lambda ws: ws.data.list_versions("flights"),
    "trees": lambda ws: ws.data.list_trees(),
    "run": lambda ws: ws.tracking.get_run(RUN),
    "history": lambda ws: ws.tracking.metric_history(RUN, "loss"),
    "open": lambda ws: ws.tracking.metric_history(OPEN, "loss"),
    "artifacts": lambda ws: ws.tracking.list_artifacts(RUN),
    "models": lambda ws: ws.registry.list_models(),
    "model": lambda ws: ws.registry.get_version("late", alias="champion"),
    "moves": lambda ws: ws.registry.alias_history("late"),
    "deployment": lambda ws: ws.serving.get_deployment("late"),
    "deployments": lambda ws: ws.serving.deployment_history("late"),
    "lineage": lambda ws: ws.lineage.of("table", "flights", 1),
    "decisions": lambda ws: ws.loop.decisions("late"),
    "why": lambda ws: ws.loop.why(ws.loop.decisions("late")[-1].id),
    "plan": lambda ws: ws.loop.plan(CONFIG),
    "users": lambda ws: ws.team.list_users(),
    "audit": lambda ws: ws.team.verify_audit(),
}


def answers(ws: hs.Workspace) -> dict[str, Any]:
    """The answers as plain values."""
    return {name: plain(ask(ws)) for name, ask in QUESTIONS.items()}


def contains(new: Any, old: Any) -> bool:
    """Whether `new` still says everything that `old` said; later versions may say more."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(name in new and contains(new[name], value) for name, value in old.items())
    if isinstance(old, list):
        return isinstance(new, list) and len(new) == len(old) and all(map(contains, new, old))
    return new == old
