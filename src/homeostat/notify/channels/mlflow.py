"""Hooks in MLflow's form: a body of its own, signed with the secret as it is written."""

from __future__ import annotations

import base64
import hashlib
import hmac


def mlflow_headers(identifier: str, at_s: int, body: bytes, secret: str) -> dict[str, str]:
    """The headers that MLflow's receivers check: HMAC-SHA256 of "id.timestamp.body" when there is a secret.

    >>> mlflow_headers("d1", 7, b"{}", "")["X-MLflow-Delivery-Id"]
    'd1'
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "homeostat",
        "X-MLflow-Delivery-Id": identifier,
        "X-MLflow-Timestamp": str(at_s),
    }
    if secret:
        digest = hmac.new(secret.encode(), f"{identifier}.{at_s}.".encode() + body, hashlib.sha256).digest()
        headers["X-MLflow-Signature"] = "v1," + base64.b64encode(digest).decode()
    return headers
