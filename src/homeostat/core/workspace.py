"""A workspace: one homeostat, opened by URL. Every verb takes it; every slice hangs on it as an attribute."""

from __future__ import annotations

import importlib
import inspect
import os
import secrets
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from homeostat.core import engines
from homeostat.core.errors import InvalidInput, Unavailable
from homeostat.core.settings import Settings
from homeostat.core.slices import INBOX, SLICES

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from homeostat.core.blobs import BlobStore
    from homeostat.core.db import Database
    from homeostat.core.leases import Leases


class Face:
    """One slice as seen from a workspace: `ws.data.list_tables()`."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._workspace.bind(self._name, name)

    def __dir__(self) -> list[str]:
        from homeostat.core.verbs import verbs_of

        return sorted(verbs_of(self._name))


class Workspace:
    """One homeostat: a place for metadata (`db`) and a place for bytes (`blobs`).

    `url` is a folder, a `postgresql://…` address, or the `http://…` address of a server; the verbs are the same.
    `home` is a local folder for what must lie on this machine. Open one with `homeostat.open`; close it with `close()`
    or a `with` block.
    """

    def __init__(self, url: str, home: Path, settings: Settings) -> None:
        self.url = url
        self.home = home
        self.settings = settings
        self._making: Callable[[], None] | None = None
        self.instance = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"

    def __getattr__(self, name: str) -> Face:
        if name in SLICES:
            face = Face(self, name)
            self.__dict__[name] = face
            return face
        raise AttributeError(f"a workspace has no '{name}'; its slices are {', '.join(SLICES)}")

    def bind(self, slice_name: str, name: str) -> Any:
        """The verb `slice_name.name` as a function that no longer asks for the workspace."""
        from homeostat.core.verbs import find

        return partial(find(slice_name, name).function, self)

    @cached_property
    def db(self) -> Database:
        """The metadata database, with its tables made or upgraded on first use."""
        from homeostat.core.db import Inbox
        from homeostat.core.schema import prepare, refuse_lost

        url = self.url if "://" in self.url else f"sqlite:///{self.home / 'homeostat.db'}"
        if url != self.url:
            refuse_lost(self.home)
        db: Database = engines.load(engines.DATABASES, url)(url)
        if self._making is not None:
            making, self._making = self._making, None
            making()
        prepare(db)
        db.inbox = Inbox(f"select 1 from {INBOX[0]} order by id limit 1", self._settle)  # noqa: S608 - our own name
        return db

    def begin(self) -> None:
        """Begin to make the tables of an empty database elsewhere, for who has other things to do before it is used.

        What goes wrong is told by the first use of `db`, which waits for them. Raises: MissingExtra.
        """
        scheme = urlsplit(self.url).scheme
        if scheme in engines.MAKERS:
            self._making = engines.load(engines.MAKERS, self.url)(self.url)

    def _settle(self, connection: sa.Connection) -> None:
        module, _, name = INBOX[1].partition(":")
        getattr(importlib.import_module(module), name)(self, connection)

    @cached_property
    def blobs(self) -> BlobStore:
        """The store of content-addressed bytes."""
        if "://" not in self.url:
            _ = self.db  # made before the first bytes are: so bytes without a database mean that it was lost
        url = self.settings.bytes or (self.home / "blobs").as_uri()
        return engines.load(engines.BLOBS, url)(url, self.home)

    @cached_property
    def leases(self) -> Leases:
        """Durable leases on pieces of work."""
        from homeostat.core.leases import Leases

        return Leases(self.db)

    def close(self) -> None:
        """Finish what was asked for and let go of files and connections."""
        if self._making is not None:
            self._making()
        if "db" in self.__dict__:
            self.db.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Workspace({self.url!r})"


class RemoteWorkspace(Workspace):
    """A workspace behind a server: every verb is a request."""

    def bind(self, slice_name: str, name: str) -> Any:
        from homeostat.core.remote import call
        from homeostat.core.verbs import find

        verb = find(slice_name, name)
        signature = inspect.signature(verb.function)

        def request(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(self, *args, **kwargs).arguments
            given = {**given, **kwargs}  # those that `**options` takes stand by themselves
            known = {p.name for p in verb.parameters}
            if stray := {name: value for name, value in kwargs.items() if name not in known}:
                verb.arguments(stray)  # says which there is not, and what was meant
            return call(
                self.url, verb, {p.name: given[p.name] for p in verb.parameters if p.name in given}, self.settings.token
            )

        request.__name__, request.__doc__ = verb.name, verb.description
        return request

    @property
    def db(self) -> Database:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise Unavailable(f"{self.url} is a server: its database is not at hand here", hint="use the verbs")


def _scheme(target: str) -> str:
    try:
        parts = urlsplit(target)
        if parts.scheme in ("http", "https") and not (parts.hostname and parts.port != 0):
            raise ValueError("no host is named")
    except ValueError as error:
        raise InvalidInput(f"{target!r} is not an address: {error}", hint="such as http://127.0.0.1:5000") from error
    return parts.scheme


def open(url: str | os.PathLike[str] | None = None) -> Workspace:
    """The workspace at `url`: a folder (made when missing), `postgresql://…`, or `http://host:5000`.

    None opens the folder that `HOMEOSTAT_HOME` names, `./.homeostat` by default.

    Raises: InvalidInput for a URL of another kind or a home that is a file; Unavailable when the folder cannot be made.
    """
    settings = Settings()
    target = os.fspath(url) if url is not None else settings.home
    scheme = _scheme(target) if "://" in target else ""
    if scheme in ("http", "https"):
        return RemoteWorkspace(target.rstrip("/"), Path(settings.home), settings)
    if scheme and scheme not in engines.DATABASES:
        raise InvalidInput(
            f"a workspace cannot be opened at {target!r}",
            hint="name a folder, postgresql://…, or http://host:5000",
        )
    home = Path(settings.home if scheme else target).expanduser().absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InvalidInput(f"{target} is a file, not a folder", hint="name a folder for the workspace") from None
    except OSError as error:
        raise Unavailable(
            f"the folder {target} cannot be made: {error.strerror}", hint="choose another home"
        ) from error
    return Workspace(target if scheme else str(home), home, settings)
