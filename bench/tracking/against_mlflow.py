"""Our server against MLflow's: the same calls of MLflow's protocol, the same load, interleaved rounds.

    python -m bench.tracking.against_mlflow --peers FOLDER [--database sqlite|postgresql] [--rows metric-1,batch]
        [--rounds 3] [--seconds 2] [--quick] [--markdown FILE]

FOLDER/mlflow is a virtual environment with the newest MLflow, and psycopg2-binary for PostgreSQL:

    python -m venv FOLDER/mlflow && FOLDER/mlflow/bin/pip install mlflow psycopg2-binary

MLflow stands in two forms: one worker without its job processes, which answers a single client soonest, and as it is
started by default. A cell is the median of its rounds; CPU is that of the server's whole process tree (and of
PostgreSQL where it is the database) for one operation. All servers run at once and idle while another is asked.
A PostgreSQL is started for it, with its default settings, where one is installed.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tracking.artifacts import disk
from bench.tracking.rows import AT_START, DISK, ROWS, Found
from bench.tracking.servers import BARE, DEFAULT, ONE, Kind, Server, bare, mlflow, ours, settle, started
from bench.tracking.table import Cells, markdown, show

if TYPE_CHECKING:
    from tests.postgres import Cluster


class Comparison:
    """The servers, where they lie, and what was found."""

    def __init__(self, kinds: list[Kind], rows: list[str], folder: Path, seconds: float, postgresql: bool) -> None:
        self.found: dict[tuple[str, str], list[Found]] = {}
        self._kinds, self._rows, self._folder, self._seconds = kinds, rows, folder, seconds
        self._stack = ExitStack()
        self._cluster = _cluster() if postgresql else None
        if self._cluster is not None:
            self._stack.callback(self._cluster.stop)
        self._servers: list[Server] = []
        self._count = 0

    def round(self) -> None:
        """Every row once, of every server that it concerns. The first round starts the servers that stay."""
        lasting = [row for row in self._rows if row not in AT_START]
        for kind in self._kinds:
            if lasting and len(self._servers) < len(self._kinds):
                server = self._stack.enter_context(self._start(kind))
                self._servers.append(server)
                self._look_at(server)
            elif len(lasting) < len(self._rows) and kind.name != BARE:
                with self._start(kind) as server:
                    self._look_at(server)
        for row in lasting:
            for server in self._servers:
                if server.name != BARE or ROWS[row].limit == BARE:
                    self._keep(row, server.name, ROWS[row].ask(server, self._seconds))
            if ROWS[row].limit == DISK:
                self._keep(row, DISK, disk("up" if row == "upload" else "down", self._folder))

    def close(self) -> None:
        """End every server."""
        self._stack.close()

    @contextmanager
    def _start(self, kind: Kind) -> Iterator[Server]:
        self._count += 1
        database, cluster = "", 0
        if self._cluster is not None:
            database, cluster = self._cluster.new_database(), self._cluster.pid
        with started(kind, self._folder / f"server-{self._count}", database, cluster) as server:
            settle(server)
            yield server

    def _look_at(self, server: Server) -> None:
        for row in AT_START:
            if row in self._rows and server.name != BARE:
                self._keep(row, server.name, ROWS[row].ask(server, 0))

    def _keep(self, row: str, server: str, found: Found) -> None:
        self.found.setdefault((row, server), []).append(found)
        sys.stderr.write(".")
        sys.stderr.flush()

    def cells(self) -> Cells:
        """The medians."""
        return {
            key: {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
            for key, rounds in sorted(self.found.items(), key=lambda entry: self._rows.index(entry[0][0]))
        }


def _cluster() -> Cluster:
    from tests.postgres import Cluster, find_programs

    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed here")
    return Cluster(programs, durable=True)


def end_when_told() -> None:
    """Let SIGTERM, as `timeout` sends it, end this as Ctrl-C does: with every server that was started."""

    def end(number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the servers are being ended
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rows", default=",".join(ROWS), help="those to measure, of " + ", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each cell that has a rate")
    parser.add_argument("--quick", action="store_true", help="one short round, and MLflow in its faster form only")
    parser.add_argument("--markdown", type=Path, help="where to write the table as well")
    return parser


def main() -> int:
    parser = arguments()
    args = parser.parse_args()
    environment = args.peers.resolve() / "mlflow"
    if not (environment / "bin" / "mlflow").exists():
        sys.stdout.write(f"MLflow is not measured: it is not installed in {environment}\n")
        return 0
    rows = args.rows.split(",")
    if unknown := set(rows) - set(ROWS):
        parser.error(f"there are no rows {', '.join(sorted(unknown))}")
    kinds = [ours(), mlflow(environment, ONE, "--workers", "1", jobs=False)]
    if not args.quick:
        kinds.append(mlflow(environment, DEFAULT, jobs=True))
    if args.database == "sqlite" and any(ROWS[row].limit == BARE for row in rows):
        kinds.append(bare())
    end_when_told()
    with tempfile.TemporaryDirectory() as folder:
        seconds, rounds = (1.0, 1) if args.quick else (args.seconds, args.rounds)
        comparison = Comparison(kinds, rows, Path(folder), seconds, args.database == "postgresql")
        try:
            for _ in range(rounds):
                comparison.round()
        finally:
            comparison.close()
    sys.stderr.write("\n")
    show(comparison.cells())
    if args.markdown:
        args.markdown.write_text(markdown(comparison.cells()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
