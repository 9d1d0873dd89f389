"""What MLflow's servers have and this one has not: told with the reason, so that nobody looks for a mistake."""

from __future__ import annotations

from homeostat.core.foreign import ForeignError

_NO_JOBS = "this server runs no jobs: evaluate, judge and optimise with `mlflow.genai` at the client"
_THEIR_PAGES = "it is for MLflow's own pages; this server has pages of its own"
_GATEWAY = "calls to language models do not pass this server: call the provider, or serve a model here"
# By how their paths begin after /api/ or /ajax-api/, and why.
_ABSENT: tuple[tuple[str, str], ...] = (
    ("2.0/mlflow/get-trace-artifact", "the spans of a trace are read with it: traces/get"),
    ("2.0/mlflow/gateway-proxy", _GATEWAY),
    ("2.0/mlflow/runs/create-promptlab-run", _GATEWAY),
    ("3.0/mlflow/get-trace-artifact", "the spans of a trace are read with it: traces/get"),
    ("3.0/mlflow/gateway", _GATEWAY),
    ("3.0/mlflow/demo", _THEIR_PAGES),
    ("3.0/mlflow/ui-telemetry", _THEIR_PAGES),
    ("3.0/mlflow/jobs", _NO_JOBS),
    ("3.0/mlflow/genai/evaluate", _NO_JOBS),
    ("3.0/mlflow/issues/invoke", _NO_JOBS),
    ("3.0/mlflow/scorer", _NO_JOBS),
    ("3.0/mlflow/prompt-optimization", "this server runs no jobs: optimise with `mlflow.genai.optimize_prompts`"),
    ("3.0/mlflow/scorers/online", "this server runs no scorers: judge with `mlflow.genai.evaluate`"),
    ("3.0/mlflow/workspaces", "one server is one workspace"),
    ("3.0/mlflow/mcp-servers", "there is no registry of MCP servers here"),
    ("3.0/mlflow/skills", "there is no registry of skills here"),
)
PAGES = ("/graphql", "/ajax-api/graphql")


def absence(path: str) -> ForeignError | None:
    """The refusal of a call that MLflow has and this server has not; None for any other path.

    >>> absence("/api/3.0/mlflow/skills/search").status
    501
    """
    if path in PAGES:
        return _refusal("GraphQL is for MLflow's own pages; this server has pages of its own")
    _, space, rest = path.partition("api/")
    if not space:
        return None
    for start, why in _ABSENT:
        if rest == start or rest.startswith(f"{start}/"):
            return _refusal(why)
    return None


def _refusal(why: str) -> ForeignError:
    return ForeignError("NOT_IMPLEMENTED", f"not supported by Homeostat: {why}", 501)
