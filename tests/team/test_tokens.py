"""Users and tokens: who is recognised, with what permissions, and when no longer."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import sqlalchemy as sa

import homeostat as hs
from homeostat.core.clock import now_ms
from homeostat.core.errors import AlreadyExists, InvalidInput, NotFound, Refused, Unauthenticated
from homeostat.core.verbs import verbs_of
from homeostat.server.access import Actor
from homeostat.team import believed, recent_tokens, recognise
from homeostat.team import tokens as tokens_module
from homeostat.team.store import tokens


def test_a_token_names_its_user_and_what_they_may_do(any_ws: hs.Workspace) -> None:
    team = any_ws.team
    made = team.create_token("ann", role="editor", note="laptop")
    assert made.secret.startswith("hst_")
    assert len(made.secret) == 47
    actor = team.authenticate(made.secret)
    assert (actor.name, actor.role, actor.permissions) == ("ann", "editor", ["*:read", "*:write"])
    [listed] = team.list_tokens()
    assert listed.last_used_ms is not None
    assert (listed.start, listed.note, listed.user) == (made.secret[:8], "laptop", "ann")


def test_the_secret_is_kept_nowhere(any_ws: hs.Workspace) -> None:
    made = any_ws.team.create_token("ann")
    [row] = any_ws.db.read(lambda c: c.execute(sa.select(tokens)).all())
    assert made.secret not in str(row)
    assert row.hash == hashlib.sha256(made.secret.encode()).hexdigest()


@pytest.mark.parametrize("token", ["", "hst_", "hst_nobody", "Bearer x", "hst_" + "x" * 500, "hst_\ud800", "' or 1=1"])
def test_other_tokens_are_nobody(ws: hs.Workspace, token: str) -> None:
    ws.team.create_token("ann", role="admin")
    with pytest.raises(Unauthenticated, match="not known|not a token"):
        ws.team.authenticate(token)


def test_a_token_ends_when_revoked_expired_or_its_user_goes(any_ws: hs.Workspace) -> None:
    team = any_ws.team
    revoked, expired, orphan = (team.create_token(user) for user in ("ann", "bob", "cid"))
    assert team.revoke_token(revoked.token.id).revoked_ms is not None
    assert team.revoke_token(revoked.token.id) == team.list_tokens(user="ann")[0]
    past = sa.update(tokens).where(tokens.c.id == expired.token.id).values(expires_ms=now_ms() - 1)
    any_ws.db.write(lambda c: c.execute(past))
    assert team.remove_user("cid") == 1
    for made, says in ((revoked, "not known"), (expired, "has expired"), (orphan, "not known")):
        with pytest.raises(Unauthenticated, match=says):
            team.authenticate(made.secret)
    assert not team.has_tokens()
    team.create_token("ann", expires_in_s=None)
    assert team.has_tokens()


def test_a_token_is_believed_for_a_moment(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until something changes here, it expires, or the moment is over: then it is looked up again."""
    ws, at = any_ws, 1000.0
    monkeypatch.setattr(recent_tokens.time, "monotonic", lambda: at)
    made, other = ws.team.create_token("ann", role="editor"), ws.team.create_token("bob")
    assert believed(ws, made.secret) is None
    assert recognise(ws, made.secret) == believed(ws, made.secret) == ws.team.authenticate(made.secret)
    at += recent_tokens.BELIEVED_S
    assert believed(ws, made.secret) is None
    for change in (
        lambda: ws.team.set_role("ann", "viewer"), lambda: ws.team.revoke_token(other.token.id),
        lambda: ws.team.remove_user("bob"),
    ):  # fmt: skip
        recognise(ws, made.secret)
        change()
        assert believed(ws, made.secret) is None
    assert recognise(ws, made.secret).role == "viewer"
    soon = sa.update(tokens).where(tokens.c.id == made.token.id).values(expires_ms=now_ms() + 500)
    ws.db.write(lambda c: c.execute(soon))
    recognise(ws, made.secret)
    at += recent_tokens.BELIEVED_S / 2
    assert believed(ws, made.secret) is None
    with pytest.raises(Unauthenticated):
        recognise(ws, "hst_nobody")
    assert believed(ws, "hst_nobody") is None


def test_what_changes_while_a_token_is_looked_up_counts(ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ws.team.create_token("ann", role="editor")
    looked = tokens_module._look_up

    def meanwhile(ws: hs.Workspace, token: str) -> Any:
        found = looked(ws, token)
        ws.team.revoke_token(made.token.id)
        return found

    monkeypatch.setattr(tokens_module, "_look_up", meanwhile)
    recognise(ws, made.secret)
    assert believed(ws, made.secret) is None


def test_a_token_never_exceeds_its_user(any_ws: hs.Workspace) -> None:
    team = any_ws.team
    team.add_user("ann", role="editor")
    with pytest.raises(Refused, match="'ann' is editor: a token cannot be admin"):
        team.create_token("ann", role="admin")
    made = team.create_token("ann")
    assert made.token.role == "editor"
    team.set_role("ann", "viewer")
    assert team.authenticate(made.secret).permissions == ["*:read"]


def test_names_and_lifetimes_are_checked(ws: hs.Workspace) -> None:
    ws.team.add_user("ann")
    with pytest.raises(AlreadyExists, match="a user 'ann' already"):
        ws.team.add_user("ann")
    with pytest.raises(InvalidInput, match="not a valid user name"):
        ws.team.add_user("a\nb")
    with pytest.raises(InvalidInput, match="cannot live 0 seconds"):
        ws.team.create_token("ann", expires_in_s=0)
    for call in (lambda: ws.team.set_role("bob", "admin"), lambda: ws.team.remove_user("bob")):
        with pytest.raises(NotFound, match="no user 'bob'"):
            call()
    with pytest.raises(NotFound, match="no token 'x'"):
        ws.team.revoke_token("x")


def test_only_an_admin_manages_the_team(ws: hs.Workspace) -> None:
    """Whatever the slice offers that gives or shows rights is out of reach for an editor."""
    permissions = ws.team.authenticate(ws.team.create_token("ann", role="editor").secret).permissions
    editor = Actor(name="ann", permissions=tuple(permissions))
    allowed = {name for name, verb in verbs_of("team").items() if editor.may(verb.permission)}
    assert allowed == {"list_users", "has_tokens"}
