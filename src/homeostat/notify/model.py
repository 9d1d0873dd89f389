"""The records of the notify slice: messages, channels, deliveries."""

from __future__ import annotations

from typing import Literal

from homeostat.core.event import Event
from homeostat.core.records import Record

Kind = Literal["slack", "teams", "google_chat", "webhook", "email"]
# Hooks in MLflow's form are made by its clients and kept beside the channels that people add.
AnyKind = Literal["slack", "teams", "google_chat", "webhook", "email", "mlflow"]
Level = Literal["info", "good", "warn", "bad"]
Status = Literal["waiting", "sent", "dead"]


class Fact(Record):
    """A name and a value, shown side by side."""

    name: str
    value: str


class Message(Record):
    """What is to be said, before any channel's form. `event` is what happened, `at_ms` when; `link` may be empty."""

    event: str
    title: str
    text: str = ""
    facts: list[Fact] = []
    level: Level = "info"
    link: str = ""
    at_ms: int


class Channel(Record):
    """Where messages go. `target` shows only the host: the rest of a webhook's address is a secret.

    `events` names the events that are told here; `models` the models they are told of, empty for all.
    """

    name: str
    kind: AnyKind
    target: str
    events: list[str]
    models: list[str]
    created_ms: int


class Delivery(Record):
    """A message on its way to a channel: waiting (until `due_ms` at the earliest), sent, or dead (given up)."""

    id: str
    channel: str
    event: str
    title: str
    status: Status
    attempts: int
    due_ms: int
    error: str = ""
    created_ms: int
    sent_ms: int | None = None


class NotificationFailed(Event, tag="notification_failed"):
    """A message was given up. `error` is the last answer."""

    channel: str
    delivery: str
    title: str
    error: str
