"""The registry's rule on `champion`, where there is one: whom the loop has to ask, and whether they have agreed.

The loop never moves an alias past a rule. It files a request in its own name, says in its decision that it waits, and
goes on at the look after the alias was moved.
"""

from __future__ import annotations

import msgspec

from homeostat.core.context import acting_as
from homeostat.core.workspace import Workspace
from homeostat.loop.judge import JudgeRule
from homeostat.loop.record import decisions_of, is_recorded
from homeostat.loop.subject import Subject
from homeostat.registry import get_version, list_requests, list_rules, request_alias, set_alias

ALIAS = "champion"
_ACTOR = "loop"


def asked_of(ws: Workspace, model: str) -> str:
    """Who must agree before `champion` moves, in words ("2 of Ada, Grace"); "" where nobody has to."""
    rule = next((rule for rule in list_rules(ws, model) if rule.alias == ALIAS), None)
    if rule is None:
        return ""
    approvals = "1 approval" if rule.needed == 1 else f"{rule.needed} approvals"
    return f"{rule.needed} of {', '.join(rule.approvers)}" if rule.approvers else approvals


def judge_rule(subject: Subject) -> JudgeRule:
    """The judgement's parameters, with everybody whose yes it takes."""
    rule = subject.config.judge_rule()
    whom = [who for who in (rule.approve, asked_of(subject.ws, subject.model)) if who]
    return msgspec.structs.replace(rule, approve=" and ".join(whom))


def agreed(ws: Workspace, model: str, version: int, person: str | None = None) -> str | None:
    """Who said yes to `version`: `person` where no rule asks, else those whose votes moved the alias to it."""
    if not asked_of(ws, model):
        return person
    if ALIAS not in get_version(ws, model, version).aliases:
        return None
    moved = [one for one in list_requests(ws, model, "moved") if (one.alias, one.version) == (ALIAS, version)]
    voters = [vote.actor for vote in moved[0].votes if vote.verdict == "approve"] if moved else []
    return ", ".join(sorted({*voters, *([person] if person else [])})) or ALIAS


def withheld(ws: Workspace, model: str, version: int) -> bool:
    """Whether a rule keeps `version` from becoming the champion as yet."""
    return bool(asked_of(ws, model)) and ALIAS not in get_version(ws, model, version).aliases


def point(ws: Workspace, model: str, version: int, reason: str) -> None:
    """Have `champion` point at `version`: at once, or by a request where a rule asks. Again changes nothing."""
    if ALIAS in get_version(ws, model, version).aliases:
        return
    with acting_as(_ACTOR):
        if not asked_of(ws, model):
            set_alias(ws, model, ALIAS, version, reason=reason)
        elif not any((one.alias, one.version) == (ALIAS, version) for one in list_requests(ws, model, "open")):
            request_alias(ws, model, ALIAS, version, reason)


def approved_since(subject: Subject) -> int | None:
    """The version that waited for approval, and was approved since; None where there is none to go on with."""
    s = subject
    if s.canary is not None and not _begun(s, s.canary):
        return None
    waited = decisions_of(s.ws, s.model, limit=50, before_ms=s.at_ms, kinds=["wait", "promote", "refuse"])
    newest = {d.challenger: d for d in reversed(waited) if d.challenger is not None}
    for version, decision in newest.items():
        if decision.kind != "wait" or version == s.champion:
            continue
        if _begun(s, version) or (asked_of(s.ws, s.model) and not withheld(s.ws, s.model, version)):
            return version
    return None


def _begun(subject: Subject, version: int) -> bool:
    """Whether this very look has judged the approved version already."""
    return is_recorded(subject.ws, subject.model, subject.at_ms, "judge", f"{version} approved")
