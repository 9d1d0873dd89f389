"""What holds of all the runs of a search, beside its query: their lifecycle, and the filters that have names."""

from __future__ import annotations

from typing import Any, NamedTuple

from homeostat.tracking.query.sql import Sql, Writer


class Base(NamedTuple):
    """The filters; None asks nothing."""

    lifecycle: str = "active"
    experiment: str | None = None
    kind: str | None = None
    parent_id: str | None = None
    status: str | None = None

    def on_runs(self, postgres: bool, *, counted: bool = False) -> Sql:
        """A condition on `r`.

        Unless the runs are `counted`, it is so written that SQLite looks for them by their order, or by what else is
        asked, rather than by what most of them share.
        """
        alone = "" if counted or postgres else "+"
        return self._held("r", alone)

    def on(self, writer: Writer) -> Sql:
        """The same as a condition on the number of the run, for a search that does not begin with runs."""
        if self == Base():  # few are deleted, and soon found
            rest = "select b.seq from tracking_run b where b.lifecycle < ? or b.lifecycle > ?"
            return f"{writer.seq} not in ({rest})", [self.lifecycle, self.lifecycle]
        sql, bound = self._held("b", "")
        if writer.few:  # so written that PostgreSQL does not join all runs
            return f"(select 1 from tracking_run b where b.seq = {writer.seq} and {sql}) = 1", bound  # noqa: S608 - names of this package
        return f"{writer.alone(writer.seq)} in (select b.seq from tracking_run b where {sql})", bound  # noqa: S608 - names of this package

    def _held(self, run: str, alone: str) -> Sql:
        wanted = {
            f"{alone}{run}.lifecycle": self.lifecycle, f"{alone}{run}.kind": self.kind,
            f"{run}.parent_id": self.parent_id, f"{alone}{run}.status": self.status,
        }  # fmt: skip
        asked = {column: value for column, value in wanted.items() if value is not None}
        parts, bound = [f"{column} = ?" for column in asked], list[Any](asked.values())
        if self.experiment is not None:
            parts.append(f"{run}.experiment_id = (select e.id from tracking_experiment e where e.name = ?)")  # noqa: S608 - names of this package
            bound.append(self.experiment)
        return " and ".join(parts), bound
