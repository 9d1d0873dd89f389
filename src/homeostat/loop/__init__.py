"""The loop: evidence → decision → action. What must hold, how it stands, what was decided and why."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.loop.applied import apply as apply
    from homeostat.loop.applied import plan as plan
    from homeostat.loop.history import quality_history as quality_history
    from homeostat.loop.hold import parse_variable as parse_variable
    from homeostat.loop.model import Decision as Decision
    from homeostat.loop.model import Explanation as Explanation
    from homeostat.loop.model import LoopStatus as LoopStatus
    from homeostat.loop.model import PlanResult as PlanResult
    from homeostat.loop.model import QualityPoint as QualityPoint
    from homeostat.loop.model import VariableStatus as VariableStatus
    from homeostat.loop.report import report as report
    from homeostat.loop.reviewing import approve as approve
    from homeostat.loop.reviewing import offer as offer
    from homeostat.loop.reviewing import review as review
    from homeostat.loop.scheduler import run_due as run_due
    from homeostat.loop.state import decisions as decisions
    from homeostat.loop.state import list_models as list_models
    from homeostat.loop.state import status as status
    from homeostat.loop.why import why as why

__getattr__, __dir__ = door(__name__)
