"""Local receivers, and permission to send to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notify.receivers import MailBox, Receiver


@pytest.fixture
def private_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Request before a workspace, which reads the setting when it is opened."""
    monkeypatch.setenv("HOMEOSTAT_ALLOW_PRIVATE_HOOKS", "1")


@pytest.fixture
def receiver(private_hooks: None) -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def mailbox(private_hooks: None) -> Iterator[MailBox]:
    server = MailBox()
    yield server
    server.close()
