"""What an event is. Apart from where events are kept (`core/events.py`), so that records load no database."""

from __future__ import annotations

from homeostat.core.records import Record


class Event(Record, tag_field="name"):
    """Base of events. A subclass names itself with `tag="past_tense_fact"` and lists its fields.

    >>> class TableWritten(Event, tag="table_written"):
    ...     table: str
    >>> TableWritten(table="flights").table
    'flights'
    """
