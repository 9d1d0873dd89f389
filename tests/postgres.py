"""A throw-away PostgreSQL for the tests: started on first use, stopped at the end, one database a test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from tests.ports import free_port


def find_programs() -> Path | None:
    """The folder with initdb and postgres, or None where PostgreSQL is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


class Cluster:
    """A running PostgreSQL on a loopback port. `durable`: what is committed is on disk, as it is by default."""

    def __init__(self, programs: Path, durable: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="homeostat-postgres-"))
        # initdb and postgres refuse root.
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        if self._user:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        data = self._folder / "data"
        self._run(programs / "initdb", "-D", data, "-U", "homeostat", "-A", "trust", "--no-sync", "-E", "UTF8")
        self._port = free_port()
        self._log = open(self._folder / "log", "wb")  # noqa: SIM115 - open as long as the server runs
        self._process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(self._port), "-h", "127.0.0.1", "-k", self._folder,
             "-c", f"fsync={'on' if durable else 'off'}", "-c", "max_connections=200"],
            stdout=self._log, stderr=self._log, **self._as_user(),
        )  # fmt: skip
        self._count = 0
        self._admin = sa.create_engine(self.url("postgres", "postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        self._wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def url(self, database: str, scheme: str = "postgresql") -> str:
        return f"{scheme}://homeostat@127.0.0.1:{self._port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """The URL of a fresh database: an empty one, or a copy of one that nobody is connected to."""
        self._count += 1
        name = f"test{self._count}"
        with self._admin.connect() as connection:
            connection.execute(sa.text(f"create database {name} template {template}"))
        return self.url(name)

    def stop(self) -> None:
        self._admin.dispose()
        # At once: a polite end would wait for every connection that a test has left open, and nothing here is kept.
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(300)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _as_user(self) -> dict[str, int]:
        return {"user": self._user.pw_uid, "group": self._user.pw_gid} if self._user else {}

    def _run(self, *command: object) -> None:
        subprocess.run(
            [str(part) for part in command], check=True, capture_output=True, cwd=self._folder, **self._as_user()
        )

    def _wait(self) -> None:
        for _ in range(200):
            try:
                with self._admin.connect():
                    return
            except OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError((self._folder / "log").read_text())
