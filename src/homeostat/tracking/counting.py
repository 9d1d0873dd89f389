"""PostgreSQL counts its rows anew soon after there came many.

It does so by itself too, within a minute. Until then it expects few rows where there are many, and a search right after
an import takes seconds instead of milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostat.core.statements import rows

if TYPE_CHECKING:
    import sqlalchemy as sa

    from homeostat.core.workspace import Workspace

LOOK_S = 3
# So many rows, and so much of a table, were added, changed or removed since they were counted.
_MANY = 2000
_GROWN = (
    "select cast(cast(relid as regclass) as text) from pg_stat_user_tables where relname like 'tracking%'"
    " and n_mod_since_analyze > ? + 0.2 * n_live_tup"
)


class GrownTables:
    """Looks every three seconds, for one server."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._looked = float("-inf")

    def count_due(self, now_s: float) -> int:
        """Have those counted that changed much, beside whoever writes; their number. `now_s`: a clock that only goes
        on. Nothing happens elsewhere than on PostgreSQL."""
        if now_s - self._looked < LOOK_S:
            return 0
        self._looked = now_s
        return self._ws.db.look(_count)


def _count(c: sa.Connection) -> int:
    if c.dialect.name != "postgresql":
        return 0
    grown = [str(name) for (name,) in rows(c, _GROWN, (_MANY,))]
    if grown:
        rows(c, f"analyze {', '.join(grown)}")
    return len(grown)
