"""Views of the runs page, kept under a name for everybody."""

from __future__ import annotations

import pytest

from homeostat.core.context import acting_as
from homeostat.core.errors import InvalidInput, NotFound, TooLarge
from homeostat.core.workspace import Workspace
from homeostat.tracking import views


def test_a_view_is_kept_replaced_and_forgotten(any_ws: Workspace):
    tracking = any_ws.tracking
    with acting_as("ann"):
        tracking.save_view("  good   trials ", "kind=trial")
        tracking.save_view("all", "")
    with acting_as("bob"):
        tracking.save_view("good trials", "kind=trial&q=auc%3E0.7")
    assert [(view.name, view.query, view.owner) for view in tracking.list_views()] == [
        ("all", "", "ann"), ("good trials", "kind=trial&q=auc%3E0.7", "bob"),
    ]  # fmt: skip
    tracking.delete_view("all")
    with pytest.raises(NotFound, match="all"):
        tracking.delete_view("all")
    assert [view.name for view in tracking.list_views()] == ["good trials"]


@pytest.mark.parametrize(
    ("name", "query"),
    [("", "a=1"), (" ", "a=1"), ("x" * 121, "a=1"), ("a\x07b", "a=1"), ("a", "x" * 4001), ("a", "&&")],
)
def test_what_is_no_view_is_refused(ws: Workspace, name: str, query: str):
    with pytest.raises(InvalidInput):
        ws.tracking.save_view(name, query)


def test_views_have_an_end(ws: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(views, "_MOST", 2)
    for name in ("a", "b", "a"):
        ws.tracking.save_view(name, "")
    with pytest.raises(TooLarge):
        ws.tracking.save_view("c", "")
