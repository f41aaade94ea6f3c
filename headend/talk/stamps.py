"""Whether the moment that a meter gives to a value can be: its clock may have lost its way.

A value under a wrong stamp would be the latest one for ever, or make a month that nobody keeps.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from headend.talk.faults import StampNotBelievedError
from headend.talk.reading import ReadOut

_AHEAD_MAX: Final = timedelta(days=1)
"""Less is drift: it is watched, and the clock is set."""
_BACK_MAX: Final = timedelta(days=5 * 366)
"""Further back no meter's freezes, months and profiles reach."""


def believed(out: ReadOut, part: str, now: datetime) -> None:
    """Leave out what has a stamp that cannot be, and make it the part's fault.

    Args:
        out: what a meter told; changed.
        part: what it is called in faults: ``daily``, ``profile``.
        now: the station's time.
    """
    earliest, latest = now - _BACK_MAX, now + _AHEAD_MAX

    def is_far(moment: datetime) -> bool:
        return not earliest <= moment <= latest

    stamps = [value.at for value in out.values]
    stamps += [value.start for value in out.intervals]
    stamps += [event.began_at for event in out.events if event.began_at > latest]
    far = next(filter(is_far, stamps), None)
    if far is None:
        return
    out.values = [value for value in out.values if not is_far(value.at)]
    out.intervals = [value for value in out.intervals if not is_far(value.start)]
    out.events = [event for event in out.events if event.began_at <= latest]
    out.faults.setdefault(
        part,
        StampNotBelievedError(
            f"The meter gives a value the time {far:%Y-%m-%d %H:%M} UTC, which cannot be: "
            "look at its clock, and set it ('meterhouse order clock')."
        ),
    )
