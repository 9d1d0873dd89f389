"""Approvals: a rule on an alias says how many must agree before it moves; requests gather their votes.

The vote that completes a request moves the alias, in one transaction: an approved move cannot be left undone, and it
happens only if the alias still points where it did when the request was made.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor
from homeostat.core.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from homeostat.core.events import publish
from homeostat.core.ids import new_id
from homeostat.core.records import from_json, to_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import chronicle, store
from homeostat.registry.aliases import move, rule_of
from homeostat.registry.model import AliasRequest, AliasRequested, ApprovalRule, Vote
from homeostat.registry.names import check_alias


@verb(permission="registry:admin")
def set_rule(
    ws: Workspace,
    model: str,
    alias: str,
    needed: int,
    approvers: list[str] | None = None,
    expires_s: int = 7 * 86400,
    own: bool = False,
) -> ApprovalRule:
    """Let `alias` move only when `needed` of `approvers` agree (of everybody who may write, when none is named).

    A request lives `expires_s` seconds; `own` lets the one who asks vote as well. `needed` of 0 removes the rule.
    """
    check_alias(alias)
    who = sorted(set(approvers or []))
    if needed < 0 or (who and needed > len(who)) or not 60 <= expires_s <= 366 * 86400:
        raise InvalidInput(
            f"needed={needed} of {len(who)} approvers within {expires_s} s is no rule that can be met",
            hint="needed between 1 and the number of approvers, expires_s between a minute and a year",
        )
    made = ApprovalRule(model=model, alias=alias, needed=needed, approvers=who, expires_s=expires_s, own=own)

    def put(c: sa.Connection) -> ApprovalRule:
        held = store.hold(c, model)
        c.execute(sa.delete(store.rule).where(store.rule.c.model_id == held.id, store.rule.c.alias == alias))
        if needed:
            c.execute(sa.insert(store.rule).values(model_id=held.id, alias=alias, record=to_json(made)))
        chronicle.append(
            c, held, "rule_set", alias=alias,
            detail={"needed": needed, "approvers": who, "expires_s": expires_s, "own": own},
        )  # fmt: skip
        return made

    return ws.db.write(put)


@verb(permission="registry:read")
def list_rules(ws: Workspace, model: str) -> list[ApprovalRule]:
    """The rules on a model's aliases."""

    def read(c: sa.Connection) -> list[ApprovalRule]:
        query = sa.select(store.rule.c.record).where(store.rule.c.model_id == store.id_of(c, model))
        rules = [from_json(text, ApprovalRule) for text in c.execute(query.order_by(store.rule.c.alias)).scalars()]
        return [msgspec.structs.replace(rule, model=model) for rule in rules]

    return ws.db.read(read)


@verb(permission="registry:write")
def request_alias(ws: Workspace, model: str, alias: str, version: int | None, reason: str) -> AliasRequest:
    """Ask to point a ruled alias at `version` (None: to remove it); `reason` is shown to those who vote.

    Raises: InvalidInput without a reason or where no rule asks for approval; NotFound for the version.
    """
    if not reason.strip():
        raise InvalidInput("a request needs a reason", hint="say why the alias should move")

    def ask(c: sa.Connection) -> AliasRequest:
        held = store.hold(c, model)
        rule = rule_of(c, held, alias)
        if rule is None:
            raise InvalidInput(f"alias '{alias}' of '{model}' moves without approval", hint="use set-alias")
        if version is not None:
            store.one(c, model, version)
        now = now_ms()
        made = AliasRequest(
            id=new_id(), model=model, alias=alias, version=version, previous=store.points_at(c, model, alias),
            reason=reason, actor=current_actor(), created_ms=now, expires_ms=now + rule.expires_s * 1000,
        )  # fmt: skip
        c.execute(sa.insert(store.request).values(id=made.id, model_id=held.id, status="open", record=to_json(made)))
        _tell(ws, c, held, made, "requested", reason)
        return _with_missing(made, rule)

    return ws.db.write(ask)


@verb(permission="registry:write")
def approve(ws: Workspace, id: str, reason: str = "") -> AliasRequest:
    """Agree to a request; the vote that makes it enough moves the alias.

    Raises: PermissionDenied for somebody who has no vote; Conflict for a request that has ended; what `set_alias`
    raises for a version that was refused.
    """
    return ws.db.write(lambda c: _vote(ws, c, id, "approve", reason))


@verb(permission="registry:write")
def reject(ws: Workspace, id: str, reason: str) -> AliasRequest:
    """Refuse a request, with a reason: it ends. Raises: as `approve`, and InvalidInput without a reason."""
    if not reason.strip():
        raise InvalidInput("a rejection needs a reason", hint="say what would have to be different")
    return ws.db.write(lambda c: _vote(ws, c, id, "reject", reason))


