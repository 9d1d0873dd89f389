"""Verbs: deploy a version, share traffic between versions, go back."""

from __future__ import annotations

from typing import Unpack

import sqlalchemy as sa
from msgspec.structs import replace

from homeostat.core.blobs import digest_of
from homeostat.core.clock import now_ms
from homeostat.core.context import acting_run, current_actor
from homeostat.core.errors import Conflict, InvalidInput, NotFound, Refused
from homeostat.core.events import publish
from homeostat.core.lineage_facts import record_read, record_write
from homeostat.core.paths import check_name
from homeostat.core.records import from_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import get_version
from homeostat.serving import store
from homeostat.serving.graphs.guarding import check_kept_out, members_after, refusal
from homeostat.serving.libraries import check_libraries
from homeostat.serving.model import Deployment, DeploymentChange, DeploymentChanged, Route
from homeostat.serving.options import Options, check_replicas, checked_options
from homeostat.serving.routes import check_routes

_LEAD_BACK_THEMSELVES = ("rollback", "canary step", "canary promoted", "canary back", "bandit shares", "options")


@verb(permission="serving:write")
def deploy(
    ws: Workspace,
    model: str,
    version: int | None = None,
    **options: Unpack[Options],
) -> Deployment:
    """Send all requests for `model` to `version` (the newest registered one by default).

    The options say how requests are carried, queued, limited, logged and computed (see `configure`, which changes them
    alone); what is not given stays as it was.
    Deploying what is deployed already changes nothing. The data planes load the version and then swap; wait for that
    with `wait_ready`.

    Raises: NotFound for an unknown version; Refused when its gates have refused it, it lies elsewhere, no live data
    plane has the library that it is run with, or a member of a graph would log what the graph keeps out of the log;
    InvalidInput when nothing here runs what was registered.
    """
    check_name(model, "model name")
    found = get_version(ws, model, version)
    routes = [Route(version=found.version)]
    check_servable(ws, model, routes)
    wanted = checked_options(options, [found])

    def write(connection: sa.Connection) -> Deployment:
        current = store.read_deployment(connection, model)
        base = current or Deployment(model=model, routes=[], salt=salt_of(model), generation=0, updated_ms=0)
        changed = replace(base, routes=routes, canary=None, bandit=None, **wanted)
        check_replicas(changed)
        if current is not None and changed == current:
            return current
        check_kept_out(ws, connection, changed)
        return record(ws, connection, changed, "deploy", current)

    return ws.db.write(write)


@verb(permission="serving:write")
def configure(
    ws: Workspace, model: str, expect_generation: int | None = None, **options: Unpack[Options]
) -> Deployment:
    """Change how a deployed model is asked, and nothing else: its versions, their shares and a canary go on.

    `key`, `time` and `sticky` say how requests carry their metadata, `max_waiting` and `timeout_ms` how long they may
    queue, `callers` and `rate_limit` who may ask and how often, `log_share` and `redacted` what of them is logged,
    `min_replicas`, `max_replicas` and `idle_s` how many replicas there are and whether the model stays in memory (see
    `Deployment`); what is not given stays as it was. A rollback returns to earlier versions, not to earlier options.

    Raises: NotFound when the model is not deployed; InvalidInput for an option that means nothing; Refused when a
    member of a graph would log what the graph keeps out of the log; Conflict when somebody else changed the deployment
    first.
    """
    deployed = get_deployment(ws, model)
    wanted = checked_options(options, [get_version(ws, model, route.version) for route in deployed.routes])

    def write(connection: sa.Connection) -> Deployment:
        current = store.read_expected(connection, model, expect_generation)
        changed = replace(current, **wanted)
        check_replicas(changed)
        if changed == current:
            return current
        if "redacted" in wanted or "log_share" in wanted:
            check_kept_out(ws, connection, changed)
        _, back_to = store.read_change(connection, model, current.generation)
        return record(ws, connection, changed, "options", current, back_to=back_to)

    return ws.db.write(write)


def _check_earlier(ws: Workspace, model: str, routes: list[Route]) -> None:
    for route in routes:
        try:
            found = get_version(ws, model, route.version)
        except NotFound as error:
            raise Refused(
                f"the routes before name version {route.version} of '{model}', which was deleted",
                hint=f"deploy another version: `homeostat serving deploy {model} VERSION`",
                version=route.version,
            ) from error
        check_libraries(ws, found)


def salt_of(model: str) -> str:
    """What shuffles the requests of `model` over its routes: another for each model, the same in every replay of it."""
    return digest_of(model.encode())[:16]


