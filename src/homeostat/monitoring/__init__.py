"""Watching models that are live: labels, quality with intervals, drift, latency, freshness."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.monitoring.sequence import sequence_width as sequence_width
    from homeostat.monitoring.share import share_interval as share_interval
    from homeostat.monitoring.student import spent as spent
    from homeostat.monitoring.student import widened as widened

__getattr__, __dir__ = door(__name__)
