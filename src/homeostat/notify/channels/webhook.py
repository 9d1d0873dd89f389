"""Any other receiver: JSON, signed as Standard Webhooks (https://www.standardwebhooks.com) prescribes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

from homeostat.core.clock import iso
from homeostat.core.errors import InvalidInput
from homeostat.core.records import plain
from homeostat.notify.model import Message

SECRET_PREFIX = "whsec_"  # noqa: S105  # the standard's prefix, not a secret


def webhook_payload(message: Message) -> dict[str, Any]:
    """The message as `type`, `timestamp` and `data`."""
    return {"type": message.event, "timestamp": iso(message.at_ms), "data": plain(message)}


def webhook_headers(identifier: str, at_s: int, body: bytes, secret: str) -> dict[str, str]:
    """The headers that let a receiver check who sent `body`, and drop what it has had already.

    `secret` is "whsec_" and 24 to 64 bytes in base64. The signature is HMAC-SHA256 of "id.timestamp.body".
    """
    headers = {"webhook-id": identifier, "webhook-timestamp": str(at_s)}
    if secret:
        signed = f"{identifier}.{at_s}.".encode() + body
        digest = hmac.new(secret_key(secret), signed, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def secret_key(secret: str) -> bytes:
    """The key in a "whsec_…" secret. Raises: InvalidInput for one of another form, without repeating it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise InvalidInput(
            "the secret is not one of Standard Webhooks", hint="write whsec_ and 24 to 64 random bytes in base64"
        )
    return key
