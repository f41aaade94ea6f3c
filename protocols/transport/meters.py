"""What a link remembers of its meters: a bounded number of them."""

from __future__ import annotations

from protocols.transport.delay import LearnedDelay
from protocols.transport.statistics import MeterStatistics, Tally


class Meter:
    """One meter on one link."""

    __slots__ = ("delay", "silent", "tally")

    def __init__(self, delay: LearnedDelay) -> None:
        self.delay = delay
        self.tally = Tally()
        self.silent = False
        """Its last attempt found nobody: the next exchange asks once."""


class Meters(dict[str, Meter]):
    """Meters by their key; the one met first is forgotten first, its counts stay in the total."""

    def __init__(
        self, *, meters_max: int, delay_s_first: float, delay_s_min: float, delay_s_max: float
    ) -> None:
        super().__init__()
        self._meters_max = meters_max
        self._delay_s_first = delay_s_first
        self._delay_s_min = delay_s_min
        self._delay_s_max = delay_s_max
        self._forgotten = Tally()

    def remember(self, name: str) -> Meter:
        """A meter met for the first time."""
        if len(self) >= self._meters_max:
            self._forgotten.add(self.pop(next(iter(self))).tally)
        delay = LearnedDelay(
            first_s=self._delay_s_first, min_s=self._delay_s_min, max_s=self._delay_s_max
        )
        meter = self[name] = Meter(delay)
        return meter

    def total(self) -> MeterStatistics:
        """Counts of all meters together, forgotten ones too."""
        total = Tally()
        total.add(self._forgotten)
        for meter in self.values():
            total.add(meter.tally)
        return total.snapshot()

    def each(self) -> dict[str, MeterStatistics]:
        """Counts of each meter that is remembered."""
        return {name: meter.tally.snapshot() for name, meter in self.items()}
