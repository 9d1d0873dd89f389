"""Every setting of Homeostat, in one table. Read once when a workspace opens; inner code takes arguments.

Order: an explicit argument, then the environment, then the default. A value that cannot be meant is refused at start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record


class Setting(Record):
    """One row of the table: its variable is `HOMEOSTAT_` + the upper-case name."""

    name: str
    kind: type
    default: Any
    help: str

    @property
    def variable(self) -> str:
        return f"HOMEOSTAT_{self.name.upper()}"


# What a body unpacks to may be so many times as large as the largest body.
UNPACKED_TIMES = 10

SETTINGS = (
    Setting(name="home", kind=str, default="./.homeostat", help="the workspace that is opened when none is named"),
    Setting(
        name="bytes", kind=str, default="", help="where bytes are kept: empty (in the home), s3://…, gs://…, az://…"
    ),
    Setting(name="token", kind=str, default="", help="the token a client sends to a server that asks for one"),
    Setting(
        name="offline", kind=bool, default=False, help="runs write to this machine only; `homeostat sync` sends them"
    ),
    Setting(name="host", kind=str, default="127.0.0.1", help="the address `homeostat up` listens on"),
    Setting(name="port", kind=int, default=5000, help="the control plane's port"),
    Setting(name="serve_port", kind=int, default=8080, help="the data plane's port"),
    Setting(
        name="serve_processes", kind=int, default=1, help="data-plane processes that share the port; 0: one per core"
    ),
    Setting(
        name="memory_budget_mb",
        kind=int,
        default=0,
        help="what the models of one data-plane process may take, in MiB; the least recently used go; 0: no limit",
    ),
    Setting(name="public_url", kind=str, default="", help="where people reach this server; messages link to it"),
    Setting(name="max_body_mb", kind=int, default=100, help="the largest request body that is read, in MiB"),
    Setting(name="max_artifact_mb", kind=int, default=65536, help="the largest artifact that is received, in MiB"),
    Setting(
        name="allow_private_hooks", kind=bool, default=False, help="let webhooks go to private and loopback addresses"
    ),
    Setting(name="actor", kind=str, default="local", help="the name under which local changes are recorded"),
    Setting(name="executor", kind=str, default="processes", help="where jobs run: processes"),
    Setting(
        name="keep_deleted_days",
        kind=float,
        default=0.0,
        help="what was deleted is erased after so many days; 0: by `homeostat gc` only",
    ),
    Setting(
        name="keep_artifacts_days",
        kind=float,
        default=0.0,
        help="how long artifacts of a run that ended are kept; 0: for ever, as of all that follow",
    ),
    Setting(name="keep_points_days", kind=float, default=0.0, help="how long points of a run that ended are kept"),
    Setting(name="keep_traces_days", kind=float, default=0.0, help="how long traces are kept"),
    Setting(name="keep_predictions_days", kind=float, default=0.0, help="how long logged predictions are kept"),
    Setting(name="keep_events_days", kind=float, default=0.0, help="how long events are kept"),
    Setting(name="threads", kind=int, default=0, help="threads a training may use; 0 means every core"),
)

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


class Settings:
    """The settings in force, as attributes.

    >>> Settings({"HOMEOSTAT_PORT": "5001"}).port
    5001
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        source = os.environ if environment is None else environment
        for setting in SETTINGS:
            text = source.get(setting.variable)
            setattr(self, setting.name, setting.default if text is None else _parse(setting, text))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"there is no setting '{name}'; see homeostat.core.settings.SETTINGS")


def _parse(setting: Setting, text: str) -> Any:
    try:
        if setting.kind is bool:
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            raise ValueError
        return setting.kind(text)
    except ValueError:
        raise InvalidInput(
            f"{setting.variable}={text!r} is not a {setting.kind.__name__}",
            hint=f"it is {setting.help}; the default is {setting.default!r}",
            setting=setting.name,
        ) from None
