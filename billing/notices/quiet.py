"""Quiet hours: when a message may leave.  Pure: moments and spans in, moments out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

_SPAN: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])-([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Span:
    """Local hours of every day, over midnight when the end is before the begin."""

    from_min: int
    """Minutes after midnight."""
    until_min: int
    """The first minute after it; the same as the begin: no time at all."""

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is in it."""
        if self.from_min <= self.until_min:
            return self.from_min <= minute < self.until_min
        return minute >= self.from_min or minute < self.until_min

    def __str__(self) -> str:
        begin, end = divmod(self.from_min, 60), divmod(self.until_min, 60)
        return f"{begin[0]:02}:{begin[1]:02}-{end[0]:02}:{end[1]:02}"


NONE: Final = Span(0, 0)


def parse_span(text: str) -> Span:
    """``22:00-07:00``; empty: none.

    Raises:
        ValueError: it is something else.
    """
    if text == "":
        return NONE
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"quiet hours look like 22:00-07:00, not {text!r}")
    first, second, third, fourth = (int(part) for part in found.groups())
    return Span(first * 60 + second, third * 60 + fourth)


def may_leave_at(moment: datetime, quiet: Span, zone: tzinfo) -> datetime:
    """The first moment, from the given one on, that is not in the quiet hours.

    Args:
        moment: aware.
        quiet: local hours.
        zone: the utility's.
    """
    local = moment.astimezone(zone)
    if not quiet.holds(local.hour * 60 + local.minute):
        return moment
    hour, minute = divmod(quiet.until_min, 60)
    end = datetime.combine(local.date(), time(hour, minute), tzinfo=zone)
    if end <= local:
        end = datetime.combine(local.date() + timedelta(days=1), time(hour, minute), tzinfo=zone)
    return end.astimezone(UTC)
