"""Tuning: searches over parameters that survive a crash and give the same result for the same seed."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.tuning.model import Study as Study
    from homeostat.tuning.model import Trial as Trial
    from homeostat.tuning.progress import TrialPruned as TrialPruned
    from homeostat.tuning.progress import report as report
    from homeostat.tuning.tuner import tune as tune
    from homeostat.tuning.verbs import get_study as get_study
    from homeostat.tuning.verbs import list_studies as list_studies

__getattr__, __dir__ = door(__name__)
