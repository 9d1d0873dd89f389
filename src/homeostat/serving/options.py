"""How a deployment is asked: its options, declared once for every verb that sets them."""

from __future__ import annotations

import difflib
from typing import Any, Literal, TypedDict

from homeostat.core.errors import InvalidInput
from homeostat.registry import ModelVersion
from homeostat.serving.model import Deployment

MOST_REPLICAS = 256
_LONGEST = 86_400_000


class Options(TypedDict, total=False):
    """What `deploy`, `deploy_graph` and `configure` take by name; the fields of `Deployment` tell what each is. None is
    the same as not given: it stays as it was."""

    key: str | None
    time: str | None
    sticky: Literal["request", "key"] | None
    max_waiting: int | None
    timeout_ms: int | None
    callers: list[str] | None
    rate_limit: float | None
    log_share: float | None
    redacted: list[str] | None
    min_replicas: int | None
    max_replicas: int | None
    idle_s: float | None


# name: least, most, what it is
_RANGES: dict[str, tuple[float, float, str]] = {
    "max_waiting": (1, _LONGEST, f"a number from 1 to {_LONGEST}"),
    "timeout_ms": (1, _LONGEST, f"a number from 1 to {_LONGEST}"),
    "rate_limit": (0, 1e9, "requests a second, or 0 for no limit"),
    "log_share": (0, 1, "a share of the requests, from 0 to 1"),
    "min_replicas": (0, MOST_REPLICAS, f"a number up to {MOST_REPLICAS}"),
    "max_replicas": (0, MOST_REPLICAS, f"a number up to {MOST_REPLICAS}"),
    "idle_s": (0, 1e9, "seconds without a request; 0 for never"),
}


def checked_options(options: Options, versions: list[ModelVersion]) -> dict[str, Any]:
    """Those that are given, for a model that these versions serve.

    Raises: InvalidInput for one that there is not, that is out of range, or that does not fit the inputs.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in Options.__annotations__:
            near = difflib.get_close_matches(name, Options.__annotations__, 1)
            raise InvalidInput(
                f"there is no option '{name[:80]}'",
                hint=f"did you mean '{near[0]}'?" if near else f"there are {', '.join(Options.__annotations__)}",
            )
        least, most, what = _RANGES.get(name, (0, 0, ""))
        if what and not least <= value <= most:  # NaN is in no range
            raise InvalidInput(f"{name}={value}", hint=what)
    for version in versions:
        _check_names(version, given)
    return given


def _check_names(version: ModelVersion, given: dict[str, Any]) -> None:
    inputs = [field.name for field in version.signature.inputs]
    for what in ("key", "time"):
        if given.get(what) in inputs:
            raise InvalidInput(
                f"'{given[what]}' is an input of model '{version.model}' and cannot be its {what} column too",
                hint=f"name another column with {what}=…, which the prediction log keeps but the model does not see",
            )
    for name in given.get("redacted", []):
        if name not in inputs:
            raise InvalidInput(
                f"model '{version.model}' has no input '{name[:80]}' to redact",
                hint=f"its inputs are {', '.join(inputs[:20])}",
            )


def check_replicas(changed: Deployment) -> None:
    """Raises InvalidInput when nothing lies between the least and the most."""
    if not max(1, changed.min_replicas) <= changed.max_replicas:
        raise InvalidInput(
            f"between min_replicas={changed.min_replicas} and max_replicas={changed.max_replicas} there is nothing",
            hint="max_replicas is at least 1 and not below min_replicas",
        )
