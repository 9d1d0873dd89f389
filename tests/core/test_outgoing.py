"""Addresses that a user wrote must not lead into our own network."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.outgoing import Answer, check_url, post_json
from tests.ports import free_port

PRIVATE = {
    "loopback": "https://127.0.0.1/",
    "loopback, other": "https://127.9.9.9/",
    "loopback, short": "https://127.1/",
    "loopback, decimal": "https://2130706433/",
    "loopback, hexadecimal": "https://0x7f000001/",
    "loopback, octal": "https://0177.0.0.1/",
    "loopback, by name": "https://localhost/",
    "loopback, 6": "https://[::1]/",
    "loopback, mapped": "https://[::ffff:127.0.0.1]/",
    "loopback, mapped hexadecimal": "https://[::ffff:7f00:1]/",
    "loopback, 6to4": "https://[2002:7f00:1::]/",
    "loopback, NAT64": "https://[64:ff9b::7f00:1]/",
    "loopback, Teredo": "https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "loopback, NAT64 of one's own": "https://[64:ff9b:1::7f00:1]/",
    "loopback, compatible": "https://[::127.0.0.1]/",
    "loopback, translated": "https://[::ffff:0:127.0.0.1]/",
    "ten, ISATAP": "https://[2001:4860::5efe:10.0.0.1]/",
    "ten, ISATAP, given out": "https://[2001:4860::200:5efe:10.0.0.1]/",
    "ten, 6to4": "https://[2002:a00:1::]/",
    "site-local": "https://[fec0::1]/",
    "segments": "https://[5f00::1]/",
    "nearest that maps ports": "https://192.0.0.9/",
    "nearest relay": "https://192.88.99.1/",
    "nowhere": "https://0.0.0.0/",
    "nowhere, 6": "https://[::]/",
    "cloud metadata": "https://169.254.169.254/latest/meta-data/",
    "link-local": "https://[fe80::1]/",
    "ten": "https://10.0.0.1/",
    "one-seven-two": "https://172.16.0.1/",
    "one-nine-two": "https://192.168.1.1/",
    "carrier": "https://100.64.0.1/",
    "unique local": "https://[fd00::1]/",
    "multicast": "https://224.0.0.1/",
    "broadcast": "https://255.255.255.255/",
    "full-width digits": "https://１２７.0.0.1/",
}
MALFORMED = {
    "file": "file:///etc/passwd",
    "gopher": "gopher://8.8.8.8/",
    "ftp": "ftp://8.8.8.8/",
    "half a bracket": "https://[",
    "no such port": "https://8.8.8.8:99999/",
    "no scheme": "8.8.8.8/x",
    "scheme-relative": "//8.8.8.8/x",
    "no host": "https:///x",
    "empty": "",
    "user": "https://user@8.8.8.8/",
    "user and password": "https://user:secret@8.8.8.8/",
    "plain http": "http://8.8.8.8/",
}


@pytest.mark.parametrize("url", PRIVATE.values(), ids=PRIVATE.keys())
def test_a_private_address_is_refused(url: str):
    with pytest.raises(InvalidInput, match="not a public address"):
        check_url(url)


@pytest.mark.parametrize("url", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_address_to_post_to_is_refused(url: str):
    with pytest.raises(InvalidInput, match="can be posted to|is not an address|in the open|holds a name or a password"):
        check_url(url)


def test_a_password_is_not_repeated():
    with pytest.raises(InvalidInput) as caught:
        check_url("https://user:hunter2@8.8.8.8/")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_a_public_address_is_taken(address: str):
    host = f"[{address}]" if ":" in address else address
    assert check_url(f"https://{host}/hook") == (address, 443, address)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch):
    def resolve(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(InvalidInput, match="leads to 127.0.0.1"):
        check_url("https://rebind.example/")


def test_a_host_that_is_not_there_says_so():
    with pytest.raises(Unavailable, match="cannot be found"):
        check_url("https://no-such-host.invalid/")


class Receiver(http.server.ThreadingHTTPServer):
    """Answers as `reply` says and remembers what it was asked."""

    reply = (200, {})

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, bytes]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Host"], body))
        status, headers = self.server.reply
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"secret of the inner network")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_message_arrives_and_only_the_status_comes_back(receiver: Receiver):
    port = receiver.server_port
    answer = post_json(f"http://127.0.0.1:{port}/hook?a=1", b'{"x":1}', allow_private=True)
    assert answer == Answer(status=200, retry_after_s=None)
    assert receiver.asked == [("/hook?a=1", f"127.0.0.1:{port}", b'{"x":1}')]


def test_a_redirect_is_not_followed(receiver: Receiver):
    receiver.reply = (302, {"Location": f"http://127.0.0.1:{receiver.server_port}/inner"})
    answer = post_json(f"http://127.0.0.1:{receiver.server_port}/hook", b"{}", allow_private=True)
    assert answer.status == 302
    assert [path for path, _, _ in receiver.asked] == ["/hook"]


def test_a_wish_to_wait_is_handed_on(receiver: Receiver):
    receiver.reply = (429, {"Retry-After": "7"})
    assert post_json(f"http://127.0.0.1:{receiver.server_port}/", b"{}", allow_private=True) == Answer(
        status=429, retry_after_s=7
    )


def test_the_name_is_resolved_once_and_the_checked_address_is_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    """A name that points somewhere else the second time (rebinding) is not asked a second time."""
    real, asked = socket.getaddrinfo, []

    def resolve(host: str, *args: object, **more: object) -> list[object]:
        if host != "rebind.example":
            return real(host, *args, **more)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.99", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://rebind.example:{receiver.server_port}/"
    assert post_json(url, b"{}", allow_private=True).status == 200
    assert asked == ["rebind.example"]
    assert receiver.asked[0][1] == f"rebind.example:{receiver.server_port}"


def test_nobody_there_is_an_error_of_ours():
    port = free_port()
    with pytest.raises(Unavailable, match="does not answer"):
        post_json(f"http://127.0.0.1:{port}/", b"{}", allow_private=True)


def test_a_control_character_in_the_address_is_not_sent(receiver: Receiver):
    with pytest.raises((Unavailable, InvalidInput)):
        post_json(f"http://127.0.0.1:{receiver.server_port}/a b\x01c", b"{}", allow_private=True)
    assert receiver.asked == []
