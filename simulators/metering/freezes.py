"""Freezes: which moments' registers a meter can still tell (spec section 4.6).

Only the moments are known here; the registers at them are computed (`SmartMeter.flow_at`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from simulators.metering.meter_clock import MeterClock
from simulators.metering.schedules import Due, Monthly, Rule, Series, daily, hourly


class FreezeKind(Enum):
    """Why registers are kept."""

    TIMED = "timed"
    INSTANT = "instant"
    HOURLY = "hourly"
    DAILY = "daily"
    SETTLEMENT = "settlement"


_FACTORY_RULES: Final[dict[FreezeKind, Rule | None]] = {
    FreezeKind.TIMED: None,
    FreezeKind.INSTANT: None,
    FreezeKind.HOURLY: hourly(),
    FreezeKind.DAILY: daily(0),
    FreezeKind.SETTLEMENT: Monthly(((1, 0),)),
}


@dataclass(frozen=True, slots=True)
class Freezes:
    """The series of one meter; those not listed are the factory's, since ``since``."""

    since: int
    changed: tuple[tuple[FreezeKind, Series], ...] = ()

    def series(self, kind: FreezeKind) -> Series:
        """Everything that was due of one kind."""
        for changed, series in self.changed:
            if changed is kind:
                return series
        return Series(_FACTORY_RULES[kind], self.since)

    def with_rule(
        self, kind: FreezeKind, rule: Rule | None, clock: MeterClock, now: int, kept: int
    ) -> Freezes:
        """Another rule from now on; so many of those frozen by the old one are kept."""
        return self._with(kind, self.series(kind).with_rule(rule, clock, now, kept))

    def with_instant(self, due: Due, kept: int) -> Freezes:
        """With a freeze at a moment of its own."""
        kind = FreezeKind.INSTANT
        earlier = (due, *self.series(kind).earlier)[:kept]
        return self._with(kind, Series(None, self.since, earlier))

    def cleared(self, second: int) -> Freezes:
        """The same rules with nothing frozen yet."""
        changed = tuple((kind, Series(series.rule, second)) for kind, series in self.changed)
        return Freezes(second, changed)

    def _with(self, kind: FreezeKind, series: Series) -> Freezes:
        others = tuple(change for change in self.changed if change[0] is not kind)
        return replace(self, changed=(*others, (kind, series)))
