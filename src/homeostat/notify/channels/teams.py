"""Microsoft Teams, by a Workflows webhook: one adaptive card of at most 28 KB."""

from __future__ import annotations

from typing import Any

from homeostat.notify.model import Level, Message

# 28 KB is for the whole message; a character may take six bytes of JSON.
_TITLE, _TEXT, _VALUE, _FACTS = 200, 2000, 300, 6
_COLOR: dict[Level, str] = {"info": "Default", "good": "Good", "warn": "Warning", "bad": "Attention"}


def teams_payload(message: Message) -> dict[str, Any]:
    """The message as a Teams workflow takes it ("when a webhook request is received")."""
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": True,
            "color": _COLOR[message.level], "text": _plain(message.title, _TITLE),
        }
    ]  # fmt: skip
    if message.text:
        body.append({"type": "TextBlock", "wrap": True, "text": _plain(message.text, _TEXT)})
    if message.facts:
        facts = [{"title": _plain(f.name, 60), "value": _plain(f.value, _VALUE)} for f in message.facts[:_FACTS]]
        body.append({"type": "FactSet", "facts": facts})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "msteams": {"width": "Full"}, "body": body,
    }  # fmt: skip
    if message.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _plain(text: str, limit: int) -> str:
    """Text in which a card's Markdown finds no link."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.replace("[", "\\[").replace("](", "\\](")
