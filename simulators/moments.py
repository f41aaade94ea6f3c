"""Time as the simulators count it.

The caller owns the clock and gives every time as an aware `datetime`.  Metering counts whole
seconds since 1 January 1970 00:00 UTC, so that watts times seconds stay integers; what lies
beyond the last whole second is metered with the next step and never lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from simulators.errors import NaiveTimeError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)


def utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        NaiveTimeError: it carries no zone.
    """
    if moment.tzinfo is None:
        raise NaiveTimeError(
            "A simulated meter needs times with a zone, e.g. datetime(2026, 11, 21, tzinfo=UTC)."
        )
    return moment.astimezone(UTC)


def second_of(moment: datetime) -> int:
    """The last whole second (since the epoch) that has begun."""
    return (moment - EPOCH) // SECOND


def seconds_until(moment: datetime, now: datetime) -> int:
    """Whole seconds from ``now`` to ``moment``, rounded up; 0 when it has passed."""
    return max(0, -((now - moment) // SECOND))
