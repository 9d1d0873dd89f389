"""Homeostat keeps machine-learning models within the limits you declare.

>>> import homeostat as hs
>>> hs.__version__
'0.1.0'
"""

from typing import TYPE_CHECKING

from homeostat.core.door import door
from homeostat.core.version import VERSION

if TYPE_CHECKING:
    from homeostat.core.errors import HomeostatError as HomeostatError
    from homeostat.core.workspace import Workspace as Workspace
    from homeostat.core.workspace import open as open
    from homeostat.pipelines.declare import pipeline as pipeline
    from homeostat.pipelines.declare import step as step
    from homeostat.pipelines.inside import scratch as scratch
    from homeostat.pipelines.inside import step_key as step_key
    from homeostat.registry.loading import load_model as load_model
    from homeostat.registry.packaging import log_model as log_model
    from homeostat.registry.packaging import package_model as package_model
    from homeostat.serving.client import PredictionClient as PredictionClient
    from homeostat.tracking.live import run as run
    from homeostat.tuning.tuner import tune as tune

__version__ = VERSION
__getattr__, __dir__ = door(__name__)