@verb(permission="serving:write")
def set_routes(ws: Workspace, model: str, routes: list[Route], expect_generation: int | None = None) -> Deployment:
    """Share the requests of a deployed model between versions: one champion, canaries, shadows.

    With `expect_generation`, nothing changes unless the deployment is still at that generation.

    Raises: NotFound when the model is not deployed; InvalidInput when the weights do not add up; Conflict when
    somebody else changed the deployment first.
    """
    check_routes(routes)
    check_servable(ws, model, routes)

    def write(connection: sa.Connection) -> Deployment:
        current = store.read_expected(connection, model, expect_generation)
        if current.routes == routes:
            return current
        return record(ws, connection, replace(current, routes=routes, canary=None, bandit=None), "routes", current)

    return ws.db.write(write)


@verb(permission="serving:write")
def rollback(ws: Workspace, model: str, expect_generation: int | None = None) -> Deployment:
    """Return to the routes before the last change; again to go further back.

    With `expect_generation`, nothing changes unless the deployment is still at that generation.

    Of a canary or bandit that moved by itself, these are the routes before it began.

    Raises: NotFound when the model is not deployed; Refused when there is nothing to return to, a version of it was
    deleted, or no live data plane has the library that it is run with; Conflict when somebody else changed the
    deployment first.
    """

    def write(connection: sa.Connection) -> Deployment:
        current = store.read_expected(connection, model, expect_generation)
        _, back_to = store.read_change(connection, model, current.generation)
        if back_to is None:
            raise Refused(f"model '{model}' has no earlier deployment to return to")
        earlier, further = store.read_change(connection, model, back_to)
        _check_earlier(ws, model, earlier.routes)
        changed = replace(current, routes=earlier.routes, canary=None, bandit=None)
        return record(ws, connection, changed, "rollback", current, back_to=further)

    return ws.db.write(write)


@verb(permission="serving:write")
def undeploy(ws: Workspace, model: str, expect_generation: int | None = None) -> None:
    """Stop serving `model`. Its versions, history and predictions stay.

    With `expect_generation`, nothing changes unless the deployment is still at that generation.

    Raises: NotFound when it is not deployed; Conflict when somebody else changed the deployment first; Refused while a
    deployed graph asks it.
    """

    def write(connection: sa.Connection) -> None:
        current = store.read_expected(connection, model, expect_generation)
        if refused := refusal(connection, model):
            raise refused
        gone = replace(current, routes=[], canary=None, bandit=None)
        record(ws, connection, gone, "undeploy", current)
        connection.execute(sa.delete(store.deployment).where(store.deployment.c.model == model))
        connection.execute(sa.delete(store.state).where(store.state.c.model == model))

    ws.db.write(write)


@verb(permission="serving:read")
def get_deployment(ws: Workspace, model: str) -> Deployment:
    """How `model` is deployed. Raises NotFound when it is not."""
    found = ws.db.look(lambda connection: store.read_deployment(connection, model))
    if found is None:
        raise store.not_deployed(model)
    return found


def redacted_inputs(ws: Workspace, model: str) -> list[str]:
    """The inputs that are kept out of the prediction log; none when `model` is not deployed."""
    found = ws.db.look(lambda connection: store.read_deployment(connection, model))
    return [] if found is None else found.redacted


@verb(permission="serving:read")
def list_deployments(ws: Workspace) -> list[Deployment]:
    """Every deployment, by model name."""
    query = sa.select(store.deployment.c.record).order_by(store.deployment.c.model)
    return ws.db.look(lambda c: [from_json(record, Deployment) for record in c.execute(query).scalars()])


@verb(permission="serving:read")
def deployment_history(ws: Workspace, model: str, limit: int = 100) -> list[DeploymentChange]:
    """What was deployed when and by whom, newest first; also of models that are no longer deployed."""
    if not 1 <= limit <= 10_000:
        raise InvalidInput(f"limit={limit}", hint="between 1 and 10000")
    query = (
        sa.select(store.change)
        .where(store.change.c.model == model)
        .order_by(store.change.c.generation.desc())
        .limit(limit)
    )
    return ws.db.read(lambda c: [store.to_change(row) for row in c.execute(query)])


