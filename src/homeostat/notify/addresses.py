"""The addresses of channels: written out, or kept outside the database as `${NAME}`, a variable of the server's
environment that is read when a message is sent. They hold secrets, so they are shown by their host only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from homeostat.core.errors import InvalidInput
from homeostat.core.outgoing import check_url
from homeostat.notify.channels.email import mail_server
from homeostat.notify.model import Kind

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]{0,99})\}\Z")


def resolved(url: str, environment: Mapping[str, str] | None = None) -> str:
    """`url`, or the value of the variable that it names. Raises: InvalidInput for a variable that is not set.

    >>> resolved("${HOOK}", {"HOOK": "https://example.org/x"})
    'https://example.org/x'
    """
    match = _VARIABLE.match(url)
    if match is None:
        return url
    value = (os.environ if environment is None else environment).get(match[1], "")
    if urlsplit(value).scheme not in ("https", "http", "smtp", "smtps"):
        # Whatever is in there instead may be another secret: it is not repeated.
        raise InvalidInput(
            f"the variable {match[1]} holds no address", hint=f"set {match[1]}=https://… where the server runs"
        )
    return value


def shown(url: str) -> str:
    """`url` without what is secret in it.

    >>> shown("https://hooks.slack.com/services/T0/B0/xyz"), shown("${SLACK}")
    ('https://hooks.slack.com/…', '${SLACK}')
    """
    if _VARIABLE.match(url):
        return url
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…"


def check_address(kind: Kind, url: str, allow_private: bool) -> None:
    """Refuse an address that a channel of this kind could not use, or must not.

    One that is read from the environment is judged when a message is sent, with the same rules.
    """
    if _VARIABLE.match(url):
        return
    if kind == "email":
        server = mail_server(url)
        host = f"[{server.host}]" if ":" in server.host else server.host
        check_url(f"https://{host}:{server.port}/", allow_private)
    else:
        check_url(url, allow_private)
