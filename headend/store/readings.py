"""The store as others use it.

All functions work in the caller's transaction: what adds in a write transaction, what looks up in
any.  Spans of time are from their first moment to the one before which they end.  Older months
come from the archive without being asked for.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from headend.faults import EntryError
from headend.store.events import add_events, find_events
from headend.store.intervals import Series, add_intervals, find_intervals, find_series
from headend.store.kept import Kept
from headend.store.packed import EPOCH
from headend.store.registers import add_readings, find_readings, latest_readings
from headend.values import Quality

__all__ = [
    "Kept",
    "Series",
    "add_events",
    "add_intervals",
    "add_readings",
    "events",
    "intervals",
    "latest",
    "missing",
    "readings",
    "series",
]

events = find_events
intervals = find_intervals
latest = latest_readings
readings = find_readings
series = find_series


def missing(
    connection: Connection,
    device_id: int,
    quantity: str,
    since: datetime,
    until: datetime,
    interval_min: int,
) -> list[tuple[datetime, datetime]]:
    """The gaps among interval values: spans of whole intervals of which there is no value.

    Intervals that begin before ``since`` or end after ``until`` are not looked at.  What the
    meter itself says is none (`Quality.INVALID`) is no gap: asking again would bring it again.

    Raises:
        EntryError: the interval length does not divide an hour.
    """
    if not 1 <= interval_min <= 60 or 60 % interval_min:
        raise EntryError(f"An interval of {interval_min} minutes does not divide an hour.")
    step = timedelta(minutes=interval_min)
    first, end = -((EPOCH - since) // step), (until - EPOCH) // step
    if end <= first:
        return []
    is_missing = np.ones(end - first, bool)
    for found in series(connection, device_id, quantity, since, until):
        if found.interval_min == interval_min:
            place = (found.start - EPOCH) // step - first
            there = (found.qualities != Quality.MISSING)[: len(is_missing) - place]
            is_missing[place : place + len(there)] &= ~there
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_missing.view(np.int8), [0]))))
    moments = [EPOCH + (first + int(edge)) * step for edge in edges]
    return list(zip(moments[::2], moments[1::2], strict=True))
