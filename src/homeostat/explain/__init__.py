"""Why a model answers as it does: which features matter to it, and what each did to one row."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.explain.answers import Held as Held
    from homeostat.explain.importance import compute_importance as compute_importance
    from homeostat.explain.importance import importance as importance
    from homeostat.explain.model import Contribution as Contribution
    from homeostat.explain.model import FeatureImportance as FeatureImportance
    from homeostat.explain.model import RowExplanation as RowExplanation
    from homeostat.explain.row import explain_row as explain_row
    from homeostat.explain.row import explain_rows as explain_rows

__getattr__, __dir__ = door(__name__)
