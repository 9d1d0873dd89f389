"""What each service receives: its own form, within its own limits, with nothing that user text could inject."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import InvalidInput
from homeostat.core.events import StoredEvent
from homeostat.core.records import to_json
from homeostat.notify import Fact, Message
from homeostat.notify.channels.email import email_of, mail_server
from homeostat.notify.channels.google_chat import google_chat_payload
from homeostat.notify.channels.slack import slack_payload
from homeostat.notify.channels.teams import teams_payload
from homeostat.notify.channels.webhook import webhook_headers, webhook_payload
from homeostat.notify.messages import message_of

FULL = Message(
    event="decision_made", title="flights: promote 2", text="better by <0.02> & calibrated",
    facts=[Fact(name="AUC", value="0.74")], level="good", link="https://h/loop/flights", at_ms=0,
)  # fmt: skip


def test_slack_gets_blocks() -> None:
    assert slack_payload(FULL) == {
        "text": "✅ flights: promote 2",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "✅ flights: promote 2", "emoji": True}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "better by &lt;0.02&gt; &amp; calibrated"}},
            {"type": "section", "fields": [{"type": "mrkdwn", "text": "*AUC*\n0.74"}]},
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "button",
                        "text": {"type": "plain_text", "text": "Open"},
                        "url": "https://h/loop/flights",
                    }
                ],
            },
        ],
    }


def test_teams_gets_an_adaptive_card() -> None:
    payload = teams_payload(FULL)
    [attachment] = payload["attachments"]
    assert (payload["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][0]["text"] == "flights: promote 2"
    assert card["body"][2] == {"type": "FactSet", "facts": [{"title": "AUC", "value": "0.74"}]}
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": "https://h/loop/flights"}]


def test_google_chat_gets_a_card_v2() -> None:
    payload = google_chat_payload(FULL)
    [entry] = payload["cardsV2"]
    assert payload["text"] == entry["card"]["header"]["title"] == "flights: promote 2"
    [section] = entry["card"]["sections"]
    assert section["widgets"][0] == {"textParagraph": {"text": "better by &lt;0.02&gt; &amp; calibrated"}}
    assert section["widgets"][1] == {"decoratedText": {"topLabel": "AUC", "text": "0.74"}}


def test_a_webhook_is_signed_so_that_the_receiver_can_check() -> None:
    key = b"k" * 32
    body = to_json(webhook_payload(FULL)).encode()
    headers = webhook_headers("msg_1", 1700000000, body, "whsec_" + base64.b64encode(key).decode())
    expected = hmac.new(key, b"msg_1.1700000000." + body, hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1," + base64.b64encode(expected).decode(),
    }
    assert webhook_payload(FULL)["type"] == "decision_made"
    assert webhook_payload(FULL)["data"]["facts"] == [{"name": "AUC", "value": "0.74"}]


def test_a_published_signature_of_the_standard_is_reproduced() -> None:
    """The example in the Standard Webhooks specification's reference libraries."""
    headers = webhook_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["s3cret", "whsec_", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode()])
def test_other_secrets_are_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(InvalidInput, match="not one of Standard Webhooks") as raised:
        webhook_headers("m", 0, b"", secret)
    assert "s3cret" not in str(raised.value)


def test_mail_is_plain_and_its_subject_one_line() -> None:
    server = mail_server("smtp://ann:p%40ss@mail.example:587?from=h@x.org&to=a@x.org&to=b@x.org")
    assert (server.user, server.password, server.port, server.secure) == ("ann", "p@ss", 587, False)
    sneaky = Message(event="e", title="hi\r\nBcc: eve@x.org", text="body", at_ms=0)
    mail = email_of(sneaky, server, "d1")
    assert mail["Subject"] == "hi Bcc: eve@x.org"
    assert "Bcc" not in mail
    assert mail["To"] == "a@x.org, b@x.org"
    assert mail["Message-ID"] == "<d1@homeostat>"


@pytest.mark.parametrize(
    "url",
    [
        "https://x.org", "smtp://host", "smtp://host?from=a@b", "smtp://?from=a@b&to=c@d", "smtp://h?from=a&to=c@d",
        "smtp://h?from=a@b&to=c@d%0aBcc:x@y",
    ],
)  # fmt: skip
def test_other_mail_addresses_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="not the address of a mail server|not a mail address"):
        mail_server(url)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6000) | st.just("&" * 5000)
messages = st.builds(
    Message,
    event=st.just("decision_made"),
    title=texts,
    text=texts,
    facts=st.lists(st.builds(Fact, name=texts, value=texts), max_size=30),
    level=st.sampled_from(["info", "good", "warn", "bad"]),
    link=st.sampled_from(["", "https://h/x"]),
    at_ms=st.just(0),
)


@given(messages)
def test_every_message_stays_within_the_limits(message: Message) -> None:
    slack = slack_payload(message)
    assert len(slack["blocks"]) <= 50
    for block in slack["blocks"]:
        if block["type"] == "header":
            assert 1 <= len(block["text"]["text"]) <= 150 or not message.title
        if "fields" in block:
            assert len(block["fields"]) <= 10
            assert all(len(field["text"]) <= 2000 for field in block["fields"])
        if block["type"] == "section" and "text" in block:
            assert len(block["text"]["text"]) <= 3000
            assert "<" not in block["text"]["text"]
    assert len(to_json(teams_payload(message)).encode()) <= 28 * 1024
    assert len(to_json(google_chat_payload(message)).encode()) <= 100 * 1024


def event(name: str, **payload: object) -> StoredEvent:
    return StoredEvent(id=1, name=name, at_ms=0, actor="local", run_id=None, payload=payload)


def test_events_become_sentences() -> None:
    decided = message_of(
        event(
            "decision_made", id="d", model="delay", kind="roll_back", headline="back to version 3", reason="worse",
            at_ms=1378000000000, champion=3, challenger=4,
        ),
        base="https://h/",
    )  # fmt: skip
    assert decided is not None
    assert (decided.title, decided.text, decided.level) == ("delay: back to version 3", "worse", "bad")
    assert Fact(name="Challenger", value="version 4") in decided.facts
    assert decided.link == "https://h/loop/delay"
    changed = message_of(
        event("variable_changed", model="delay", variable="auc >= 0.72", was="within", state="at_risk", value=0.7213)
    )
    assert changed is not None
    assert (changed.title, changed.level, changed.link) == ("delay: auc >= 0.72 is at risk", "warn", "")
    failed = message_of(event("check_failed", table="flights", version=4, failed=[f"line {n}" for n in range(12)]))
    assert failed is not None
    assert failed.title == "flights: 12 checks failed"
    assert failed.text.endswith("line 9\n… and 2 more")


def test_waiting_and_other_events_are_not_told() -> None:
    assert message_of(event("decision_made", model="m", kind="wait", headline="all well")) is None
    assert message_of(event("table_written", table="t")) is None
