"""Times as meters write them: BCD pairs, low unit first on the wire (spec sections 1 and 4).

A format is named as the standard prints it, high unit first: ``YYMMDDWW`` is sent
``WW DD MM YY``.  Pairs:

====  ===========================================================
YY    year from 2000
MM    month, or minute behind ``hh`` (written ``mm``)
DD    day
WW    weekday, 00 Sunday .. 06 Saturday (grade A)
hh    hour
mm    minute
ss    second
NN    a number that belongs to the time: a tariff or a table
====  ===========================================================

A meter's clock has no zone: `MeterTime.at` puts one to it, at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import Final

from protocols.dlt645.errors import ValueFormatError

_PAIRS: Final = {
    "YY": "year",
    "MM": "month",
    "DD": "day",
    "WW": "weekday",
    "hh": "hour",
    "mm": "minute",
    "ss": "second",
    "NN": "number",
}
_RANGES: Final = {
    "year": (2000, 2099),
    "month": (1, 12),
    "day": (1, 31),
    "weekday": (0, 6),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
    "number": (0, 99),
}
EVERY: Final = 99
"""In a time without a year: each month, day, hour or minute (freeze), or "unused"."""


class NotATimeError(ValueError):
    """The bytes are BCD but no moment of any calendar; ends up as a reading without a value."""


@dataclass(frozen=True, slots=True)
class MeterTime:
    """A moment, or a part of one, on a meter's clock.  What its format lacks is None."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    number: int | None = None

    @classmethod
    def of(cls, moment: datetime) -> MeterTime:
        """The clock's face at a moment, in whatever zone the moment is given."""
        return cls(
            year=moment.year,
            month=moment.month,
            day=moment.day,
            weekday=moment.isoweekday() % 7,
            hour=moment.hour,
            minute=moment.minute,
            second=moment.second,
        )

    def at(self, zone: tzinfo) -> datetime:
        """The moment, given the zone that the meter's clock runs in.

        Raises:
            ValueFormatError: the date is not complete.
        """
        if self.year is None or self.month is None or self.day is None:
            raise ValueFormatError(f"{self} is no full date.")
        return datetime(
            self.year,
            self.month,
            self.day,
            self.hour or 0,
            self.minute or 0,
            self.second or 0,
            tzinfo=zone,
        )

    def __str__(self) -> str:
        """``2016-01-11 w1``, ``21:53:55``, ``2015-10-09 00:00``; a lone hour is ``00h``."""
        parts = []
        if self.day is not None:
            dated = (self.year, self.month, self.day)
            parts.append("-".join(f"{part:02d}" for part in dated if part is not None))
        if self.weekday is not None:
            parts.append(f"w{self.weekday}")
        if self.hour is not None:
            clock = (self.hour, self.minute, self.second)
            shown = ":".join(f"{part:02d}" for part in clock if part is not None)
            parts.append(shown if self.minute is not None else f"{shown}h")
        if self.number is not None:
            parts.append(f"n{self.number}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class TimeLayout:
    """Which parts of a time, in which order: the standard's format, high unit first."""

    pattern: str
    names: tuple[str, ...]

    @property
    def length(self) -> int:
        """Bytes on the wire."""
        return len(self.names)

    @property
    def _may_be_every(self) -> bool:
        return "year" not in self.names

    def decode(self, raw: bytes) -> MeterTime | None:
        """A time from wire bytes; None when all of a date is zero (never happened, not set).

        Raises:
            NotATimeError: no such date or hour, or not BCD.
        """
        digits = raw[::-1].hex()
        if not digits.isdecimal():
            raise NotATimeError(digits)
        parts = {
            name: int(digits[2 * place : 2 * place + 2]) for place, name in enumerate(self.names)
        }
        if "day" in parts and not any(parts.values()):
            return None
        if "year" in parts:
            parts["year"] += 2000
        time = MeterTime(**parts)
        self.check(time)
        return time

    def encode(self, time: MeterTime | None) -> bytes:
        """The wire bytes of a time; parts that the format lacks are left out.

        Raises:
            ValueFormatError: a part is missing or out of its range.
        """
        if time is None:
            return bytes(self.length)
        try:
            self.check(time)
        except NotATimeError as fault:
            raise ValueFormatError(f"{time} is no {self.pattern}: {fault}.") from None
        digits = "".join(f"{getattr(time, name) % 100:02d}" for name in self.names)
        return bytes.fromhex(digits)[::-1]

    def only(self, time: MeterTime) -> MeterTime:
        """The same time without the parts that the format lacks."""
        extra = {field.name: None for field in fields(time) if field.name not in self.names}
        return replace(time, **extra)

    def check(self, time: MeterTime) -> None:
        """Refuse what no calendar has.

        Raises:
            NotATimeError: a part is missing, out of its range, or the day not in its month.
        """
        for name in self.names:
            part = getattr(time, name)
            low, high = _RANGES[name]
            every = part == EVERY and self._may_be_every and name != "weekday"
            if part is None or not (low <= part <= high or every):
                raise NotATimeError(f"{name} {part}")
        if time.year is not None and time.month is not None and time.day is not None:
            try:
                date(time.year, time.month, time.day)
            except ValueError:
                raise NotATimeError(f"day {time.day}") from None

    def parse(self, text: str) -> MeterTime:
        """A time as `MeterTime.__str__` writes it.

        Raises:
            ValueFormatError: it does not have the format's parts.
        """
        parts: dict[str, int] = {}
        try:
            for word in text.replace("T", " ").split():
                parts |= self._parse_word(word)
        except ValueError:
            raise self._unreadable(text) from None
        if set(parts) != set(self.names):
            raise self._unreadable(text)
        return MeterTime(**parts)

    def _parse_word(self, word: str) -> dict[str, int]:
        if word[0] in "wn":
            return {"weekday" if word[0] == "w" else "number": int(word[1:])}
        clock = ("hour", "minute", "second")
        if word.endswith("h"):
            return {"hour": int(word[:-1])}
        if ":" in word:
            return dict(zip(clock, map(int, word.split(":")), strict=False))
        dated = tuple(name for name in ("year", "month", "day") if name in self.names)
        return dict(zip(dated, map(int, word.split("-")), strict=True))

    def _unreadable(self, text: str) -> ValueFormatError:
        return ValueFormatError(f"{text!r} cannot be read as a time of the format {self.pattern}.")


@lru_cache(maxsize=64)
def time_layout(pattern: str) -> TimeLayout:
    """The layout of a format such as ``YYMMDDhhmm``.

    Raises:
        ValueError: it is no time format.
    """
    pairs = [pattern[place : place + 2] for place in range(0, len(pattern), 2)]
    if not pairs or len(pattern) % 2 or len(set(pairs)) != len(pairs):
        raise ValueError(pattern)
    try:
        return TimeLayout(pattern, tuple(_PAIRS[pair] for pair in pairs))
    except KeyError:
        raise ValueError(pattern) from None
