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
    found = list(peaks.by_tariff)
    start = peaks.until
    before = at(start)
    while True:
        local = clock.local(start)
        boundary = local - local % period_s + period_s
        end = max(clock.next_at(boundary, start), start + 1)
        if end > until:
            break
        after = at(end)
        if before is not None and after is not None:
            ws = after.supply.registers.consumed_ws - before.supply.registers.consumed_ws
            demand = ws * 10 // period_s
            for place in (0, after.plan.tariff_at(local)):
                if demand > found[place].deciwatts:
                    found[place] = Peak(demand, boundary)
        start, before = end, after
    return Peaks(peaks.since, start, tuple(found))
