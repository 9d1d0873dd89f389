"""Views and sets that a workspace knows by name: registered, listed, looked up. Equal declarations are one version."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.blobs import digest_of
from homeostat.core.clock import now_ms
from homeostat.core.lineage_facts import record_write
from homeostat.core.paths import check_name
from homeostat.core.records import canonical_json
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.features import store
from homeostat.features.model import FeatureSet, FeatureView, Registered, checked


@verb(permission="features:write")
def register_view(ws: Workspace, view: FeatureView) -> Registered:
    """Keep a view under its name; a declaration equal to the newest version is that version.

    Raises: InvalidInput when it cannot be meant: a feature given twice, a length of time that is none, no known-at.
    """
    return _register(ws, view)


@verb(permission="features:write")
def register_set(ws: Workspace, features: FeatureSet) -> Registered:
    """Keep a set, with the views as they stand in it, under its name; equal to the newest version, it is that version.

    Raises: InvalidInput as for a view.
    """
    return _register(ws, features)


@verb(permission="features:read")
def get_view(ws: Workspace, name: str, version: int | None = None) -> Registered:
    """A registered view: the newest version, or an older one by number. NotFound when there is none."""
    return ws.db.read(lambda c: store.one(c, "view", name, version))


@verb(permission="features:read")
def get_set(ws: Workspace, name: str, version: int | None = None) -> Registered:
    """A registered set: the newest version, or an older one by number. NotFound when there is none."""
    return ws.db.read(lambda c: store.one(c, "set", name, version))


@verb(permission="features:read")
def list_views(ws: Workspace) -> list[Registered]:
    """The newest version of every registered view, by name."""
    return ws.db.read(lambda c: store.newest_of_all(c, "view"))


@verb(permission="features:read")
def list_sets(ws: Workspace) -> list[Registered]:
    """The newest version of every registered set, by name."""
    return ws.db.read(lambda c: store.newest_of_all(c, "set"))


def _register(ws: Workspace, declared: FeatureView | FeatureSet) -> Registered:
    check_name(declared.name, "feature set" if isinstance(declared, FeatureSet) else "feature view")
    checked(declared)
    kind = "set" if isinstance(declared, FeatureSet) else "view"
    digest = digest_of(canonical_json(declared).encode())

    def keep(c: sa.Connection) -> Registered:
        last = store.newest(c, kind, declared.name)
        if last is not None and last.digest == digest:
            return last
        made = Registered(
            kind=kind,
            name=declared.name,
            version=last.version + 1 if last else 1,
            digest=digest,
            columns=declared.columns,
            created_ms=now_ms(),
            view=declared if isinstance(declared, FeatureView) else None,
            set=declared if isinstance(declared, FeatureSet) else None,
        )
        store.add(c, made)
        if kind == "set":
            record_write(ws, "features", made.name, made.version, c)
        return made

    return ws.db.write(keep)
