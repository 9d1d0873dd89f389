"""Slack incoming webhooks: block kit, within Slack's limits."""

from __future__ import annotations

from typing import Any

from homeostat.notify.model import Level, Message

_HEADER, _TEXT, _FIELD, _FIELDS = 150, 3000, 2000, 10
_SIGN: dict[Level, str] = {"info": "", "good": "✅ ", "warn": "⚠️ ", "bad": "🔴 "}


def slack_payload(message: Message) -> dict[str, Any]:
    """The message as Slack's incoming webhooks take it.

    >>> slack_payload(Message(event="e", title="a < b", at_ms=0))["text"]
    'a &lt; b'
    """
    title = _SIGN[message.level] + message.title
    # A header is plain text: Slack does not read markup there, so nothing is to be escaped.
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER), "emoji": True}}
    ]
    if message.text:
        text = {"type": "mrkdwn", "text": _escaped(message.text, _TEXT)}
        blocks.append({"type": "section", "text": text})
    if message.facts:
        fields = [
            {"type": "mrkdwn", "text": f"*{_escaped(fact.name, 200)}*\n{_escaped(fact.value, _FIELD - 300)}"}
            for fact in message.facts[:_FIELDS]
        ]
        blocks.append({"type": "section", "fields": fields})
    if message.link:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": message.link}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": _escaped(title, _TEXT), "blocks": blocks}


def _escaped(text: str, limit: int) -> str:
    # Escaping makes text longer, and cutting must not split an escape: cut as often as it takes.
    while True:
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(escaped) <= limit:
            return escaped
        text = _cut(text, len(text) - max(1, (len(escaped) - limit) // 5))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"