@verb(permission="registry:read")
def list_requests(ws: Workspace, model: str, status: str | None = None, limit: int = 100) -> list[AliasRequest]:
    """The requests on a model's aliases, newest first."""
    if not 1 <= limit <= 1000:
        raise InvalidInput(f"limit is {limit}; it lies between 1 and 1000")

    def read(c: sa.Connection) -> list[AliasRequest]:
        held = store.Held(store.id_of(c, model), model, 0)
        query = sa.select(store.request.c.record).where(store.request.c.model_id == held.id)
        found = [
            from_json(text, AliasRequest) for text in c.execute(query.order_by(store.request.c.id.desc())).scalars()
        ]
        shown = [_as_of_now(c, held, request) for request in found]
        return [request for request in shown if status in (None, request.status)][:limit]

    return ws.db.read(read)


def _vote(ws: Workspace, c: sa.Connection, id: str, verdict: str, reason: str) -> AliasRequest:
    row = c.execute(sa.select(store.request).where(store.request.c.id == id)).first()
    if row is None:
        raise NotFound(f"there is no request {id[:40]!r}", hint="list-requests shows the ids")
    name = c.execute(sa.select(store.model.c.name).where(store.model.c.id == row.model_id)).scalar_one()
    held = store.hold(c, name)
    # Read again, now that nobody else can vote at the same time.
    text = c.execute(sa.select(store.request.c.record).where(store.request.c.id == id)).scalar_one()
    request = _as_of_now(c, held, from_json(text, AliasRequest))
    if request.status != "open":
        raise Conflict(f"the request has ended: {request.status}", hint="make a new one", status=request.status)
    rule = rule_of(c, held, request.alias)
    _may_vote(request, rule)
    vote = Vote(
        actor=current_actor(), verdict="approve" if verdict == "approve" else "reject", reason=reason, at_ms=now_ms()
    )
    votes = [*(kept for kept in request.votes if kept.actor != vote.actor), vote]
    done = msgspec.structs.replace(request, votes=votes)
    if verdict == "reject":
        done = msgspec.structs.replace(done, status="rejected")
    elif rule is None or sum(kept.verdict == "approve" for kept in votes) >= rule.needed:
        move(ws, c, name, request.alias, request.version, request.previous or 0, request.reason, approved=True)
        done = msgspec.structs.replace(done, status="moved")
    kept = msgspec.structs.replace(done, missing="")
    c.execute(sa.update(store.request).where(store.request.c.id == id).values(status=done.status, record=to_json(kept)))
    _tell(ws, c, held, done, "approved" if verdict == "approve" else "rejected", reason)
    return _with_missing(done, rule)


def _may_vote(request: AliasRequest, rule: ApprovalRule | None) -> None:
    actor = current_actor()
    if rule is not None and rule.approvers and actor not in rule.approvers:
        raise PermissionDenied(
            f"'{actor}' has no vote on alias '{request.alias}'", hint=f"ask {', '.join(rule.approvers)}"
        )
    if actor == request.actor and not (rule is not None and rule.own):
        raise PermissionDenied(f"'{actor}' asked for this move and cannot vote on it", hint="somebody else must agree")


def _as_of_now(c: sa.Connection, held: store.Held, request: AliasRequest) -> AliasRequest:
    named = msgspec.structs.replace(request, model=held.name)
    if named.status != "open":
        return named
    if now_ms() >= named.expires_ms:
        return msgspec.structs.replace(named, status="expired")
    if store.points_at(c, held.name, named.alias) != named.previous:
        return msgspec.structs.replace(named, status="overtaken")
    return _with_missing(named, rule_of(c, held, named.alias))


def _with_missing(request: AliasRequest, rule: ApprovalRule | None) -> AliasRequest:
    if request.status != "open" or rule is None:
        return msgspec.structs.replace(request, missing="")
    given = [vote.actor for vote in request.votes if vote.verdict == "approve"]
    left = [name for name in rule.approvers if name not in given and (rule.own or name != request.actor)]
    missing = f"{rule.needed - len(given)} more {'approval' if rule.needed - len(given) == 1 else 'approvals'}"
    return msgspec.structs.replace(request, missing=f"{missing}, of {', '.join(left)}" if left else missing)


def _tell(ws: Workspace, c: sa.Connection, held: store.Held, request: AliasRequest, action: str, reason: str) -> None:
    chronicle.append(
        c, held, f"alias_{action}", alias=request.alias, previous=request.previous, version=request.version,
        reason=reason, detail={"request": request.id, "status": request.status},
    )  # fmt: skip
    publish(ws, c, AliasRequested(model=held.name, alias=request.alias, request=request.id, status=request.status))
