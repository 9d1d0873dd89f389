"""Aliases: names such as `champion` that point at a version, moved by compare-and-set, every move kept."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core import statements
from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor, current_run
from homeostat.core.errors import Conflict, Refused
from homeostat.core.events import publish
from homeostat.core.records import from_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.registry import chronicle, store
from homeostat.registry.model import AliasMove, AliasMoved, ApprovalRule, ModelVersion
from homeostat.registry.names import check_alias

_POINT = (
    "insert into registry_alias (model, alias, version) values (?, ?, ?)"
    " on conflict (model, alias) do update set version = excluded.version"
)
_DROP = "delete from registry_alias where model = ? and alias = ?"
_RULE = "select record from registry_rule where model_id = ? and alias = ?"


@verb(permission="registry:write", at_once=True)
def set_alias(
    ws: Workspace, model: str, alias: str, version: int, expect: int | None = None, reason: str = ""
) -> AliasMove:
    """Point `alias` at a version.

    With `expect` it happens only if the alias points there now (0: if it does not exist); of several that try at once
    one succeeds. When it points at `version` already nothing changes and `moved` is False, so a call may be repeated.

    Raises: Conflict when the alias points elsewhere than expected; Refused for a version that its gates refused, or
    where a rule asks for approvals first (`request_alias`).
    """
    check_alias(alias)

    def change(c: sa.Connection) -> AliasMove:
        return move(ws, c, model, alias, version, expect, reason)

    return ws.db.write(change)


@verb(permission="registry:write", at_once=True)
def delete_alias(ws: Workspace, model: str, alias: str, reason: str = "") -> AliasMove:
    """Remove an alias; `moved` is False when there is none. Raises: Refused where a rule asks for approvals first."""

    def change(c: sa.Connection) -> AliasMove:
        return move(ws, c, model, alias, None, None, reason)

    return ws.db.write(change)


def move(
    ws: Workspace,
    c: sa.Connection,
    model: str,
    alias: str,
    version: int | None,
    expect: int | None,
    reason: str,
    approved: bool = False,
) -> AliasMove:
    """Move an alias within the open transaction, which then holds the model; `approved`, whatever rule there is.

    Raises as `set_alias`.
    """
    held, before = store.hold_for_move(c, model, alias, version)
    now = before.version
    if now != version and not approved:
        _need_no_rule(held, alias, before.rule)
    if now == version:
        return _move(held.name, alias, now, version, reason, moved=False)
    if expect is not None and (now or 0) != expect:
        raise Conflict(
            f"alias '{alias}' of '{held.name}' points at {f'version {now}' if now else 'nothing'}, not at {expect}",
            hint="look again, then decide again",
            model=held.name, alias=alias, version=now,
        )  # fmt: skip
    if before.target is None:
        statements.put(c, _DROP, (held.name, alias))
    else:
        _must_be_fit(before.target)
        statements.put(c, _POINT, (held.name, alias, version))
    made = _move(held.name, alias, now, version, reason)
    chronicle.append(
        c, held, "alias_moved", alias=alias, previous=now, version=version, reason=reason, at_ms=made.at_ms,
        before=before.digest or chronicle.START,
    )  # fmt: skip
    publish(ws, c, AliasMoved(model=held.name, alias=alias, version=version, previous=now))
    return made


def rule_of(c: sa.Connection, held: store.Held, alias: str) -> ApprovalRule | None:
    """The rule on an alias, if there is one."""
    found = statements.rows(c, _RULE, (held.id, alias))
    return from_json(found[0][0], ApprovalRule) if found else None


def need_no_approval(c: sa.Connection, held: store.Held, alias: str) -> None:
    """Raise Refused, saying what is missing, when a rule stands before a move of `alias`."""
    _need_no_rule(held, alias, rule_of(c, held, alias))


def _need_no_rule(held: store.Held, alias: str, rule: ApprovalRule | None) -> None:
    if rule is None:
        return
    whom = f"{rule.needed} of {', '.join(rule.approvers)}" if rule.approvers else f"{rule.needed} approvals"
    raise Refused(
        f"alias '{alias}' of '{held.name}' moves only with approval: {whom}",
        hint=f"ask for it with `homeostat registry request-alias {held.name} {alias} VERSION`",
        model=held.name, alias=alias, needed=rule.needed,
    )  # fmt: skip


def _must_be_fit(target: ModelVersion) -> None:
    if target.status == "refused":
        failed = "; ".join(gate.reason or gate.gate for gate in target.gates if not gate.passed)
        raise Refused(
            f"version {target.version} of '{target.model}' was refused by its gates: {failed}",
            hint="register a version that passes, or record gates that hold",
            model=target.model, version=target.version,
        )  # fmt: skip


def _move(
    model: str, alias: str, previous: int | None, version: int | None, reason: str, moved: bool = True
) -> AliasMove:
    return AliasMove(
        model=model, alias=alias, previous=previous, version=version, at_ms=now_ms(), actor=current_actor(),
        run_id=current_run(), reason=reason, moved=moved,
    )  # fmt: skip
