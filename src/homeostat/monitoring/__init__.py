"""Watching models that are live: labels, quality with intervals, drift, latency, freshness."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.monitoring.auc import auc as auc
    from homeostat.monitoring.auc_gap import auc_gap as auc_gap
    from homeostat.monitoring.calibration import calibration_error as calibration_error
    from homeostat.monitoring.change_point import change_point as change_point
    from homeostat.monitoring.drift import column_quality as column_quality
    from homeostat.monitoring.drift import data_quality as data_quality
    from homeostat.monitoring.drift import drift as drift
    from homeostat.monitoring.drift_report import drift_report as drift_report
    from homeostat.monitoring.drift_report import shares_of_importance as shares_of_importance
    from homeostat.monitoring.estimate import estimate as estimate
    from homeostat.monitoring.freshness import freshness as freshness
    from homeostat.monitoring.interval import Interval as Interval
    from homeostat.monitoring.interval import z as z
    from homeostat.monitoring.joined import SCORES as SCORES
    from homeostat.monitoring.joined import Joined as Joined
    from homeostat.monitoring.joined import days_of as days_of
    from homeostat.monitoring.joined import joined as joined
    from homeostat.monitoring.joined import with_truth as with_truth
    from homeostat.monitoring.labels import count_labels as count_labels
    from homeostat.monitoring.labels import read_labels as read_labels
    from homeostat.monitoring.labels import record_labels as record_labels
    from homeostat.monitoring.latency import latency as latency
    from homeostat.monitoring.latency import latency_of as latency_of
    from homeostat.monitoring.measures import level_names as level_names
    from homeostat.monitoring.measures import measured as measured
    from homeostat.monitoring.model import DriftReport as DriftReport
    from homeostat.monitoring.model import Latency as Latency
    from homeostat.monitoring.model import Measurement as Measurement
    from homeostat.monitoring.model import Quality as Quality
    from homeostat.monitoring.model import TrainingTable as TrainingTable
    from homeostat.monitoring.quality import quality as quality
    from homeostat.monitoring.reference import fitted_until as fitted_until
    from homeostat.monitoring.reference import reference_of as reference_of
    from homeostat.monitoring.rewards import reward_answers as reward_answers
    from homeostat.monitoring.rewards import reward_due as reward_due
    from homeostat.monitoring.row_loss import log_losses as log_losses
    from homeostat.monitoring.sequence import mean_sequence as mean_sequence
    from homeostat.monitoring.sequence import sequence_width as sequence_width
    from homeostat.monitoring.share import share_interval as share_interval
    from homeostat.monitoring.slices import auc_by_slice as auc_by_slice
    from homeostat.monitoring.slices import auc_gap_by_slice as auc_gap_by_slice
    from homeostat.monitoring.student import spent as spent
    from homeostat.monitoring.student import widened as widened
    from homeostat.monitoring.training import column_by_key as column_by_key
    from homeostat.monitoring.training import training_rows as training_rows

__getattr__, __dir__ = door(__name__)
