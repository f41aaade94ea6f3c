"""Which tariff is in force: the day's slots (DL/T 645-2007, 04010001).

One table for every day; zones of the year, weekends and holidays are parameters that this meter
stores and does not act on.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from simulators.errors import SimulatorValueError
from simulators.load import MINUTES_PER_DAY
from simulators.metering.meter_clock import SECONDS_PER_DAY, midnight, minute_of_day

TARIFFS: Final = 4
SLOTS_MAX: Final = 14


@dataclass(frozen=True, slots=True)
class TariffPlan:
    """Slots of the day.  Share one among like meters.

    Raises:
        SimulatorValueError: no slots or too many, minutes that do not ascend, unknown tariffs.
    """

    slots: tuple[tuple[int, int], ...]
    """(minute of the day, tariff 1-4 from then on); the last one lasts over midnight."""

    def __post_init__(self) -> None:
        minutes = [minute for minute, _ in self.slots]
        if not 1 <= len(minutes) <= SLOTS_MAX or minutes != sorted(set(minutes)):
            raise SimulatorValueError(f"A day has 1-{SLOTS_MAX} slots with ascending minutes.")
        if minutes[0] < 0 or minutes[-1] >= MINUTES_PER_DAY:
            raise SimulatorValueError("A slot begins at minute 0-1439.")
        if not {tariff for _, tariff in self.slots} <= set(range(1, TARIFFS + 1)):
            raise SimulatorValueError(f"Tariffs are 1-{TARIFFS}.")

    def tariff_at(self, local: int) -> int:
        """The tariff in force, 1-4."""
        return self.slots[self._following(local) - 1][1]

    def next_change(self, local: int) -> int:
        """When the next slot begins, or the next day."""
        following = self._following(local)
        day = midnight(local)
        if following < len(self.slots):
            return day + self.slots[following][0] * 60
        return day + SECONDS_PER_DAY

    def _following(self, local: int) -> int:
        return bisect_right(self.slots, minute_of_day(local), key=_minute)


def _minute(slot: tuple[int, int]) -> int:
    return slot[0]


FOUR_TARIFFS: Final = TariffPlan(
    ((0, 4), (420, 3), (480, 2), (690, 3), (1080, 1), (1260, 2), (1380, 4))
)
"""T1 sharp 18-21 h, T2 peak, T3 flat, T4 valley 23-7 h."""
