"""Gates: what a version must pass. The verdicts are computed elsewhere and kept here, with their reasons."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from homeostat.core.errors import InvalidInput
from homeostat.core.events import publish
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import store
from homeostat.registry.model import GateResult, GatesRecorded, ModelVersion


@verb(permission="registry:write", at_once=True)
def record_gates(ws: Workspace, model: str, version: int, gates: list[GateResult]) -> ModelVersion:
    """Keep the results of a version's gates: it is `valid` when all passed, `refused` otherwise.

    A result replaces the earlier one of the same gate; the others stay. Repeating a call changes nothing.
    """
    if not gates:
        raise InvalidInput("no gate results were given", hint="pass at least one GateResult")

    def change(c: sa.Connection) -> ModelVersion:
        store.hold(c, model)
        was = store.one(c, model, version)
        results = {gate.gate: gate for gate in [*was.gates, *gates]}
        failed = [gate.gate for gate in results.values() if not gate.passed]
        judged = msgspec.structs.replace(was, gates=list(results.values()), status="refused" if failed else "valid")
        if judged != was:
            store.rewrite(c, judged)
            publish(ws, c, GatesRecorded(model=model, version=version, status=judged.status, failed=failed))
        return store.one(c, model, version)

    return ws.db.write(change)
