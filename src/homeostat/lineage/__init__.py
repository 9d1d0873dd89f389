"""Lineage: from any version back to what it was made of, and on to what was made of it."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.lineage.graph import of as of
    from homeostat.lineage.model import Edge as Edge
    from homeostat.lineage.model import Lineage as Lineage
    from homeostat.lineage.model import Node as Node

__getattr__, __dir__ = door(__name__)
