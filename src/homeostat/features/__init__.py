"""Features: declared once, computed for any moment in the past from nothing but what was known by then."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.features.compute import compute as compute
    from homeostat.features.model import FeatureSet as FeatureSet
    from homeostat.features.model import FeatureView as FeatureView
    from homeostat.features.model import Latest as Latest
    from homeostat.features.model import Registered as Registered
    from homeostat.features.model import Windows as Windows
    from homeostat.features.model import milliseconds as milliseconds

__getattr__, __dir__ = door(__name__)
