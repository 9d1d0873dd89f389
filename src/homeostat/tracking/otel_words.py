"""What libraries that know nothing of MLflow say of their spans, in MLflow's words too.

OpenTelemetry's conventions for language models, OpenInference's and Traceloop's name the same things differently: the
kind of a span, what went in and came out, tokens, model, provider. A span keeps what it said, and gets MLflow's words
for those it has not.
"""

from __future__ import annotations

import json
from typing import Any, cast

from homeostat.tracking.otlp import attributes

_KINDS = {
    "chat": "CHAT_MODEL", "create_agent": "AGENT", "embeddings": "EMBEDDING", "execute_tool": "TOOL",
    "generate_content": "LLM", "invoke_agent": "AGENT", "text_completion": "LLM", "response": "LLM",
}  # fmt: skip
_OTHER_KINDS = (
    "TOOL", "CHAIN", "LLM", "RETRIEVER", "EMBEDDING", "AGENT", "RERANKER", "GUARDRAIL", "EVALUATOR", "WORKFLOW", "TASK",
)  # fmt: skip
_IN = ("input.value", "gen_ai.input.messages", "gen_ai.tool.call.arguments", "traceloop.entity.input",
       "gen_ai.prompt.0.content")  # fmt: skip
_OUT = ("output.value", "gen_ai.output.messages", "gen_ai.tool.call.result", "traceloop.entity.output",
        "gen_ai.completion.0.content")  # fmt: skip
_TOKENS = {
    "input_tokens": ("gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "llm.token_count.completion", "gen_ai.usage.completion_tokens"),
    "total_tokens": ("llm.token_count.total", "llm.usage.total_tokens"),
    "cache_read_input_tokens": ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read"),
    "cache_creation_input_tokens": (
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
}  # fmt: skip
_MODELS = ("gen_ai.response.model", "gen_ai.request.model", "llm.response.model_name", "llm.model_name",
           "llm.request.model_name", "embedding.model_name")  # fmt: skip
_PROVIDERS = ("gen_ai.provider.name", "llm.provider", "gen_ai.system")
_SAYS = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant"}


def plain(value: Any) -> Any:
    """A value of a span's attribute: clients of MLflow write each as JSON text.

    >>> plain('"LLM"'), plain("{"), plain(3)
    ('LLM', '{', 3)
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def with_words(span: dict[str, Any]) -> dict[str, Any]:
    """A span with MLflow's words for what it says in others; the first of a trace names the service it came from."""
    told = attributes(span)
    service = str(span.get("resource", {}).get("service.name", "unknown_service"))
    foreign = not span.get("parent_span_id") and not {"service.name", "mlflow.traceRequestId"} & told.keys()
    if foreign and not service.startswith("unknown_service"):
        told["service.name"] = service
        named = {"key": "service.name", "value": {"string_value": service}}
        span = {**span, "attributes": [*span.get("attributes", []), named]}
    if not any(name.startswith(("gen_ai.", "llm.", "openinference.", "traceloop.", "input.", "output.", "embedding."))
               for name in told):  # fmt: skip
        return span
    new = {
        "mlflow.spanType": _kind(told), "mlflow.chat.tokenUsage": _tokens(told),
        "mlflow.llm.model": _first(told, _MODELS), "mlflow.llm.provider": _first(told, _PROVIDERS),
        "mlflow.spanInputs": _first(told, _IN) or _messages(span, _SAYS),
        "mlflow.spanOutputs": _first(told, _OUT) or _messages(span, {"gen_ai.choice": "assistant"}),
    }  # fmt: skip
    added = [{"key": name, "value": _any(value)} for name, value in new.items()
             if value is not None and name not in told]  # fmt: skip
    return {**span, "attributes": [*span.get("attributes", []), *added]} if added else span


def _any(value: Any) -> dict[str, Any]:
    """A value as protobuf's JSON has it, like the other attributes."""
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        return {"kvlist_value": {"values": [{"key": name, "value": _any(one)} for name, one in found.items()]}}
    if isinstance(value, list):
        return {"array_value": {"values": [_any(one) for one in cast("list[Any]", value)]}}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {"int_value": value}
    return {"double_value": value} if isinstance(value, float) else {"string_value": str(value)}


def _kind(told: dict[str, Any]) -> str | None:
    if (found := _KINDS.get(str(plain(told.get("gen_ai.operation.name"))))) is not None:
        return found
    other = str(_first(told, ("openinference.span.kind", "traceloop.span.kind"))).upper()
    return other if other in _OTHER_KINDS else None


def _tokens(told: dict[str, Any]) -> dict[str, int] | None:
    found = {name: value for name, keys in _TOKENS.items() if isinstance(value := _first(told, keys), int)}
    if "input_tokens" not in found or "output_tokens" not in found:
        return None
    return {"total_tokens": found["input_tokens"] + found["output_tokens"], **found}


def _first(told: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((plain(told[name]) for name in names if told.get(name) not in (None, "")), None)


def _messages(span: dict[str, Any], roles: dict[str, str]) -> list[dict[str, Any]] | None:
    found: list[dict[str, Any]] = []
    for event in span.get("events", []):
        told = attributes(event)
        if event.get("name") in roles and told.get("content"):
            role = plain(told.get("role")) or roles[event["name"]]
            found.append({"role": role, "content": plain(told["content"])})
    return found or None