def check_servable(ws: Workspace, model: str, routes: list[Route]) -> None:
    """Refused when a version that would answer was refused by its gates, has no form that runs here, or needs a library
    that no live data plane has; NotFound for an unknown one."""
    from homeostat.serving.converted import check_form

    for route in routes:
        found = get_version(ws, model, route.version)
        check_form(ws, found)
        check_libraries(ws, found)
        if found.status == "refused" and route.role != "shadow":
            failed = ", ".join(gate.gate for gate in found.gates if not gate.passed)
            raise Refused(
                f"version {route.version} of '{model}' was refused by its gates: {failed or 'no reason recorded'}",
                hint="deploy another version; a refused one may only be a shadow",
                version=route.version,
            )


def check_alike(ws: Workspace, model: str, champion: int, versions: list[int]) -> None:
    """Refused when requests that the champion answers would be refused by one of the versions, or answered in another
    form: such a version fails requests that nobody counts, as they never reach the prediction log."""
    served = get_version(ws, model, champion)
    if served.flavor == "mlflow":
        return  # such a signature may have columns that are left out, and names that it does not say
    was = served.signature
    known, gives = {field.name: field for field in was.inputs}, {field.name: field.dtype for field in was.outputs}
    for number in versions:
        found = get_version(ws, model, number)
        now, what = found.signature, ""
        if found.flavor == "mlflow":
            continue
        for field in now.inputs:
            before = known.get(field.name)
            if before is None:
                what = f"takes '{field.name}', which version {champion} does not"
            elif (field.dtype, field.shape) != (before.dtype, before.shape):
                what = f"takes '{field.name}' as {field.dtype}, version {champion} as {before.dtype}"
        order = [field.name for field in now.inputs]
        if was.tensor and now.tensor and order != [name for name in known if name in order] and not what:
            what = f"takes the columns of '{was.tensor}' in another order than version {champion}"
        for name, dtype in gives.items():
            if (name, dtype) not in [(field.name, field.dtype) for field in now.outputs]:
                what = f"does not give '{name}' ({dtype}), which version {champion} does"
        if what:
            raise Refused(
                f"version {number} of '{model}' {what}",
                hint="where all clients can do with both, share the requests by hand with set_routes; else deploy it "
                "under another name",
                version=number,
            )


def record(
    ws: Workspace,
    connection: sa.Connection,
    changed: Deployment,
    reason: str,
    current: Deployment | None,
    back_to: int | None = None,
) -> Deployment:
    """Write the next generation. `back_to`: where a rollback from it leads, for reasons that say so themselves."""
    changed = replace(changed, members=members_after(ws, connection, changed))
    generation = store.last_generation(connection, changed.model) + 1
    at_ms = now_ms()
    new = replace(changed, generation=generation, updated_ms=changed.updated_ms if reason == "options" else at_ms)
    written = to_json(new)
    from_json(written, Deployment)  # what cannot be read again would stop every data plane
    values = {"generation": generation, "record": written}
    if current is None:
        connection.execute(sa.insert(store.deployment).values(model=new.model, **values))
    else:
        # The generation in the condition makes two processes that change it at once collide here.
        where = (store.deployment.c.model == new.model, store.deployment.c.generation == current.generation)
        if not connection.execute(sa.update(store.deployment).where(*where).values(**values)).rowcount:
            raise Conflict(f"the deployment of '{new.model}' was changed at the same moment", hint="try again")
    if reason not in _LEAD_BACK_THEMSELVES:
        back_to = None if current is None else returns_to(current)
    connection.execute(
        sa.insert(store.change).values(
            model=new.model, generation=generation, routes=to_json(new.routes), reason=reason, actor=current_actor(),
            at_ms=at_ms, back_to=back_to,
        )
    )  # fmt: skip
    _remember(ws, connection, new, reason)
    publish(ws, connection, DeploymentChanged(model=new.model, generation=generation, routes=new.routes, reason=reason))
    return new


def returns_to(current: Deployment) -> int:
    """The generation that a rollback from whatever follows `current` returns to. Nobody would judge a canary, or share
    a bandit's requests anew, that somebody returned to: it is what was there before those began."""
    began = current.canary or current.bandit
    return current.generation if began is None else began.before


def _remember(ws: Workspace, connection: sa.Connection, new: Deployment, reason: str) -> None:
    """Lineage: the change itself is what took the versions and made this generation of the deployment."""
    if not new.routes:
        return
    with acting_run(f"{new.model}-{reason}-{new.generation}".replace(" ", "-")[-64:]):
        for route in new.routes:
            record_read(ws, "model", new.model, route.version, connection)
        record_write(ws, "deployment", new.model, new.generation, connection)
