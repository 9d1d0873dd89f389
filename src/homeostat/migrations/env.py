"""Alembic's entry point. `core/schema.py` hands over the connection, with its transaction open."""

from __future__ import annotations

from alembic import context

from homeostat.core.schema import all_tables, version_table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=all_tables(),
    version_table=version_table.name,
    render_as_batch=True,  # SQLite changes a table by making it anew
    include_object=lambda item, name, kind, *_: not (kind == "table" and name == version_table.name),
)
with context.begin_transaction():
    context.run_migrations()
