"""Our server against MLflow's: the same calls of MLflow's protocol, the same load, interleaved rounds.

    python -m bench.tracking.against_mlflow --peers FOLDER [--database sqlite|postgresql] [--rows metric-1,batch]
        [--rounds 3] [--seconds 2] [--quick] [--markdown FILE]

FOLDER/mlflow is a virtual environment with the newest MLflow, and psycopg2-binary for PostgreSQL:

    python -m venv FOLDER/mlflow && FOLDER/mlflow/bin/pip install mlflow psycopg2-binary

MLflow stands in two forms: one worker without its job processes, which answers a single client soonest, and as it is
started by default. A cell is the median of its rounds; CPU is that of the server's whole process tree (and of
PostgreSQL where it is the database) for one operation. All servers run at once and idle while another is asked.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.tracking.rows import BARE, ROWS, Found
from bench.tracking.servers import Kind, Server, bare, mlflow, ours, settle, started
from bench.tracking.table import Cells, markdown, show

ONE, DEFAULT = "MLflow, 1 worker, no jobs", "MLflow, default"


def kinds(environment: Path, database: str) -> list[Kind]:
    """Ours first."""
    found = [
        ours(),
        mlflow(environment, ONE, "--workers", "1", jobs=False),
        mlflow(environment, DEFAULT, jobs=True),
    ]
    return [*found, bare()] if database == "sqlite" else found


def measure(servers: list[Server], rows: list[str], rounds: int, seconds: float) -> dict[tuple[str, str], list[Found]]:
    """Every row asked of every server that it concerns, round by round."""
    found: dict[tuple[str, str], list[Found]] = {}
    for _ in range(rounds):
        for row in rows:
            for server in servers:
                if server.name != BARE or ROWS[row].limit == BARE:
                    found.setdefault((row, server.name), []).append(ROWS[row].ask(server, seconds))
                    sys.stderr.write(".")
                    sys.stderr.flush()
    sys.stderr.write("\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rows", default=",".join(ROWS), help="those to measure, of " + ", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each cell that has a rate")
    parser.add_argument("--quick", action="store_true", help="one short round, and MLflow in its faster form only")
    parser.add_argument("--markdown", type=Path, help="where to write the table as well")
    args = parser.parse_args()
    environment = args.peers.resolve() / "mlflow"
    rows = args.rows.split(",")
    if not (environment / "bin" / "mlflow").exists():
        sys.stdout.write(f"MLflow is not measured: it is not installed in {environment}\n")
        return 0
    if unknown := set(rows) - set(ROWS):
        parser.error(f"there are no rows {', '.join(sorted(unknown))}")
    chosen = [kind for kind in kinds(environment, args.database) if not args.quick or kind.name != DEFAULT]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = [
            stack.enter_context(started(kind, Path(folder) / f"server-{number}", ""))
            for number, kind in enumerate(chosen)
        ]
        for server in servers:
            settle(server)
        found = measure(servers, rows, 1 if args.quick else args.rounds, 1.0 if args.quick else args.seconds)
    cells: Cells = {
        key: {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        for key, rounds in found.items()
    }
    show(cells)
    if args.markdown:
        args.markdown.write_text(markdown(cells), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
