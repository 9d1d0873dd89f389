"""Models and versions as MLflow writes them."""

from __future__ import annotations

from typing import Any

from homeostat.core.foreign import present
from homeostat.registry.mlmodel_form import address_of
from homeostat.registry.model import Model, ModelVersion


def version_json(version: ModelVersion, listed: bool = False) -> dict[str, Any]:
    """A version; its number is a text. A package of ours lies where MLflow finds it as a model of its own.

    One of those a search lists, or a model names as its newest, is without its aliases, as in MLflow.
    """
    return present(
        {
            "name": version.model,
            "version": str(version.version),
            "creation_timestamp": version.created_ms,
            "last_updated_timestamp": version.updated_ms or version.created_ms,
            "user_id": version.actor if version.actor != "local" else "",
            "current_stage": version.stage,
            "description": version.description,
            "source": version.source or address_of(version.digest),
            "run_id": version.run_id or "",
            "run_link": version.run_link,
            "status": "READY",
            "tags": _pairs(version.tags),
            "aliases": [] if listed else version.aliases,
            "model_id": version.model_id,
        },
        empty=("description", "run_id", "run_link"),
    )


def model_json(model: Model, latest: list[ModelVersion]) -> dict[str, Any]:
    """A model with the newest version of each stage."""
    return present(
        {
            "name": model.name,
            "creation_timestamp": model.created_ms,
            "last_updated_timestamp": model.updated_ms,
            "description": model.description,
            "latest_versions": [version_json(version, listed=True) for version in latest],
            "tags": _pairs(model.tags),
            "aliases": [{"alias": alias, "version": str(number)} for alias, number in model.aliases.items()],
        },
        empty=("description",),
    )


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
