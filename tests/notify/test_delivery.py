"""Delivery: from an event to a real receiver, through failures, at least once and in order."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import InvalidInput, NotFound
from homeostat.core.events import dispatch, events_after, publish
from homeostat.loop.model import DecisionMade
from homeostat.notify.outbox import ATTEMPTS, on_event
from tests.notify.receivers import MailBox, Receiver

HOUR = 3_600_000


def decide(ws: hs.Workspace, headline: str, kind: str = "promote", model: str = "delay") -> None:
    made = DecisionMade(id=headline, model=model, kind=kind, at_ms=0, headline=headline, reason="it is better")
    ws.db.write(lambda c: publish(ws, c, made))
    dispatch(ws)


def headlines(receiver: Receiver) -> list[str]:
    return [body["blocks"][0]["text"]["text"].split(": ")[1] for body in receiver.bodies]


def test_a_decision_reaches_slack(receiver: Receiver, any_ws: hs.Workspace) -> None:
    any_ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    decide(any_ws, "one")
    assert any_ws.notify.deliver_due() == 1
    assert any_ws.notify.deliver_due() == 0
    [(path, headers, _)] = receiver.requests
    assert (path, headers["content-type"]) == ("/hook/s3cret?key=k", "application/json")
    assert headlines(receiver) == ["one"]
    [delivery] = any_ws.notify.list_deliveries()
    assert (delivery.status, delivery.attempts, delivery.title, delivery.error) == ("sent", 1, "delay: one", "")


def test_channels_are_told_only_what_they_asked_for(receiver: Receiver, ws: hs.Workspace) -> None:
    ws.notify.add_channel("all", kind="slack", url=receiver.url)
    ws.notify.add_channel("checks", kind="slack", url=receiver.url, events=["check_failed"])
    ws.notify.add_channel("other", kind="slack", url=receiver.url, models=["other"])
    decide(ws, "one")
    decide(ws, "quiet", kind="wait")
    decide(ws, "two", model="other")
    told = {(d.channel, d.title) for d in ws.notify.list_deliveries()}
    assert told == {("all", "delay: one"), ("all", "other: two"), ("other", "other: two")}


def test_an_event_heard_twice_is_told_once(receiver: Receiver, any_ws: hs.Workspace) -> None:
    any_ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    decide(any_ws, "one")
    [event] = events_after(any_ws, 0, names=["decision_made"])
    on_event(any_ws, event)
    any_ws.notify.deliver_due()
    on_event(any_ws, event)
    any_ws.notify.deliver_due()
    assert len(receiver.requests) == 1


def test_a_receiver_that_is_down_gets_everything_later_in_order(receiver: Receiver, any_ws: hs.Workspace) -> None:
    receiver.answer = lambda n: (503, {}) if n < 3 else (200, {})
    any_ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    for headline in ("one", "two", "three"):
        decide(any_ws, headline)
    at = now_ms()
    assert any_ws.notify.deliver_due(at) == 0
    assert len(receiver.requests) == 1  # the others wait behind the first
    assert any_ws.notify.deliver_due(at + 900) == 0
    assert len(receiver.requests) == 1  # not before its time
    assert any_ws.notify.deliver_due(at + HOUR) == 0
    assert any_ws.notify.deliver_due(at + 2 * HOUR) == 0
    assert any_ws.notify.deliver_due(at + 3 * HOUR) == 3
    assert headlines(receiver) == ["one"] * 4 + ["two", "three"]


def test_a_channel_that_is_down_holds_up_only_itself(receiver: Receiver, ws: hs.Workspace) -> None:
    other = Receiver(lambda n: (500, {}))
    try:
        ws.notify.add_channel("a-down", kind="slack", url=other.url)
        ws.notify.add_channel("b-up", kind="slack", url=receiver.url)
        decide(ws, "one")
        decide(ws, "two")
        assert ws.notify.deliver_due() == 2
    finally:
        other.close()
    assert headlines(receiver) == ["one", "two"]


def test_a_passing_failure_costs_a_second(receiver: Receiver, any_ws: hs.Workspace) -> None:
    receiver.answer = lambda n: (500, {}) if n < 2 else (200, {})
    any_ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    decide(any_ws, "one")
    at = now_ms()
    assert [any_ws.notify.deliver_due(at + wait) for wait in (0, 999, 1000, 2999, 3000)] == [0, 0, 0, 0, 1]
    assert len(receiver.requests) == 3


def test_a_receiver_that_asks_to_wait_is_waited_for(receiver: Receiver, ws: hs.Workspace) -> None:
    receiver.answer = lambda n: (429, {"Retry-After": "120"}) if n == 0 else (200, {})
    ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    decide(ws, "one")
    at = now_ms()
    ws.notify.deliver_due(at)
    assert ws.notify.deliver_due(at + 119_000) == 0
    assert ws.notify.deliver_due(at + 120_000) == 1


def test_a_message_is_given_up_in_the_end_and_can_be_replayed(receiver: Receiver, any_ws: hs.Workspace) -> None:
    receiver.answer = lambda n: (500, {})
    any_ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    decide(any_ws, "one")
    at = now_ms()
    for hour in range(ATTEMPTS + 3):
        any_ws.notify.deliver_due(at + hour * HOUR)
    assert len(receiver.requests) == ATTEMPTS
    [dead] = any_ws.notify.list_deliveries(status="dead")
    assert (dead.attempts, dead.error) == (ATTEMPTS, "answered 500")
    [event] = events_after(any_ws, 0, names=["notification_failed"])
    assert event.payload == {"channel": "ops", "delivery": dead.id, "title": "delay: one", "error": "answered 500"}
    receiver.answer = lambda n: (200, {})
    assert any_ws.notify.replay_delivery(dead.id).status == "waiting"
    assert any_ws.notify.deliver_due() == 1
    assert any_ws.notify.list_deliveries(status="dead") == []


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 410])
def test_a_refusal_is_not_asked_again_and_redirects_are_not_followed(
    receiver: Receiver, ws: hs.Workspace, status: int
) -> None:
    receiver.answer = lambda n: (status, {"Location": receiver.url})
    ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    decide(ws, "one")
    decide(ws, "two")
    ws.notify.deliver_due()
    assert len(receiver.requests) == 2
    assert {(d.status, d.error) for d in ws.notify.list_deliveries()} == {("dead", f"answered {status}")}


def test_a_test_message_says_at_once_what_is_wrong(receiver: Receiver, ws: hs.Workspace) -> None:
    receiver.answer = lambda n: (200, {}) if n == 0 else (404, {})
    ws.notify.add_channel("ops", kind="teams", url=receiver.url)
    assert ws.notify.send_test("ops").status == "sent"
    failed = ws.notify.send_test("ops")
    assert (failed.status, failed.error) == ("dead", "answered 404")
    with pytest.raises(NotFound, match="no channel 'nobody'"):
        ws.notify.send_test("nobody")


def test_every_kind_arrives(receiver: Receiver, mailbox: MailBox, ws: hs.Workspace) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    for kind in ("slack", "teams", "google_chat"):
        ws.notify.add_channel(kind, kind=kind, url=receiver.url)
    ws.notify.add_channel("webhook", kind="webhook", url=receiver.url, secret=secret)
    mail = f"smtp://127.0.0.1:{mailbox.port}?from=h@x.org&to=a@x.org&to=b@x.org"
    ws.notify.add_channel("mail", kind="email", url=mail)
    decide(ws, "one")
    assert ws.notify.deliver_due() == 5
    assert [sorted(body)[0] for body in receiver.bodies] == ["cardsV2", "blocks", "attachments", "data"]
    signed = receiver.requests[-1][1]
    assert signed["webhook-signature"].startswith("v1,")
    [(sender, to, text)] = mailbox.mails
    assert (sender, to) == ("h@x.org", ["a@x.org", "b@x.org"])
    assert "Subject: delay: one" in text
    assert "it is better" in text


def test_an_address_may_come_from_the_environment(
    receiver: Receiver, ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.notify.add_channel("ops", kind="slack", url="${OPS_HOOK}")
    decide(ws, "one")
    monkeypatch.setenv("OPS_HOOK", "another-secret")
    ws.notify.deliver_due()
    [delivery] = ws.notify.list_deliveries()
    assert (delivery.status, delivery.error) == ("dead", "the variable OPS_HOOK holds no address")
    monkeypatch.setenv("OPS_HOOK", receiver.url)
    ws.notify.replay_delivery(delivery.id)
    assert ws.notify.deliver_due() == 1
    assert ws.notify.list_channels()[0].target == "${OPS_HOOK}"


def test_addresses_are_secret_and_channels_can_be_replaced_and_removed(
    receiver: Receiver, any_ws: hs.Workspace
) -> None:
    any_ws.notify.add_channel("ops", kind="slack", url=receiver.url)
    again = any_ws.notify.add_channel("ops", kind="webhook", url=receiver.url, events=["decision_made"])
    assert any_ws.notify.list_channels() == [again]
    assert again.target == f"http://127.0.0.1:{receiver.server.server_port}/…"
    decide(any_ws, "one")
    assert any_ws.notify.remove_channel("ops") == 1
    assert any_ws.notify.list_channels() == any_ws.notify.list_deliveries() == []
    with pytest.raises(NotFound, match="no channel 'ops'"):
        any_ws.notify.remove_channel("ops")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"events": ["decision_mad"]}, "did you mean 'decision_made'"),
        ({"name": "../x"}, "not a valid channel name"),
        ({"secret": "whsec_" + base64.b64encode(b"k" * 24).decode()}, "a slack channel signs nothing"),
        ({"kind": "webhook", "secret": "short"}, "not one of Standard Webhooks"),
        ({"kind": "email"}, "not the address of a mail server"),
    ],
)
def test_channels_that_cannot_work_are_refused(
    receiver: Receiver, ws: hs.Workspace, arguments: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        ws.notify.add_channel(**{"name": "ops", "kind": "slack", "url": receiver.url, **arguments})
    assert ws.notify.list_channels() == []


PRIVATE = [
    "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://0.0.0.0/", "https://10.0.0.1/",
    "https://192.168.1.1/", "https://172.16.0.1/", "https://169.254.169.254/latest/meta-data", "https://2130706433/",
    "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1]/", "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/", "https://100.64.0.1/",
    "https://224.0.0.1/", "http://93.184.216.34/", "file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/",
    "https://user:pw@93.184.216.34/", "https:///nohost", "//127.0.0.1/", "https://127.0.0.1:99999/", "",
    "${lower}", "https://h/${HOME}/", "${A}${B}",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
@pytest.mark.parametrize("kind", ["slack", "webhook"])
def test_hooks_do_not_reach_inside(ws: hs.Workspace, url: str, kind: str) -> None:
    """Without the setting, no address leads to this machine, its network or another protocol."""
    from homeostat.core.errors import Unavailable

    with pytest.raises((InvalidInput, Unavailable)):
        ws.notify.add_channel("ops", kind=kind, url=url)
    assert ws.notify.list_channels() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254"])
def test_mail_does_not_reach_inside(ws: hs.Workspace, host: str) -> None:
    with pytest.raises(InvalidInput, match="not a public address"):
        ws.notify.add_channel("ops", kind="email", url=f"smtp://{host}:25?from=a@b.c&to=d@e.f")


def test_an_address_that_turned_private_is_refused_when_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was allowed once is judged again by the settings of the process that sends."""
    inside = Receiver()
    try:
        monkeypatch.setenv("HOMEOSTAT_ALLOW_PRIVATE_HOOKS", "1")
        with hs.open(tmp_path / "home") as ws:
            ws.notify.add_channel("ops", kind="slack", url=inside.url)
            decide(ws, "one")
        monkeypatch.delenv("HOMEOSTAT_ALLOW_PRIVATE_HOOKS")
        with hs.open(tmp_path / "home") as ws:
            assert ws.notify.deliver_due() == 0
            assert [d.status for d in ws.notify.list_deliveries()] == ["dead"]
    finally:
        inside.close()
    assert inside.requests == []


def test_killed_between_sending_and_noting_it_is_sent_again_under_the_same_id(
    receiver: Receiver, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with hs.open(home) as ws:
        ws.notify.add_channel("ops", kind="webhook", url=receiver.url)
        decide(ws, "one")
    code = f"import homeostat as hs; hs.open({str(home)!r}).notify.deliver_due()"
    killed = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HOMEOSTAT_FAULT": "notify.sent"}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    with hs.open(home) as ws:
        # The killed process's lease runs out by itself; here it is given back, as if a minute had passed.
        from homeostat.core.leases import table

        ws.db.write(lambda c: c.execute(table.update().values(until_ms=0)))
        assert ws.notify.deliver_due() == 1
    ids = [headers["webhook-id"] for _, headers, _ in receiver.requests]
    assert len(ids) == 2
    assert ids[0] == ids[1]
