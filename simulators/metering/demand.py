"""Demand: the mean power of each period, and the greatest of them, computed when asked for.

Periods are blocks on the meter's own clock (15 minutes from the full hour); a sliding step is not
simulated.  A period counts in the tariff in which it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from simulators.metering.flow import Flow
from simulators.metering.meter_clock import MeterClock
from simulators.metering.tariff_plan import TARIFFS


class Peak(NamedTuple):
    """A greatest demand."""

    deciwatts: int
    """Tenths of a watt (the wire's XX.XXXX kW)."""
    local: int | None
    """When its period ended, by the meter's clock; None: there was none."""


NO_PEAK: Final = Peak(0, None)


class Peaks(NamedTuple):
    """The greatest demands between two seconds."""

    since: int
    until: int
    """No period that ends later was looked at."""
    by_tariff: tuple[Peak, ...] = (NO_PEAK,) * (TARIFFS + 1)
    """All tariffs together, then T1-T4."""


def continued(
    peaks: Peaks, until: int, period_s: int, clock: MeterClock, at: Callable[[int], Flow | None]
) -> Peaks:
    """The same peaks with the periods up to a later second.

    Args:
        at: the meter's state at a second that has passed.
    """
    local = clock.local(peaks.until)
    local -= local % period_s
    found = list(peaks.by_tariff)
    before = at(max(clock.next_at(local, peaks.until), peaks.since))
    while (end := clock.next_at(local + period_s, peaks.until)) <= until:
        after = at(end)
        if before is not None and after is not None and after.second > before.second:
            ws = after.supply.registers.consumed_ws - before.supply.registers.consumed_ws
            demand = ws * 10 // period_s
            tariff = after.plan.tariff_at(local)
            for place in (0, tariff):
                if demand > found[place].deciwatts:
                    found[place] = Peak(demand, local + period_s)
        before = after
        local += period_s
        peaks = peaks._replace(until=end)
    return peaks._replace(by_tariff=tuple(found))
