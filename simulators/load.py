"""Loads: what a home draws, in whole watts over time.

A profile is piecewise constant.  It answers two questions, what is drawn from this second on
and when that next changes, so that a meter advances from change to change instead of second by
second, and energy comes out exact: watts times seconds, integers throughout.

Seconds are counted as in `moments`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, Protocol

from simulators.errors import SimulatorValueError

MINUTES_PER_DAY: Final = 1440
_SECONDS_PER_DAY: Final = 86_400
_SECONDS_PER_HOUR: Final = 3_600
_SECONDS_PER_MINUTE: Final = 60


class LoadProfile(Protocol):
    """What is switched on behind a meter."""

    def watts_at(self, second: int) -> int:
        """The load in W from this second to the next change; never negative."""

    def next_change(self, second: int) -> int | None:
        """A second after this one until which the load surely stays, or None for always."""


def energy_ws(load: LoadProfile, start: int, end: int) -> int:
    """The energy that a load wants between two seconds, in watt-seconds, exact."""
    total, second = 0, start
    while second < end:
        change = load.next_change(second)
        stop = end if change is None else min(change, end)
        total += load.watts_at(second) * (stop - second)
        second = stop
    return total


@dataclass(frozen=True, slots=True)
class ConstantLoad:
    """The same load always."""

    watts: int

    def __post_init__(self) -> None:
        _require_watts(self.watts)

    def watts_at(self, second: int) -> int:
        return self.watts

    def next_change(self, second: int) -> int | None:
        return None


@dataclass(frozen=True, slots=True)
class DailyLoad:
    """The same steps every day."""

    steps: tuple[tuple[int, int], ...]
    """(minute of the day 0-1439, W from then on), ascending.  The last step lasts over
    midnight until the first."""
    utc_offset_min: int = 0
    """The home's zone: minutes that its clock is ahead of UTC, fixed over the year."""

    def __post_init__(self) -> None:
        minutes = [minute for minute, _ in self.steps]
        if not minutes or minutes != sorted(set(minutes)):
            raise SimulatorValueError(
                "A daily load needs at least one step, and its minutes must ascend."
            )
        if minutes[0] < 0 or minutes[-1] >= MINUTES_PER_DAY:
            raise SimulatorValueError("A daily load's minutes lie in 0-1439.")
        for _, watts in self.steps:
            _require_watts(watts)

    def watts_at(self, second: int) -> int:
        return self.steps[self._following(second) - 1][1]

    def next_change(self, second: int) -> int | None:
        if len(self.steps) == 1:
            return None
        following = self._following(second)
        if following < len(self.steps):
            return self._midnight(second) + self.steps[following][0] * _SECONDS_PER_MINUTE
        return self._midnight(second) + _SECONDS_PER_DAY + self.steps[0][0] * _SECONDS_PER_MINUTE

    def _following(self, second: int) -> int:
        minute = (second - self._midnight(second)) // _SECONDS_PER_MINUTE
        return bisect_right(self.steps, minute, key=lambda step: step[0])

    def _midnight(self, second: int) -> int:
        offset = self.utc_offset_min * _SECONDS_PER_MINUTE
        return (second + offset) // _SECONDS_PER_DAY * _SECONDS_PER_DAY - offset


_SLOT_S: Final = 900
_SLOTS_PER_DAY: Final = _SECONDS_PER_DAY // _SLOT_S
_ACTIVITY_PERCENT: Final = (
    *(4, 3, 3, 3, 4, 12),  # night
    *(45, 60, 40, 20, 15, 20),  # morning
    *(35, 25, 15, 15, 25, 55),  # day
    *(90, 100, 85, 60, 30, 10),  # evening
)
"""How busy a home is in each hour of its day, against its busiest."""


@dataclass(frozen=True, slots=True)
class HouseholdLoad:
    """A random home: the same seed draws the same power at the same time, always.

    Each quarter of an hour draws the stand-by load, a share of the daily activity, and now and
    then a big appliance (kettle, iron, oven).  Stateless: nothing is kept per home but this.
    """

    seed: int
    standby_w: int = 90
    activity_w: int = 900
    """At the busiest hour, on average."""
    appliance_w: int = 2_000
    """Runs in about one busy quarter of an hour in five."""
    utc_offset_min: int = 0
    """The home's zone: minutes that its clock is ahead of UTC, fixed over the year."""

    def __post_init__(self) -> None:
        for watts in (self.standby_w, self.activity_w, self.appliance_w):
            _require_watts(watts)

    def watts_at(self, second: int) -> int:
        slot = self._slot(second)
        busy = _ACTIVITY_PERCENT[slot % _SLOTS_PER_DAY * _SLOT_S // _SECONDS_PER_HOUR]
        draw = mixed(self.seed, slot)
        share_percent = 50 + draw % 101
        watts = self.standby_w + self.activity_w * busy * share_percent // 10_000
        appliance_runs = (draw >> 32) % 500 < busy
        return watts + self.appliance_w if appliance_runs else watts

    def next_change(self, second: int) -> int | None:
        return (self._slot(second) + 1) * _SLOT_S - self.utc_offset_min * _SECONDS_PER_MINUTE

    def _slot(self, second: int) -> int:
        """Quarters of an hour on the home's own clock, since the epoch."""
        return (second + self.utc_offset_min * _SECONDS_PER_MINUTE) // _SLOT_S


_MASK64: Final = (1 << 64) - 1


def mixed(seed: int, slot: int) -> int:
    """64 well-mixed bits of a home and a time: one step of the SplitMix64 generator."""
    state = (seed * 0xD1342543DE82EF95 + (slot + 1) * 0x9E3779B97F4A7C15) & _MASK64
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK64
    state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK64
    return state ^ state >> 31


def _require_watts(watts: int) -> None:
    if type(watts) is not int or watts < 0:
        raise SimulatorValueError(f"A load is a whole number of watts, 0 or more, not {watts!r}.")
