"""The slices, by name only: what faces walk over and what a workspace offers as attributes."""

from __future__ import annotations

SLICES = (
    "data", "tracking", "team",
    "lineage", "features", "pipelines", "notify",
    "tuning", "registry",
    "explain",
    "serving",
    "monitoring",
    "loop",
)  # fmt: skip

# Modules that declare tables, and triggers.
STORES = (
    "homeostat.core.events",
    "homeostat.core.leases",
    "homeostat.core.lineage_facts",
    "homeostat.data.store",
    "homeostat.team.store",
    "homeostat.tracking.store",
    "homeostat.tracking.trace_store",
    "homeostat.tracking.triggers",
    "homeostat.features.store",
    "homeostat.pipelines.store",
    "homeostat.notify.store",
    "homeostat.tuning.store",
    "homeostat.registry.store",
    "homeostat.explain.store",
    "homeostat.serving.store",
    "homeostat.monitoring.store",
    "homeostat.loop.store",
)

# A table that is written in a hurry, and `(ws, connection)`: what puts its rows in their place before anybody reads.
INBOX = ("tracking_inbox", "homeostat.tracking.settling:settle")

# `(ws, connection, kind, name, version) -> Refused | None`: what `core.guards` asks before something goes.
GUARDS = ("homeostat.serving.guard:served", "homeostat.loop.guard:held")

# Folders of MLflow's artifact service that another slice than tracking fills, by the first part of their path:
# `(ws, path) -> dict[str, File]` gives files by their path below, those that `path` leads to among them.
FOLDERS = {"homeostat-packages": "homeostat.registry.mlmodel_form:files_at"}

# Modules that map foreign protocols: their calls are mounted by the server.
PROTOCOLS = (
    "homeostat.tracking.mlflow.server_info",
    "homeostat.registry.mlflow.registered_models",
    "homeostat.registry.mlflow.model_versions",
    "homeostat.registry.mlflow.webhooks",
    "homeostat.tracking.mlflow.experiments",
    "homeostat.tracking.mlflow.runs",
    "homeostat.tracking.mlflow.points",
    "homeostat.tracking.mlflow.inputs",
    "homeostat.tracking.mlflow.metrics",
    "homeostat.tracking.mlflow.search",
    "homeostat.tracking.mlflow.artifacts",
    "homeostat.tracking.mlflow.multipart",
    "homeostat.tracking.mlflow.logged_models",
    "homeostat.tracking.mlflow.trace_statistics",
    "homeostat.tracking.mlflow.traces",
    "homeostat.tracking.mlflow.traces_before_3",
    "homeostat.tracking.mlflow.assessments",
    "homeostat.tracking.mlflow.issues",
    "homeostat.tracking.mlflow.label_schemas",
    "homeostat.tracking.mlflow.review_queues",
    "homeostat.tracking.mlflow.datasets",
    "homeostat.tracking.mlflow.scorers",
)

# Files of the home that hold what is kept nowhere else, as patterns: whole once they are named ...
KEPT_FILES = ("tables/*/*.parquet", "pipelines/*/*.log")
# ... or appended to, with rows that carry their identity and so may be seen twice.
APPENDED_FILES = ("spool/*/*", "runs/*/*")

# `(ws, full) -> list[Finding]`: what `homeostat doctor` asks, as "module:function".
EXAMINERS = (
    "homeostat.core.doctor:examine_database",
    "homeostat.core.doctor:examine_bytes",
    "homeostat.core.doctor:examine_events",
    "homeostat.core.doctor:examine_leases",
    "homeostat.data.doctor:examine",
    "homeostat.registry.doctor:examine",
    "homeostat.core.doctor:examine_machine",
)

# What `homeostat gc` asks. `(ws) -> set[(kind, name)]`: what somebody still needs although it was deleted, a
# ("run", ID) or a ("version", "MODEL/NUMBER") ...
NAMERS = ("homeostat.registry.purge:named", "homeostat.serving.purge:named")
# ... `(ws, keep, named, really, step) -> None`: erase what the policy keeps no longer, with `step(kind, count)` after
# each small transaction ...
EXPIRERS = (
    "homeostat.tracking.retention:expire",
    "homeostat.serving.retention:expire",
    "homeostat.core.retention:expire_events",
)
# ... and `(ws, before_ms, named, really) -> dict[str, int]`: erase what was deleted before, and count it by kind.
PURGERS = (
    "homeostat.registry.purge:purge",
    "homeostat.tracking.purge:purge",
    "homeostat.serving.kept_environments:purge",
)
