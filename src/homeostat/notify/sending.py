"""One attempt to bring one message to one channel."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.core.outgoing import Answer, post, post_json
from homeostat.core.records import Record, to_json
from homeostat.notify.addresses import resolved
from homeostat.notify.channels.email import send_mail
from homeostat.notify.channels.google_chat import google_chat_payload
from homeostat.notify.channels.mlflow import mlflow_headers
from homeostat.notify.channels.slack import slack_payload
from homeostat.notify.channels.teams import teams_payload
from homeostat.notify.channels.webhook import webhook_headers, webhook_payload
from homeostat.notify.model import Message

_FORM = {"slack": slack_payload, "teams": teams_payload, "google_chat": google_chat_payload}
# Answers that may be different tomorrow; every other refusal stays one.
_PASSING = {408, 425, 429}


class Outcome(Record):
    """`error` is empty when the message arrived. `again`: later makes sense, after `wait_s` if that was asked for."""

    error: str = ""
    again: bool = False
    wait_s: int | None = None


def attempt(channel: sa.Row[Any], identifier: str, message: Message, at_ms: int, allow_private: bool) -> Outcome:
    """Send `message` to `channel` (a row of `store.channels`). Never raises for what the other side does."""
    try:
        url = resolved(channel.url)
        if channel.kind == "email":
            send_mail(url, message, identifier, allow_private)
            return Outcome()
        answer = _post(channel, url, identifier, message, at_ms, allow_private)
    except InvalidInput as error:
        return Outcome(error=error.message)  # an address that must not be called: later is no better
    except HomeostatError as error:
        return Outcome(error=error.message, again=True)
    if 200 <= answer.status < 300:
        return Outcome()
    again = answer.status >= 500 or answer.status in _PASSING
    return Outcome(error=f"answered {answer.status}", again=again, wait_s=answer.retry_after_s)


def _post(channel: sa.Row[Any], url: str, identifier: str, message: Message, at_ms: int, allow_private: bool) -> Answer:
    if channel.kind in _FORM:
        return post_json(url, to_json(_FORM[channel.kind](message)).encode(), allow_private=allow_private)
    if channel.kind == "mlflow":
        body = message.text.encode()
        headers = mlflow_headers(identifier, at_ms // 1000, body, channel.secret)
        return post(url, body, headers, allow_private=allow_private)
    body = to_json(webhook_payload(message)).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "homeostat"}
    headers |= webhook_headers(f"msg_{identifier}", at_ms // 1000, body, channel.secret)
    return post(url, body, headers, allow_private=allow_private)
