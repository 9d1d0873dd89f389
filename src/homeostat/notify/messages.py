"""Events as messages: what a person is told, in the words of the event. Waiting is not news and is not told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from homeostat.core.clock import iso
from homeostat.core.events import StoredEvent
from homeostat.notify.model import Fact, Level, Message

_DECISION: dict[str, Level] = {
    "promote": "good",
    "retrain": "info",
    "canary": "info",
    "refuse": "warn",
    "collect": "warn",
    "fix_data": "bad",
    "roll_back": "bad",
}
_STATE: dict[str, Level] = {"within": "good", "at_risk": "warn", "out": "bad", "unknown": "info"}


def message_of(event: StoredEvent, base: str = "") -> Message | None:
    """What to say about an event; None for one that is not told. `base` is where people reach the UI, for links."""
    render = _RENDER.get(event.name)
    return render(event, event.payload, base.rstrip("/")) if render else None


def _decision(event: StoredEvent, p: dict[str, Any], base: str) -> Message | None:
    kind = str(p.get("kind", ""))
    if kind == "wait":
        return None
    level = _DECISION.get(kind, "info")
    facts = [Fact(name="Model", value=str(p.get("model", ""))), Fact(name="Decision", value=kind.replace("_", " "))]
    facts += [
        Fact(name=name.capitalize(), value=f"version {p[name]}")
        for name in ("champion", "challenger")
        if p.get(name) is not None
    ]
    at_ms = int(p.get("at_ms") or event.at_ms)
    facts.append(Fact(name="As of", value=iso(at_ms)))
    title = f"{p.get('model', '')}: {p.get('headline') or kind}"
    return Message(
        event=event.name, title=title, text=str(p.get("reason", "")), facts=facts, level=level, at_ms=at_ms,
        link=_link(base, f"loop/{quote(str(p.get('model', '')))}"),
    )  # fmt: skip


def _variable(event: StoredEvent, p: dict[str, Any], base: str) -> Message:
    state, was = str(p.get("state", "")), str(p.get("was", ""))
    facts = [
        Fact(name="Model", value=str(p.get("model", ""))),
        Fact(name="State", value=f"{was.replace('_', ' ')} → {state.replace('_', ' ')}" if was else state),
    ]
    facts += [Fact(name=n.capitalize(), value=f"{p[n]:.4g}") for n in ("value", "limit") if p.get(n) is not None]
    at_ms = int(p.get("at_ms") or event.at_ms)
    return Message(
        event=event.name, title=f"{p.get('model', '')}: {p.get('variable', '')} is {state.replace('_', ' ')}",
        facts=facts, level=_STATE.get(state, "info"), at_ms=at_ms,
        link=_link(base, f"loop/{quote(str(p.get('model', '')))}"),
    )  # fmt: skip


def _check(event: StoredEvent, p: dict[str, Any], base: str) -> Message:
    failed = [str(line) for line in p.get("failed", [])]
    more = f"\n… and {len(failed) - 10} more" if len(failed) > 10 else ""
    table = str(p.get("table", ""))
    return Message(
        event=event.name, title=f"{table}: {len(failed)} check{'' if len(failed) == 1 else 's'} failed",
        text="\n".join(failed[:10]) + more, level="bad", at_ms=event.at_ms,
        facts=[Fact(name="Table", value=table), Fact(name="Version", value=str(p.get("version", "")))],
        link=_link(base, f"data/{quote(table)}"),
    )  # fmt: skip


def _link(base: str, path: str) -> str:
    return f"{base}/{path}" if base else ""


_RENDER: dict[str, Callable[[StoredEvent, dict[str, Any], str], Message | None]] = {
    "decision_made": _decision,
    "variable_changed": _variable,
    "check_failed": _check,
}

# What a channel is told unless it names its events.
TOLD = tuple(_RENDER)
