"""MLflow's search of runs."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.foreign import Args, invalid, rpc
from homeostat.core.foreign_search import parse_filter, parse_order
from homeostat.core.workspace import Workspace
from homeostat.tracking.mlflow.asked import Search
from homeostat.tracking.mlflow.kept import documents_ahead
from homeostat.tracking.mlflow.narrowing import asks_several
from homeostat.tracking.mlflow.ordered import ordered_by_metric
from homeostat.tracking.mlflow.search_sql import RUNS, find
from homeostat.tracking.mlflow.wording import experiment_id_of, view_of
from homeostat.tracking.query.remembered import Columns

_PAGE, _LARGEST, _EXPERIMENTS, _ORDERS = 1000, 50_000, 10_000, 20


@rpc("POST", "2.0/mlflow/runs/search", permission="tracking:read")
def search(ws: Workspace, args: Args) -> bytes:
    """Runs that pass a filter, in an order, page by page."""
    limit = args.integer("max_results", default=_PAGE)
    if limit > _LARGEST:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be at most {_LARGEST}")
    if limit < 1:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer")
    given = args.texts("order_by")
    order = [parse_order(clause, RUNS) for clause in given]
    if len(order) > _ORDERS or len({entry[:2] for entry in order}) < len(order):
        raise invalid(f"`order_by` contains duplicate fields: {given[:_ORDERS]}")
    experiments = sorted({experiment_id_of(each) for each in args.texts("experiment_ids")})
    if len(experiments) > _EXPERIMENTS:
        raise invalid(f"{len(experiments)} experiment_ids in one search; {_EXPERIMENTS} is the most")
    wanted = Search(
        experiments=experiments,
        stages=view_of(args, "run_view_type"),
        tree=parse_filter(args.text("filter"), RUNS),
        order=order,
        limit=limit,
        after=args.text("page_token"),
    )

    def read(c: sa.Connection) -> tuple[list[bytes], str | None]:
        documents = documents_ahead(ws, c)
        # To see what changed since it was remembered costs an exchange: where nothing would be asked of it, it is not.
        uses = c.dialect.name == "postgresql" and (asks_several(wanted.tree) or ordered_by_metric(wanted))
        columns = Columns.of(ws, c) if uses else None
        seqs, after = find(c, wanted, columns)
        return (documents(seqs) if seqs else []), after

    found, after = ws.db.read(read)
    if not found:
        return b"{}"
    # Put together in one go: there may be many megabytes.
    found[0] = b'{"runs":[' + found[0]
    found[-1] += b'],"next_page_token":"' + after.encode() + b'"}' if after else b"]}"
    return b",".join(found)
