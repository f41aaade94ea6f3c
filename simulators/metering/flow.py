"""What flowed when: states of the meter in time, and the way from one to the next.

A meter's past need not be stored: a home draws by a profile that knows no chance, so the state at
any second follows from an earlier one.  A `Flow` is such a state; `History` keeps one after each
event from outside (a token, a cover, an order, a power cut ...) and one for the last midnight and
for each first of a month, and computes whatever else is asked: freezes, the load profile, demands.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import Final, NamedTuple

from simulators.load import LoadProfile
from simulators.metering.meter_clock import MeterClock, face
from simulators.metering.tariff_plan import TariffPlan
from simulators.nameplate import Nameplate
from simulators.supply import Supply, supplied

KEPT_MAX: Final = 256
"""States; of a meter with more events than this, the earliest past is forgotten."""
NO_TARIFFS: Final = (0, 0, 0, 0)


class Flow(NamedTuple):
    """Everything that metering goes on from, at one second."""

    second: int
    supply: Supply
    has_power: bool
    load: LoadProfile
    plan: TariffPlan
    prices: tuple[int, ...]
    """Of each tariff, in 1/10000 per kWh; empty on a meter that counts no money."""
    forward_ws: tuple[int, ...] = NO_TARIFFS
    """Consumed in each tariff."""
    reverse_ws: tuple[int, ...] = NO_TARIFFS
    """The same while the current was reversed; it is consumed and paid for like any other."""
    reversed: int = 0
    """Phases whose current flows backwards, bit 0 for phase A."""
    is_periodic: bool = False
    """Kept because of the date, not of an event."""

    @property
    def total_forward_ws(self) -> int:
        """All tariffs."""
        return sum(self.forward_ws)

    @property
    def total_reverse_ws(self) -> int:
        """All tariffs."""
        return sum(self.reverse_ws)

    def metered(self, supply: Supply, second: int, tariff: int) -> Flow:
        """The state after energy flowed in one tariff, up to a second."""
        ws = supply.registers.consumed_ws - self.supply.registers.consumed_ws
        forward, reverse = self.forward_ws, self.reverse_ws
        if ws and self.reversed:
            reverse = _added(reverse, tariff, ws)
        elif ws:
            forward = _added(forward, tariff, ws)
        return self._replace(second=second, supply=supply, forward_ws=forward, reverse_ws=reverse)

    def priced(self, tariff: int) -> Supply:
        """The supply under a tariff's price."""
        purse = self.supply.purse
        if purse is None or not self.prices:
            return self.supply
        priced = purse.at_price(self.prices[tariff - 1])
        return self.supply if priced is purse else replace(self.supply, purse=priced)


def _added(registers: tuple[int, ...], tariff: int, ws: int) -> tuple[int, ...]:
    place = tariff - 1
    return (*registers[:place], registers[place] + ws, *registers[place + 1 :])


def next_cut(flow: Flow, clock: MeterClock) -> int:
    """The second at which the next tariff slot, or the next day, begins."""
    change = flow.plan.next_change(clock.local(flow.second))
    return max(clock.next_at(change, flow.second), flow.second + 1)


def flowed(flow: Flow, clock: MeterClock, nameplate: Nameplate, end: int) -> Flow:
    """The state at a later second, if nothing happens from outside."""
    while flow.second < end:
        stop = min(end, next_cut(flow, clock))
        tariff = flow.plan.tariff_at(clock.local(flow.second))
        supply = flow.priced(tariff)
        if flow.has_power:
            supply = supplied(supply, flow.load, nameplate, flow.second, stop)
        flow = flow.metered(supply, stop, tariff)
    return flow


class History:
    """States of one meter, ascending in time."""

    __slots__ = ("_kept", "_last")

    def __init__(self, first: Flow) -> None:
        self._kept = [first]
        self._last: Flow | None = None

    @property
    def begins(self) -> int:
        """The second before which nothing is known."""
        return self._kept[0].second

    def keep(self, flow: Flow) -> None:
        """Keep the state after an event."""
        self._last = None
        if self._kept[-1].second == flow.second:
            self._kept[-1] = flow
            return
        self._kept.append(flow)
        if len(self._kept) > KEPT_MAX:
            del self._kept[0]

    def keep_midnight(self, flow: Flow, clock: MeterClock) -> None:
        """Keep the state of a midnight; the one before goes, unless a month began with it."""
        before = self._kept[-1]
        if before.is_periodic and face(clock.local(before.second)).day != 1:
            del self._kept[-1]
        self.keep(flow._replace(is_periodic=True))

    def at(self, second: int, clock: MeterClock, nameplate: Nameplate) -> Flow | None:
        """The state at a second that has passed; None before the first that is known."""
        place = bisect_right(self._kept, second, key=_second)
        if not place:
            return None
        start = self._kept[place - 1]
        last = self._last
        if last is not None and start.second <= last.second <= second:
            start = last
        found = flowed(start, clock, nameplate, second)
        if found is not start:
            self._last = found
        return found


def _second(flow: Flow) -> int:
    return flow.second
