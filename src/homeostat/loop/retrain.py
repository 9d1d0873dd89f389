"""From the decision to learn again to a challenger: which past to learn from, then the model's own pipeline."""

from __future__ import annotations

from typing import Any

from homeostat.core.errors import HomeostatError, InvalidInput
from homeostat.core.faults import fault
from homeostat.loop.subject import Subject
from homeostat.loop.windows import choose_window, words_for
from homeostat.pipelines import run_pipeline


def train_challenger(subject: Subject) -> tuple[int | None, str, str]:
    """Run the model's pipeline on the chosen past. Gives the registered version, the past in words, or why it failed.

    The pipeline is called with model, since_ms, until_ms, purpose and what stands in `learn.params`, once for this
    moment: called again after a crash it goes on where it was. Only truth known before the judging window is learnt.
    """
    s = subject
    assert s.config.pipeline is not None
    window, since_ms = choose_window(s)
    params: dict[str, Any] = {
        **s.config.learn.params,
        "model": s.model, "since_ms": since_ms, "until_ms": s.judge_from_ms, "purpose": "challenger",
    }  # fmt: skip
    learnt = words_for(window)
    try:
        run = run_pipeline(
            s.ws, s.config.pipeline, params, s.applied.project, once=f"loop {s.model} {s.at_ms} challenger {window}"
        )
        fault("loop.trained")
        return _version_of(run.outputs, s.config.pipeline), learnt, ""
    except HomeostatError as error:
        return None, learnt, error.message.strip().splitlines()[-1][:300] if error.message.strip() else "unknown"


def _version_of(outputs: dict[str, Any], pipeline: str) -> int:
    version = outputs.get("version")
    if not isinstance(version, int):
        raise InvalidInput(
            f"the pipeline '{pipeline}' gave no version", hint="return {'version': hs.log_model(…).version}"
        )
    return version
