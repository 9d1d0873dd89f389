"""Writes the statements that make a new database, src/homeostat/migrations/*.sql, from the slices' tables.

`python tools/schema.py` after a change of tables (`tools/migration.py` does it as well); a test holds them together.
"""

from __future__ import annotations

from homeostat.core.making import script_file
from homeostat.core.schema import script


def main() -> None:
    for dialect in ("sqlite", "postgresql"):
        script_file(dialect).write_text(script(dialect), "utf-8")


if __name__ == "__main__":
    main()
