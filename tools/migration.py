"""Writes the next migration from the difference between the newest one and the slices' tables.

`python tools/migration.py "what changes"`, then read what was written and correct it: Alembic sees columns and tables,
not what rows mean. Set VERSION in src/homeostat/core/making.py to the new number,
and run `python tools/schema.py`.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from homeostat.core.schema import migrations
from homeostat.engines.sqlite import open_sqlite


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    what = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        database = open_sqlite(f"sqlite:///{folder}/empty.db")
        with database.writer.begin() as connection:
            config = migrations(connection)
            head = ScriptDirectory.from_config(config).get_current_head()
            if head is not None:
                command.upgrade(config, "head")
            number = f"{int(head or '0') + 1:04d}"
            slug = re.sub(r"\W+", "_", what.lower()).strip("_")
            config.set_main_option("file_template", f"{number}_{slug}")
            made = command.revision(config, what, autogenerate=True, rev_id=number)
        database.close()
    print(Path(getattr(made, "path", "")).name)


if __name__ == "__main__":
    main()
