"""Google Chat spaces, by webhook: a card with the plain text as fallback, threaded by model."""

from __future__ import annotations

from html import escape
from typing import Any

from homeostat.notify.model import Message

_TITLE, _TEXT, _VALUE, _FACTS = 200, 2000, 500, 20


def google_chat_payload(message: Message) -> dict[str, Any]:
    """The message as a Google Chat space takes it. Card text reads a little HTML, so ours is escaped."""
    widgets: list[dict[str, Any]] = []
    if message.text:
        widgets.append({"textParagraph": {"text": escape(message.text[:_TEXT], quote=False)}})
    widgets += [
        {"decoratedText": {"topLabel": fact.name[:60], "text": escape(fact.value[:_VALUE], quote=False)}}
        for fact in message.facts[:_FACTS]
    ]
    if message.link:
        button = {"text": "Open", "onClick": {"openLink": {"url": message.link}}}
        widgets.append({"buttonList": {"buttons": [button]}})
    card: dict[str, Any] = {"header": {"title": message.title[:_TITLE], "subtitle": message.event.replace("_", " ")}}
    if widgets:
        card["sections"] = [{"widgets": widgets}]
    return {"text": message.title[:_TITLE], "cardsV2": [{"cardId": "homeostat", "card": card}]}
