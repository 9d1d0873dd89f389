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

# Modules that declare tables.
STORES = (
    "homeostat.core.events",
    "homeostat.core.leases",
    "homeostat.core.lineage_facts",
    "homeostat.data.store",
    "homeostat.team.store",
    "homeostat.tracking.store",
    "homeostat.pipelines.store",
    "homeostat.tuning.store",
    "homeostat.registry.store",
    "homeostat.explain.store",
    "homeostat.serving.store",
)
