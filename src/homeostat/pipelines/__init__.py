"""Pipelines: steps in processes of their own, kept by content, that go on where they were cut short."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.pipelines.codecs import decode as decode
    from homeostat.pipelines.codecs import encode as encode
    from homeostat.pipelines.codecs import identity as identity
    from homeostat.pipelines.declare import Future as Future
    from homeostat.pipelines.declare import Pipeline as Pipeline
    from homeostat.pipelines.declare import Step as Step
    from homeostat.pipelines.declare import pipeline as pipeline
    from homeostat.pipelines.declare import reference_of as reference_of
    from homeostat.pipelines.declare import step as step
    from homeostat.pipelines.fingerprint import fingerprint_of as fingerprint_of
    from homeostat.pipelines.inside import scratch as scratch
    from homeostat.pipelines.inside import step_key as step_key
    from homeostat.pipelines.inside import surroundings as surroundings
    from homeostat.pipelines.loading import import_afresh as import_afresh
    from homeostat.pipelines.loading import load_function as load_function
    from homeostat.pipelines.messages import write_whole as write_whole
    from homeostat.pipelines.model import PipelineRun as PipelineRun
    from homeostat.pipelines.model import StepRun as StepRun
    from homeostat.pipelines.model import Value as Value
    from homeostat.pipelines.recovery import recover as recover
    from homeostat.pipelines.source import Project as Project
    from homeostat.pipelines.verbs import get_pipeline_run as get_pipeline_run
    from homeostat.pipelines.verbs import list_pipeline_runs as list_pipeline_runs
    from homeostat.pipelines.verbs import load_output as load_output
    from homeostat.pipelines.verbs import resume_pipeline_run as resume_pipeline_run
    from homeostat.pipelines.verbs import run_pipeline as run_pipeline
    from homeostat.pipelines.verbs import step_log as step_log
    from homeostat.pipelines.verbs import stop_pipeline_run as stop_pipeline_run
    from homeostat.pipelines.verbs import why_step as why_step

__getattr__, __dir__ = door(__name__)
