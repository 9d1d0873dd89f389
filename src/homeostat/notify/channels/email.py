"""E-mail through an SMTP server, addressed as `smtp://user:password@host:587?from=a@b.c&to=d@e.f` (smtps for TLS).

As with every address that a user writes, the host is resolved once, checked to be public (unless private hosts are
allowed), and the connection goes to the address that was checked.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from homeostat.core.clock import iso
from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.outgoing import check_url
from homeostat.core.records import Record
from homeostat.notify.model import Message


class MailServer(Record):
    """Where and how to hand in mail. `secure`: TLS from the first byte, otherwise from STARTTLS where offered."""

    host: str
    port: int
    secure: bool
    user: str
    password: str
    sender: str
    to: list[str]


def mail_server(url: str) -> MailServer:
    """The parts of an `smtp://` address. Raises: InvalidInput, without repeating what may be a password."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    sender, to = query.get("from", []), query.get("to", [])
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or len(sender) != 1 or not to:
        raise InvalidInput(
            "that is not the address of a mail server", hint="smtp://user:password@host:587?from=a@b.c&to=d@e.f"
        )
    for address in (*sender, *to):
        if "@" not in address or any(char.isspace() or ord(char) < 32 for char in address):
            raise InvalidInput(f"{address[:80]!r} is not a mail address", hint="write name@host")
    secure = parts.scheme == "smtps"
    return MailServer(
        host=parts.hostname, port=parts.port or (465 if secure else 587), secure=secure, sender=sender[0], to=to,
        user=unquote(parts.username or ""), password=unquote(parts.password or ""),
    )  # fmt: skip


def email_of(message: Message, server: MailServer, identifier: str) -> EmailMessage:
    """The message as plain-text mail."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(message.title.split())[:200]
    mail["From"], mail["To"] = server.sender, ", ".join(server.to)
    # The same delivery tried twice is one mail to programs that look.
    mail["Message-ID"] = f"<{identifier}@homeostat>"
    lines = [message.text, ""] if message.text else []
    lines += [f"{fact.name}: {fact.value}" for fact in message.facts]
    lines += ["", message.link] if message.link else []
    mail.set_content("\n".join([*lines, "", iso(message.at_ms), ""]))
    return mail


def send_mail(url: str, message: Message, identifier: str, allow_private: bool, timeout_s: float = 10) -> None:
    """Hand the message to the mail server. Raises: InvalidInput for a host that must not be called, Unavailable."""
    server = mail_server(url)
    shown = f"[{server.host}]" if ":" in server.host else server.host
    _, _, address = check_url(f"https://{shown}:{server.port}/", allow_private)
    mail = email_of(message, server, identifier)
    try:
        with _connect(server, address, timeout_s) as smtp:
            if not server.secure and smtp.has_extn("starttls"):
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo()
            elif not server.secure and server.user and not allow_private:
                raise Unavailable(f"{server.host} offers no TLS: the password is not sent in the open")
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(mail, server.sender, server.to)
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable(f"{server.host} did not take the mail: {type(error).__name__}") from error


def _connect(server: MailServer, address: str, timeout_s: float) -> smtplib.SMTP:
    if server.secure:
        smtp: smtplib.SMTP = _Tls(address, server.host, timeout_s)
    else:
        smtp = _Plain(address, timeout_s)
    smtp.connect(server.host, server.port)
    smtp.ehlo()
    return smtp


class _Plain(smtplib.SMTP):
    """SMTP to the address that was checked, under the name that certificates are issued for."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = address
        super().__init__(timeout=timeout_s)

    def connect(self, host: str = "localhost", port: int = 0, source_address: object = None) -> tuple[int, bytes]:
        self._host = host  # the name that STARTTLS checks the certificate against
        return super().connect(host, port)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((self._address, port), timeout)


class _Tls(_Plain):
    """SMTP inside TLS from the first byte."""

    def __init__(self, address: str, name: str, timeout_s: float) -> None:
        self._name = name
        super().__init__(address, timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        raw = super()._get_socket(host, port, timeout)
        return ssl.create_default_context().wrap_socket(raw, server_hostname=self._name)
