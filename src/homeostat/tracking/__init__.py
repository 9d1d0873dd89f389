"""Experiments, runs, parameters, metrics, tags and artifacts: what was tried, with what, and what came of it."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.tracking.artifact_files import files_below as files_below
    from homeostat.tracking.artifact_files import files_in_run as files_in_run
    from homeostat.tracking.artifacts import copy_artifact as copy_artifact
    from homeostat.tracking.artifacts import list_artifacts as list_artifacts
    from homeostat.tracking.artifacts import log_artifact as log_artifact
    from homeostat.tracking.artifacts import read_artifact as read_artifact
    from homeostat.tracking.changes import OldChanges as OldChanges
    from homeostat.tracking.counting import GrownTables as GrownTables
    from homeostat.tracking.curves import metric_curves as metric_curves
    from homeostat.tracking.delivery import Delivered as Delivered
    from homeostat.tracking.experiments import create_experiment as create_experiment
    from homeostat.tracking.experiments import delete_experiment as delete_experiment
    from homeostat.tracking.experiments import delete_experiment_tag as delete_experiment_tag
    from homeostat.tracking.experiments import get_experiment as get_experiment
    from homeostat.tracking.experiments import rename_experiment as rename_experiment
    from homeostat.tracking.experiments import restore_experiment as restore_experiment
    from homeostat.tracking.experiments import set_experiment_tags as set_experiment_tags
    from homeostat.tracking.explore import get_runs as get_runs
    from homeostat.tracking.explore import metric_ranges as metric_ranges
    from homeostat.tracking.explore import run_facets as run_facets
    from homeostat.tracking.families import parts_of as parts_of
    from homeostat.tracking.families import runs_by_id as runs_by_id
    from homeostat.tracking.families import wholes_of as wholes_of
    from homeostat.tracking.gallery import list_media as list_media
    from homeostat.tracking.garbage import collect_garbage as collect_garbage
    from homeostat.tracking.garbage import erase as erase
    from homeostat.tracking.groups import group_runs as group_runs
    from homeostat.tracking.heartbeat import heartbeat as heartbeat
    from homeostat.tracking.heartbeat import mark_lost as mark_lost
    from homeostat.tracking.idle import IdleRuns as IdleRuns
    from homeostat.tracking.live import LiveRun as LiveRun
    from homeostat.tracking.live import run as run
    from homeostat.tracking.logged_models import get_logged_model as get_logged_model
    from homeostat.tracking.logged_models import note_version as note_version
    from homeostat.tracking.metrics import log_batch as log_batch
    from homeostat.tracking.metrics import log_metrics as log_metrics
    from homeostat.tracking.metrics import metric_history as metric_history
    from homeostat.tracking.mlflow.artifact_bytes import ArtifactResponse as ArtifactResponse
    from homeostat.tracking.mlflow.wording import safe_path as safe_path
    from homeostat.tracking.model import Artifact as Artifact
    from homeostat.tracking.model import ArtifactTable as ArtifactTable
    from homeostat.tracking.model import Experiment as Experiment
    from homeostat.tracking.model import Metric as Metric
    from homeostat.tracking.model import MetricCurve as MetricCurve
    from homeostat.tracking.model import MetricRange as MetricRange
    from homeostat.tracking.model import MetricSpread as MetricSpread
    from homeostat.tracking.model import Run as Run
    from homeostat.tracking.model import RunFacets as RunFacets
    from homeostat.tracking.model import RunGroup as RunGroup
    from homeostat.tracking.model import RunPage as RunPage
    from homeostat.tracking.model import RunView as RunView
    from homeostat.tracking.moving.records import MovedModel as MovedModel
    from homeostat.tracking.moving.records import MovedVersion as MovedVersion
    from homeostat.tracking.moving.records import Source as Source
    from homeostat.tracking.moving.runs import RunsImported as RunsImported
    from homeostat.tracking.moving.runs import import_runs as import_runs
    from homeostat.tracking.moving.sources import open_source as open_source
    from homeostat.tracking.moving.to_server import RunsExported as RunsExported
    from homeostat.tracking.moving.to_server import Target as Target
    from homeostat.tracking.moving.to_server import export_runs as export_runs
    from homeostat.tracking.moving.to_server import pairs as pairs
    from homeostat.tracking.retention import get_retention as get_retention
    from homeostat.tracking.retention import has_rules as has_rules
    from homeostat.tracking.retention import set_retention as set_retention
    from homeostat.tracking.runs import create_run as create_run
    from homeostat.tracking.runs import delete_run as delete_run
    from homeostat.tracking.runs import delete_tag as delete_tag
    from homeostat.tracking.runs import finish_run as finish_run
    from homeostat.tracking.runs import get_run as get_run
    from homeostat.tracking.runs import log_params as log_params
    from homeostat.tracking.runs import restore_run as restore_run
    from homeostat.tracking.runs import set_tags as set_tags
    from homeostat.tracking.search import list_experiments as list_experiments
    from homeostat.tracking.search import search_runs as search_runs
    from homeostat.tracking.sync import collect_runs as collect_runs
    from homeostat.tracking.sync import sync as sync
    from homeostat.tracking.tables import preview_table as preview_table
    from homeostat.tracking.texts import StaleTexts as StaleTexts
    from homeostat.tracking.views import delete_view as delete_view
    from homeostat.tracking.views import list_views as list_views
    from homeostat.tracking.views import save_view as save_view

__getattr__, __dir__ = door(__name__)
