"""What a scorer that a client hands in may hold: JSON, a model that has a name, nothing that is run as source, and
nothing that leads whoever loads it to a server of somebody's choice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from homeostat.core.foreign import invalid

# With these a client of language models is sent elsewhere.
_DESTINATIONS = frozenset({"api_base", "base_url", "model_list", "fallbacks", "custom_llm_provider"})
# Where a scorer names the model that judges.
_JUDGES = ("instructions_judge_pydantic_data", "builtin_scorer_pydantic_data", "third_party_scorer_data")


def check_scorer(body: str) -> None:
    """Whether a scorer as MLflow's client serializes it may be kept. Raises: ForeignError (400) with the reason."""
    try:
        told = json.loads(body)
        if not isinstance(told, dict):
            raise ValueError
        parts = list(_maps(told))
    except (ValueError, RecursionError):
        raise invalid("serialized_scorer must be valid JSON") from None
    for part in parts:
        if "call_source" in part:
            _refuse_source(part)
        foreign = part.get("third_party_scorer_data")
        if isinstance(foreign, dict):
            _check_options(cast("dict[str, Any]", foreign).get("kwargs"))
    model = _model(cast("dict[str, Any]", told))
    if model is not None and not isinstance(model, str):
        raise invalid(f"Scorer model must be a string, got {type(model).__name__}.")
    if model is not None and not model.strip():
        raise invalid("Scorer model cannot be empty or contain only whitespace.")


def _maps(told: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside `told`, itself included."""
    if isinstance(told, dict):
        inside = cast("dict[str, Any]", told)
        yield inside
        for value in inside.values():
            yield from _maps(value)
    elif isinstance(told, list):
        for value in cast("list[Any]", told):
            yield from _maps(value)


def _refuse_source(scorer: dict[str, Any]) -> None:
    source = scorer["call_source"]
    if isinstance(source, str) and not source.strip():
        name = scorer.get("name") or scorer.get("original_func_name") or "<unnamed>"
        raise invalid(f"Scorer '{name}' has no source code: the body of its function is empty or could not be read.")
    if source:
        # A function's source, to be run wherever the scorer is loaded: a server that gives it out invites that.
        raise invalid(
            "Custom scorer registration (using @scorer decorator) is disabled: a function's source would be run"
            " wherever the scorer is loaded. Keep it in a repository and import it."
        )


def _check_options(options: Any) -> None:
    if options is not None and not isinstance(options, dict):
        raise invalid(f"third_party_scorer_data.kwargs must be a JSON object, got {type(options).__name__}.")
    found = sorted(set(_keys(options)) & _DESTINATIONS)
    if found:
        raise invalid(
            f"third_party_scorer_data.kwargs must not contain {', '.join(map(repr, found))}: these options choose where"
            " the scorer's LLM client sends requests. Set them where the scorer is run, for example by the provider's"
            " environment variables."
        )


def _keys(told: Any) -> Iterator[str]:
    """Every key inside `told`, also of pairs, of which a map can be made."""
    if isinstance(told, dict):
        for key, value in cast("dict[str, Any]", told).items():
            yield key
            yield from _keys(value)
    elif isinstance(told, list):
        listed = cast("list[Any]", told)
        if len(listed) == 2 and isinstance(listed[0], str):
            yield listed[0]
        for value in listed:
            yield from _keys(value)


def _model(scorer: dict[str, Any]) -> Any:
    for place in _JUDGES:
        data = scorer.get(place)
        if isinstance(data, dict) and data:
            return cast("dict[str, Any]", data).get("model")
    outer = scorer.get("memory_augmented_judge_data")
    base = cast("dict[str, Any]", outer).get("base_judge") if isinstance(outer, dict) else None
    return _model(cast("dict[str, Any]", base)) if isinstance(base, dict) else None
