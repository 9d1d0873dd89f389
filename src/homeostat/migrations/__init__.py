"""How the database of an older version becomes that of this one: one file a step, run by Alembic in one transaction."""
