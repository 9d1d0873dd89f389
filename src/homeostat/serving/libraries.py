"""The libraries that run models, as extras bring them: which a version needs, and which a data plane has not.

Each data plane tells what it lacks, so that a deployment that no machine could answer is refused before, with what to
install and where. Models of their own environments, and those that MLflow's client logged, are looked at by the machine
that loads them.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.errors import Refused
from homeostat.core.workspace import Workspace
from homeostat.registry import ModelVersion
from homeostat.serving import store
from homeostat.serving.package import REQUIREMENTS
from homeostat.serving.planes import SILENT_MS, machine_of

log = logging.getLogger("homeostat.serving")

# By the module that is imported: the extra that brings it.
_EXTRAS = {"onnxruntime": "ml", "lightgbm": "ml", "sklearn": "ml", "xgboost": "xgboost", "catboost": "catboost",
           "skops": "skops", "torch": "torch"}  # fmt: skip
_SKOPS = "model.skops"


def lacking() -> list[str]:
    """The libraries that are not installed here, by the names they are imported under. Nothing is imported."""
    return [module for module in _EXTRAS if find_spec(module) is None]


def needed(version: ModelVersion) -> list[str]:
    """The libraries that `version` is run with in every environment; none where its own environment says."""
    if version.flavor == "onnx" or version.onnx.agrees:
        return ["onnxruntime"]
    if version.flavor in ("lightgbm", "xgboost", "catboost"):
        return [version.flavor]
    if version.flavor not in ("sklearn", "torch") or REQUIREMENTS in version.files:
        return []
    return ["torch"] if version.flavor == "torch" else ["sklearn", *(["skops"] if _SKOPS in version.files else [])]


def check_libraries(ws: Workspace, version: ModelVersion) -> None:
    """Whether a data plane that is alive has what `version` is run with; where none is alive, or none has told, it may
    be. Those that have not are named in the log.

    Raises: Refused when none has, with what to install on which machines.
    """
    wanted = needed(version)
    lacks = _lacks(ws) if wanted else {}
    unable = {plane: missing for plane, told in lacks.items() if (missing := [one for one in wanted if one in told])}
    if not unable:
        return
    missing = sorted({module for modules in unable.values() for module in modules})
    where = ", ".join(sorted({machine_of(plane) for plane in unable}))
    extras = ",".join(sorted({_EXTRAS[module] for module in missing}))
    named = " and ".join(f"'{module}'" for module in missing)
    if len(unable) < len(lacks):
        log.warning("version %s of '%s' is not answered on %s: %s is not installed there (pip install 'homeostat[%s]')",
                    version.version, version.model, where, named, extras)  # fmt: skip
        return
    raise Refused(
        f"no data plane can run version {version.version} of '{version.model}': {named} is not installed on {where}",
        hint=f"pip install 'homeostat[{extras}]' there; a data plane notices within seconds",
        version=version.version,
        missing=missing,
    )


def _lacks(ws: Workspace) -> dict[str, set[str]]:
    """What each live data plane lacks; nothing where it has not told."""
    told = sa.and_(store.state.c.plane == store.plane.c.plane, store.state.c.model == store.ITSELF)
    query = (
        sa.select(store.plane.c.plane, store.state.c.reason)
        .select_from(store.plane.outerjoin(store.state, told))
        .where(store.plane.c.beat_ms > now_ms() - SILENT_MS)
    )
    return {row.plane: set((row.reason or "").split()) for row in ws.db.read(lambda c: c.execute(query).all())}
