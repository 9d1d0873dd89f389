"""The loop's clock: what `homeostat up` calls every minute."""

from __future__ import annotations

import logging

from homeostat.core.clock import now_ms
from homeostat.core.errors import HomeostatError, NotFound, Unavailable
from homeostat.core.workspace import Workspace
from homeostat.loop.applied import applied, declared
from homeostat.loop.reviewing import review
from homeostat.loop.schedule import last_look_ms
from homeostat.serving import get_deployment

log = logging.getLogger("homeostat.loop")

# Between two looks at one model: often enough for latency and errors, and for a canary to come back in time.
EVERY_MS = 300_000


def run_due(ws: Workspace, at_ms: int | None = None) -> int:
    """Look at every declared and deployed model that was not looked at for five minutes; the number of looks taken.

    Models with `clock: replay` are left to whoever replays them. One model's trouble does not hold up the others.
    """
    at = now_ms() if at_ms is None else at_ms
    taken = 0
    for model in declared(ws):
        try:
            if applied(ws, model).config.clock == "replay":
                continue
            get_deployment(ws, model)
            last = last_look_ms(ws, model)
            if last is None or at - last >= EVERY_MS:
                review(ws, model, at)
                taken += 1
        except NotFound:
            continue  # declared, not deployed yet
        except Unavailable:
            continue  # somebody else is looking
        except HomeostatError as error:
            log.error("the look at '%s' failed and is taken again: %s", model, error)
    return taken
