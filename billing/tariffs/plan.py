"""A tariff prepared for pricing: rates as whole numbers, parts in the order of their lines.

Each part has a place, where the sum of its amounts stands while a usage is priced; percentages
name the places that they are on.  See `exact` for the numbers, `preparing` for how it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from billing.tariffs.tariff import Blocks, Demand, Free, Period, PowerFactor, Rounding
from billing.tariffs.values import LineKind


@dataclass(frozen=True, slots=True)
class Rated:
    """A rate for something that is counted."""

    kind: LineKind
    code: str
    name: str
    place: int
    m: int
    x: int
    """Quantity times ``m`` is an amount in 10^-x minor units."""
    up: int
    """10^(scale - x)."""
    rate: Decimal
    rate_text: str


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A step: what is charged for the energy in it."""

    number: int
    rated: Rated | None
    registers: tuple[Rated, ...]


@dataclass(frozen=True, slots=True)
class BlocksPlan:
    """The steps."""

    blocks: Blocks
    bounds: tuple[int | None, ...]
    steps: tuple[StepPlan, ...]
    words: tuple[str, ...]
    """Of each step, for a whole period."""


@dataclass(frozen=True, slots=True)
class FreePlan:
    """Free units."""

    free: Free
    rated: Rated


@dataclass(frozen=True, slots=True)
class DemandPlan:
    """A price of demand."""

    demand: Demand
    rated: Rated
    excess: Rated | None
    least_percent: Decimal
    over: Decimal | None


@dataclass(frozen=True, slots=True)
class FeePlan:
    """A fee."""

    rated: Rated
    by_month: bool


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage of the sums at some places."""

    kind: LineKind
    code: str
    name: str
    place: int
    on: tuple[int, ...]
    m: int
    divisor: int
    """An amount times ``m`` divided by it: exact at this scale."""
    x: int
    down: int
    """10^(scale - x)."""
    percent: Decimal
    percent_text: str
    contained: bool = False


@dataclass(frozen=True, slots=True)
class PowerFactorPlan:
    """The adjustment by power factor."""

    factor: PowerFactor
    kinds: frozenset[LineKind]
    """Whose charges of the month before count."""
    on: tuple[int, ...]
    place: int
    x: int
    down: int
    name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a tariff."""

    scale: int
    unit: int
    """10^scale."""
    minor_digits: int
    smallest: Decimal
    """One minor unit, in major units."""
    places: int
    rounding: Rounding
    flat: Rated | None
    registers: tuple[Rated, ...]
    blocks: BlocksPlan | None
    free: FreePlan | None
    capacity: Rated | None
    capacity_unit: str
    demand: DemandPlan | None
    fees: tuple[FeePlan, ...]
    per_kwh: tuple[Rated, ...]
    power_factor: PowerFactorPlan | None
    percents: tuple[Percent, ...]
    """Surcharges and taxes, in order."""
    tax_places: tuple[int, ...]
    period: Period | None
    """A usage has to lie within one calendar month, or year; None: it does not matter."""
    asked: tuple[str, ...]
    """The registers of time of use that a usage needs: their energy is the total together."""
