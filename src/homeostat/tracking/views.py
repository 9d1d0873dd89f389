"""Views of the runs page under a name: what one person found worth keeping, everybody of the workspace can open."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec
import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.context import current_actor
from homeostat.core.errors import InvalidInput, NotFound, TooLarge
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.tracking import store
from homeostat.tracking.model import RunView

_NAME, _QUERY, _MOST = 120, 4000, 1000


@verb(permission="tracking:write")
def save_view(ws: Workspace, name: str, query: str) -> RunView:
    """Keep a view of the runs page: `query` is what its address has after "?". One of the same name is replaced.

    Raises: InvalidInput for a name of nothing or more than 120 characters, or for a query that is none or has more
    than 4000; TooLarge when 1000 are kept.

    >>> import homeostat as hs, tempfile
    >>> with hs.open(tempfile.mkdtemp()) as ws:
    ...     view = ws.tracking.save_view("good trials", "kind=trial&order=-m:auc")
    ...     [kept.name for kept in ws.tracking.list_views()]
    ['good trials']
    """
    clean = " ".join(name.split())
    if not 1 <= len(clean) <= _NAME or not clean.isprintable():
        raise InvalidInput(f"{name[:80]!r} is no name for a view", hint=f"1 to {_NAME} letters")
    if len(query) > _QUERY or (query and not parse_qsl(query, keep_blank_values=True, max_num_fields=50)):
        raise InvalidInput("this is not the query of an address", hint='what stands after "?", at most 4000 characters')
    made = RunView(name=clean, query=query, owner=current_actor(), updated_ms=now_ms())

    def put(c: sa.Connection) -> None:
        others = sa.select(sa.func.count()).select_from(store.view).where(store.view.c.name != clean)
        if c.execute(others).scalar_one() >= _MOST:
            raise TooLarge(f"{_MOST} views are kept", hint="delete one that nobody opens")
        store.upsert(c, store.view, [msgspec.structs.asdict(made)], ["name"])

    ws.db.write(put)
    return made


@verb(permission="tracking:read")
def list_views(ws: Workspace) -> list[RunView]:
    """The kept views of the runs page, by name."""
    rows = ws.db.read(lambda c: c.execute(sa.select(store.view).order_by(store.view.c.name)).all())
    return [RunView(name=row.name, query=row.query, owner=row.owner, updated_ms=row.updated_ms) for row in rows]


@verb(permission="tracking:write")
def delete_view(ws: Workspace, name: str) -> None:
    """Forget a view. Raises NotFound."""

    def drop(c: sa.Connection) -> None:
        if not c.execute(sa.delete(store.view).where(store.view.c.name == name)).rowcount:
            raise NotFound(f"no view is called {name[:80]!r}", hint="`homeostat tracking list-views` lists them")

    ws.db.write(drop)
