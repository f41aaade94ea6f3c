"""The token identifier: minutes since a base date, 24 bits (IEC 62055-41, clause 6.3.5).

* A TID counts whole minutes from 1 January 00:00 UTC of the base year, so a base date lasts
  2**24 minutes (31.9 years): 1993 ended on 24 Nov 2024, 2014 ends on 24 Nov 2045.
* Minute 00:01 of each day is reserved: a normal token due in it gets the next minute.
* Several tokens for one meter in one minute take the following minutes; a TID is never used
  twice for a meter and key, and never goes back.
* The top 8 bits of a TID must not pass the key expiry number (KEN) of the key in use.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cache
from typing import Final, NewType

from vending.sts.errors import InvalidValueError, KeyExpiredError, TidRangeError
from vending.sts.identity import KeyExpiry

Tid = NewType("Tid", int)
"""Minutes since a base date, 0 .. 2**24 - 1."""

TID_MAX: Final = (1 << 24) - 1
_MINUTES_PER_DAY: Final = 1440
_RESERVED_MINUTE: Final = 1
_MINUTE: Final = timedelta(minutes=1)


class BaseDate(IntEnum):
    """The year from whose first minute TIDs are counted."""

    Y1993 = 1993
    Y2014 = 2014
    Y2035 = 2035

    @property
    def start(self) -> datetime:
        """TID 0."""
        return _begins(self)

    @property
    def last(self) -> datetime:
        """The last minute that this base date can name."""
        return _ends(self)

    @property
    def code(self) -> str:
        """The two digits that DKGA04 mixes into the key: ``93``, ``14`` or ``35``."""
        return f"{self.value % 100:02d}"


@cache
def _begins(base: BaseDate) -> datetime:
    return datetime(base.value, 1, 1, tzinfo=UTC)


@cache
def _ends(base: BaseDate) -> datetime:
    return _begins(base) + TID_MAX * _MINUTE


def parse_base_date(year: int) -> BaseDate:
    """Check a base year: 1993, 2014 or 2035."""
    try:
        return BaseDate(year)
    except ValueError:
        raise InvalidValueError(
            f"Base year {year!r} does not exist; use 1993, 2014 or 2035."
        ) from None


def is_reserved(tid: int) -> bool:
    """Whether the minute is 00:01 of some day (base dates begin at midnight)."""
    return tid % _MINUTES_PER_DAY == _RESERVED_MINUTE


def tid_at(issued_at: datetime, base: BaseDate) -> Tid:
    """The TID of a normal token issued at this moment (00:01 becomes 00:02).

    Args:
        issued_at: an aware time, in any zone.
        base: the base date of the meter's key.

    Raises:
        InvalidValueError: the time carries no zone.
        TidRangeError: before the base date, or after its 24 bits are used up.
    """
    if issued_at.tzinfo is None:
        raise InvalidValueError("The time of issue needs a time zone, e.g. 2026-11-21T09:30:00Z.")
    try:
        issued_at = issued_at.astimezone(UTC)
    except OverflowError:  # the first or last hours that a datetime can name
        raise TidRangeError(f"No base date reaches the year {issued_at.year}.") from None
    minutes = (issued_at - base.start) // _MINUTE
    if is_reserved(minutes):
        minutes += 1
    if minutes < 0:
        raise TidRangeError(
            f"{_stamp(issued_at)} lies before base date {base.value}; "
            "use an older base date or check the clock."
        )
    if minutes > TID_MAX:
        raise TidRangeError(
            f"Base date {base.value} ended at {_stamp(base.last)}; a token of {_stamp(issued_at)} "
            "needs a key with a later base date: change the meter's key first."
        )
    return Tid(minutes)


def time_of(tid: int, base: BaseDate) -> datetime:
    """The minute (UTC) that a TID names."""
    return base.start + _checked(tid) * _MINUTE


def following(tid: int) -> Tid:
    """The next TID that a normal token of the same meter may use.

    Raises:
        TidRangeError: there is none left under this base date.
    """
    successor = tid + 1
    if is_reserved(successor):
        successor += 1
    if successor > TID_MAX:
        raise TidRangeError(
            "No token identifier is left under this base date: change the meter's key to a "
            "later base date."
        )
    return Tid(successor)


def next_tid(issued_at: datetime, base: BaseDate, last_used: int | None) -> Tid:
    """The TID for a token issued now to a meter whose last token had ``last_used``.

    Never repeats and never goes back, even when the clock does.
    """
    due = tid_at(issued_at, base)
    if last_used is None or due > last_used:
        return due
    return following(last_used)


def require_not_expired(tid: int, ken: KeyExpiry) -> None:
    """Refuse a token that its meter would reject as KeyExpiredError.

    Raises:
        KeyExpiredError: the TID's top 8 bits are greater than the KEN.
    """
    if _checked(tid) >> 16 > ken:
        raise KeyExpiredError(
            f"The meter's key expired (KEN {ken}, this token needs {tid >> 16}): "
            "change the key to one with a later expiry first."
        )


def _checked(tid: int) -> int:
    if not 0 <= tid <= TID_MAX:
        raise TidRangeError(f"Token identifier {tid} does not fit 24 bits.")
    return tid


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")
