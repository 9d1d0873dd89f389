"""Importances, kept beside the version they explain: a version never changes, so they never expire."""

from __future__ import annotations

import sqlalchemy as sa

from homeostat.core.clock import now_ms
from homeostat.core.db import metadata
from homeostat.core.records import from_json, to_json
from homeostat.core.workspace import Workspace
from homeostat.explain.model import FeatureImportance

table = sa.Table(
    "explain_importance",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("computed_ms", sa.BigInteger, nullable=False),
    sa.Column("features", sa.Text, nullable=False),
)


def kept(ws: Workspace, model: str, version: int) -> list[FeatureImportance] | None:
    """The stored importances, or None."""
    where = (table.c.model == model, table.c.version == version)
    text = ws.db.read(lambda c: c.execute(sa.select(table.c.features).where(*where)).scalar_one_or_none())
    return None if text is None else from_json(text, list[FeatureImportance])


def keep(ws: Workspace, model: str, version: int, features: list[FeatureImportance]) -> None:
    """Store importances unless some are there: whoever computes them gets the same."""
    ws.db.write(
        lambda c: c.execute(
            sa.text(
                "insert into explain_importance (model, version, computed_ms, features)"
                " values (:model, :version, :now, :features) on conflict (model, version) do nothing"
            ),
            {"model": model, "version": version, "now": now_ms(), "features": to_json(features)},
        )
    )
