"""Features: declared once, computed for any moment in the past from nothing but what was known by then."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.features.build import build as build
    from homeostat.features.compute import compute as compute
    from homeostat.features.definitions import get_set as get_set
    from homeostat.features.definitions import get_view as get_view
    from homeostat.features.definitions import list_sets as list_sets
    from homeostat.features.definitions import list_views as list_views
    from homeostat.features.definitions import register_set as register_set
    from homeostat.features.definitions import register_view as register_view
    from homeostat.features.model import FeatureSet as FeatureSet
    from homeostat.features.model import FeatureView as FeatureView
    from homeostat.features.model import Latest as Latest
    from homeostat.features.model import Registered as Registered
    from homeostat.features.model import Windows as Windows
    from homeostat.features.model import milliseconds as milliseconds
    from homeostat.features.prepared import PreparedView as PreparedView

__getattr__, __dir__ = door(__name__)
