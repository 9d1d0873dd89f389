"""The one outgoing-request helper: nothing else in Homeostat opens a connection to an address that a user wrote.

The host is resolved once, every address must be public (unless private ones are allowed), the connection goes to the
address that was checked and redirects are not followed. What a hook is answered is not given back.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.records import Record


class Answer(Record):
    """What an outgoing request was answered: the status, and the seconds to wait when it asked for that."""

    status: int
    retry_after_s: int | None = None


def check_url(url: str, allow_private: bool = False) -> tuple[str, int, str]:
    """`(host, port, address)` that `url` may be sent to.

    Raises: InvalidInput for another scheme, credentials in the URL, or an address that is not public;
    Unavailable when the host does not resolve.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{url[:200]!r} is not an address: {error}", hint="write https://host/path") from error
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            f"the address of {parts.hostname!r} holds a name or a password", hint="secrets go into a header, not a URL"
        )
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise InvalidInput(f"{url[:200]!r} is not an address that can be posted to", hint="write https://host/path")
    if parts.scheme == "http" and not allow_private:
        raise InvalidInput(
            "plain http carries secrets in the open", hint="use https, or HOMEOSTAT_ALLOW_PRIVATE_HOOKS=1"
        )
    port = port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise Unavailable(f"the host {parts.hostname!r} cannot be found: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not allow_private and not _public(address):
            raise InvalidInput(
                f"{parts.hostname!r} leads to {address}, which is not a public address",
                hint="set HOMEOSTAT_ALLOW_PRIVATE_HOOKS=1 if it really is meant",
            )
    return parts.hostname, port, addresses[0]


# The one part of IPv6 that is given out to the world; and what translators (NAT64) deliver to the IPv4 address in the
# last four bytes. Everything else is for machines beside each other, or leads to IPv4 by a way of its own.
_WORLD, _NAT64 = ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("64:ff9b::/96")
# Tunnels of a site (ISATAP) end these interfaces at the IPv4 address that follows.
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")
# Called global by the registry, and answered by whatever is nearest: protocols among neighbours, relays.
_NEAREST = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))


def _public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast and not any(parsed in near for near in _NEAREST)
    last = ipaddress.IPv4Address(parsed.packed[-4:])
    if parsed in _NAT64:
        return _public(str(last))
    inner = parsed.sixtofour or (last if parsed.packed[8:12] in _ISATAP else None)
    return parsed in _WORLD and parsed.is_global and (inner is None or _public(str(inner)))


def connect(url: str, *, allow_private: bool = False, timeout_s: float = 10) -> http.client.HTTPConnection:
    """An open connection to the host of `url`, at the address that was checked. The caller closes it.

    Raises: InvalidInput for an address that must not be called, Unavailable when nobody answers there.
    """
    host, port, address = check_url(url, allow_private)
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        raw = socket.create_connection((address, port), timeout=timeout_s)
        secure = urlsplit(url).scheme == "https"
        connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host) if secure else raw
    except OSError as error:
        raise Unavailable(f"{host} does not answer at port {port}: {error}", hint="is the address right?") from error
    return connection


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool = False, timeout_s: float = 10
) -> Answer:
    """POST `body` to `url`; the status of the answer, whatever it is.

    Raises: InvalidInput for an address that must not be called, Unavailable when there is no answer.
    """
    connection = connect(url, allow_private=allow_private, timeout_s=timeout_s)
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body=body, headers=dict(headers))
        response = connection.getresponse()
        wait = response.headers.get("Retry-After", "")
        return Answer(status=response.status, retry_after_s=int(wait) if wait.isdigit() else None)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{connection.host} did not take the message: {error}") from error
    finally:
        connection.close()


def post_json(url: str, body: bytes, *, allow_private: bool = False, timeout_s: float = 10) -> Answer:
    """`post` with a JSON body."""
    headers = {"Content-Type": "application/json", "User-Agent": "homeostat"}
    return post(url, body, headers, allow_private=allow_private, timeout_s=timeout_s)
