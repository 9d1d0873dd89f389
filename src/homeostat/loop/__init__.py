"""The loop: evidence → decision → action. What must hold, how it stands, what was decided and why."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.loop.hold import parse_variable as parse_variable

__getattr__, __dir__ = door(__name__)
