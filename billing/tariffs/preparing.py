"""Preparing a tariff for pricing: a place and an exponent for each part, then the parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from billing.tariffs.exact import FINE, decimal, shift, short_kwh, split
from billing.tariffs.plan import (
    BlocksPlan,
    DemandPlan,
    FeePlan,
    FreePlan,
    Percent,
    Plan,
    PowerFactorPlan,
    Rated,
    StepPlan,
)
from billing.tariffs.tariff import (
    Blocks,
    Capacity,
    Demand,
    Free,
    Period,
    PowerFactor,
    Register,
    Surcharge,
    Tariff,
    Tax,
)
from billing.tariffs.values import LineKind

_WH_DIGITS: Final = 3
_PERCENT_DIGITS: Final = 2
POWER_FACTOR_DIGITS: Final = 2
"""Of the percentages in the tables."""


def step_words(bounds: Sequence[int | None], period: str, cut: str = "") -> tuple[str, ...]:
    """What each step is, for the customer: ``block 2 (2880 to 4800 kWh of the year)``.

    Args:
        bounds: Wh; None: the last step.
        period: of the limits.
        cut: what is to be said of limits that are cut.
    """
    words = []
    low = None
    for number, high in enumerate(bounds, 1):
        if high is not None:
            reach = f"{short_kwh(low)} to" if low is not None else "up to"
            words.append(f"block {number} ({reach} {short_kwh(high)} kWh of the {period}{cut})")
        elif low is not None:
            words.append(f"block {number} (above {short_kwh(low)} kWh of the {period}{cut})")
        else:
            words.append(f"block {number}")
        low = high
    return tuple(words)


_KINDS: Final = {
    "energy": LineKind.ENERGY,
    "demand": LineKind.DEMAND,
    "fixed": LineKind.FIXED,
    "power_factor": LineKind.POWER_FACTOR,
    "surcharge": LineKind.SURCHARGE,
}


def prepare(tariff: Tariff) -> Plan:
    """A tariff prepared; the same for every usage."""
    return _Preparing(tariff).plan()


class _Preparing:
    """Gives places, finds the scale, then builds the parts at it."""

    def __init__(self, tariff: Tariff) -> None:
        self.tariff: Final = tariff
        self.digits: Final = tariff.currency.minor_digits
        self.places: Final[dict[str, int]] = {}
        self.kinds: Final[dict[int, LineKind]] = {}
        self.exponents: Final[dict[int, int]] = {}
        self.scale = 0

    def plan(self) -> Plan:
        self._survey()
        tariff, blocks = self.tariff, self.tariff.blocks
        percents = [self._percent(each, LineKind.SURCHARGE) for each in self._by_percent()]
        percents += [self._percent(each, LineKind.TAX) for each in tariff.taxes]
        return Plan(
            scale=self.scale,
            unit=10**self.scale,
            minor_digits=self.digits,
            smallest=decimal(1, self.digits),
            places=len(self.places),
            rounding=tariff.rounding,
            flat=None
            if tariff.energy.rate is None
            else self._per_kwh(LineKind.ENERGY, "energy", "energy", tariff.energy.rate, 0),
            registers=self._registers(tariff.energy.registers),
            blocks=None if blocks is None else self._blocks(blocks),
            free=None if tariff.free is None else self._free(tariff.free),
            capacity=None if tariff.capacity is None else self._capacity(tariff.capacity),
            capacity_unit="" if tariff.capacity is None else tariff.capacity.unit,
            demand=None if tariff.demand is None else self._demand(tariff.demand),
            fees=self._fees(),
            per_kwh=tuple(
                self._per_kwh(
                    LineKind.SURCHARGE, each.code, each.name, each.rate, self.places[each.code]
                )
                for each in tariff.surcharges
                if each.rate is not None
            ),
            power_factor=None
            if tariff.power_factor is None
            else self._power_factor(tariff.power_factor),
            percents=tuple(percents),
            tax_places=tuple(self.places[each.code] for each in tariff.taxes),
            period=self._period(),
            asked=self._asked(),
        )

    # --- places and scale ------------------------------------------------------------------

    def _survey(self) -> None:
        tariff = self.tariff
        rates = [tariff.energy.rate] + [each.rate for each in tariff.energy.registers]
        for step in tariff.blocks.steps if tariff.blocks else ():
            rates += [step.rate, step.adds, *(each.rate for each in step.registers)]
        rates += [tariff.free.rate] if tariff.free else []
        self._take("energy", LineKind.ENERGY, max(map(self._wh_exponent, rates)))
        for part, kind in ((tariff.capacity, "capacity"), (tariff.demand, "demand")):
            if part is not None:
                self._take(kind, LineKind.DEMAND, FINE)
        for fee in tariff.fees:
            x = FINE if fee.per_day is None else self._major(fee.per_day)[1]
            self._take(fee.code, LineKind.FIXED, x)
        for each in tariff.surcharges:
            if each.rate is not None:
                self._take(each.code, LineKind.SURCHARGE, self._wh_exponent(each.rate))
        if tariff.power_factor is not None:
            finest = self._finest(self._on(tariff.power_factor.on))
            x = finest + _PERCENT_DIGITS + POWER_FACTOR_DIGITS
            self._take("power_factor", LineKind.POWER_FACTOR, x)
        for added in self._by_percent():
            assert added.percent is not None
            self._take_percent(added.code, LineKind.SURCHARGE, added.percent, added.on)
        for tax in tariff.taxes:
            self._take_percent(tax.code, LineKind.TAX, tax.percent, tax.on)
        self.scale = max(self.exponents.values())

    def _take(self, code: str, kind: LineKind, x: int) -> None:
        place = self.places[code] = len(self.places)
        self.kinds[place] = kind
        self.exponents[place] = x

    def _take_percent(self, code: str, kind: LineKind, percent: Decimal, on: Iterable[str]) -> None:
        x = max(FINE, self._finest(self._on(on)) + split(percent)[1] + _PERCENT_DIGITS)
        self._take(code, kind, x)

    def _finest(self, places: Iterable[int]) -> int:
        return max((self.exponents[place] for place in places), default=0)

    def _on(self, words: Iterable[str]) -> tuple[int, ...]:
        """The places that words stand for, of those that are taken so far."""
        found: dict[int, None] = {}
        for word in words:
            if word in _KINDS:
                found |= dict.fromkeys(
                    place for place, kind in self.kinds.items() if kind is _KINDS[word]
                )
            else:
                found[self.places[word]] = None
        return tuple(found)

    def _by_percent(self) -> list[Surcharge]:
        return [each for each in self.tariff.surcharges if each.percent is not None]

    def _asked(self) -> tuple[str, ...]:
        tariff = self.tariff
        steps = tariff.blocks.steps if tariff.blocks else ()
        found = {each.code for each in tariff.energy.registers}
        found |= {each.code for step in steps for each in step.registers}
        return tuple(sorted(found))

    def _period(self) -> Period | None:
        tariff = self.tariff
        if tariff.free or tariff.demand or tariff.power_factor:
            return Period.MONTH
        return None if tariff.blocks is None else tariff.blocks.period

    # --- numbers -----------------------------------------------------------------------------

    def _major(self, rate: Decimal) -> tuple[int, int]:
        m, x = split(rate)
        return shift(m, x - self.digits)

    def _thousandth(self, rate: Decimal) -> tuple[int, int]:
        """Of a rate per kWh, kW, kVA: what a thousandth costs in minor units."""
        m, x = split(rate)
        return shift(m, x - self.digits + _WH_DIGITS)

    def _wh_exponent(self, rate: Decimal | None) -> int:
        return 0 if rate is None else self._thousandth(rate)[1]

    # --- parts -------------------------------------------------------------------------------

    def _rated(
        self,
        kind: LineKind,
        code: str,
        name: str,
        place: int,
        rate: Decimal,
        number: tuple[int, int],
    ) -> Rated:
        m, x = number
        return Rated(kind, code, name, place, m, x, 10 ** (self.scale - x), rate, f"{rate:f}")

    def _per_kwh(self, kind: LineKind, code: str, name: str, rate: Decimal, place: int) -> Rated:
        return self._rated(kind, code, name, place, rate, self._thousandth(rate))

    def _registers(self, registers: Iterable[Register], prefix: str = "") -> tuple[Rated, ...]:
        return tuple(
            self._per_kwh(LineKind.ENERGY, f"{prefix}{each.code}", each.name, each.rate, 0)
            for each in registers
        )

    def _blocks(self, blocks: Blocks) -> BlocksPlan:
        steps = []
        for number, step in enumerate(blocks.steps, 1):
            rate = step.adds if step.rate is None else step.rate
            code = f"block{number}"
            rated = None
            if rate is not None:
                rated = self._per_kwh(LineKind.ENERGY, code, f"block {number}", rate, 0)
            steps.append(StepPlan(number, rated, self._registers(step.registers, f"{code}.")))
        bounds = tuple(step.up_to_wh for step in blocks.steps)
        return BlocksPlan(blocks, bounds, tuple(steps), step_words(bounds, blocks.period.value))

    def _free(self, free: Free) -> FreePlan:
        return FreePlan(free, self._per_kwh(LineKind.ENERGY, "free", free.name, free.rate, 0))

    def _by_month(
        self, kind: LineKind, code: str, name: str, rate: Decimal, number: tuple[int, int]
    ) -> Rated:
        """A rate of a month, of which days take shares: in the unit that shares are kept in."""
        m, x = number
        fine = self.exponents[self.places[code]]
        assert fine >= FINE
        return Rated(
            kind, code, name, self.places[code], m, x, 10 ** (self.scale - fine), rate, f"{rate:f}"
        )

    def _capacity(self, capacity: Capacity) -> Rated:
        number = self._thousandth(capacity.per_month)
        return self._by_month(
            LineKind.DEMAND, "capacity", capacity.name, capacity.per_month, number
        )

    def _demand(self, demand: Demand) -> DemandPlan:
        def rated(rate: Decimal) -> Rated:
            return self._by_month(
                LineKind.DEMAND, "demand", demand.name, rate, self._thousandth(rate)
            )

        excess = demand.excess_per_month
        return DemandPlan(
            demand,
            rated(demand.per_month),
            None if excess is None else rated(excess),
            demand.at_least_percent,
            demand.excess_over_percent,
        )

    def _fees(self) -> tuple[FeePlan, ...]:
        plans = []
        for fee in self.tariff.fees:
            place = self.places[fee.code]
            if fee.per_month is not None:
                number = self._major(fee.per_month)
                rated = self._by_month(LineKind.FIXED, fee.code, fee.name, fee.per_month, number)
                plans.append(FeePlan(rated, by_month=True))
            else:
                assert fee.per_day is not None
                rated = self._rated(
                    LineKind.FIXED, fee.code, fee.name, place, fee.per_day, self._major(fee.per_day)
                )
                plans.append(FeePlan(rated, by_month=False))
        return tuple(plans)

    def _power_factor(self, factor: PowerFactor) -> PowerFactorPlan:
        place = self.places["power_factor"]
        x = self.exponents[place]
        return PowerFactorPlan(
            factor,
            frozenset(_KINDS[word] for word in factor.on),
            self._on(factor.on),
            place,
            x,
            10 ** (self.scale - x),
            factor.name,
        )

    def _percent(self, each: Surcharge | Tax, kind: LineKind) -> Percent:
        assert each.percent is not None
        m, digits = split(each.percent)
        place = self.places[each.code]
        x = self.exponents[place]
        before = {word: at for word, at in self.places.items() if at < place}
        on = tuple(at for at in self._on(each.on) if at in before.values())
        contained = isinstance(each, Tax) and each.contained
        whole = 10 ** (digits + _PERCENT_DIGITS)
        return Percent(
            kind,
            each.code,
            each.name,
            place,
            on,
            m,
            whole + m if contained else whole,
            x,
            10 ** (self.scale - x),
            each.percent,
            f"{each.percent:f}",
            contained,
        )
