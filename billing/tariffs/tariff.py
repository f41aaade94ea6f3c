"""A tariff as data.  Pure values; `document` reads them, `plan` prepares them for pricing.

==============  ==============================================================================
part            what it says
==============  ==============================================================================
`Energy`        a rate per kWh, or one for each register of time of use (分时)
`Blocks`        steps by calendar month or year (阶梯): rates, or what is added to `Energy`
`Free`          units of a month that cost nothing
`Capacity`      per contracted kVA or kW and month, of a two-part tariff
`Demand`        per kW of the month's highest demand, of a two-part tariff
`PowerFactor`   percent by the tables of 1983 (力率调整)
`Fee`           per day or per month
`Surcharge`     per kWh, or percent
`Tax`           percent, on top or contained in the prices
==============  ==============================================================================

Rates are exact decimals: major units of the currency per kWh, kVA, kW, day, month; percents.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from vending.shop.money import Currency


class Period(StrEnum):
    """Over which time steps count."""

    MONTH = "month"
    YEAR = "year"


class Prorate(StrEnum):
    """How limits shrink when only a part of their period is supplied."""

    DAYS = "days"
    MONTHS = "months"
    """A month that is begun counts in full."""
    NONE = "none"


class OnChange(StrEnum):
    """What a new version in the middle of a period does to the steps."""

    ACCUMULATE = "accumulate"
    """What was used counts on, against the whole limits of the new version."""
    SPLIT = "split"
    """Each version has its own part of the limits and begins at nothing."""


class Rounding(StrEnum):
    """How a sum becomes whole minor units; what is left is carried, so nothing is lost.

    All of them treat 0.4 and 7.4 alike, so that it makes no difference how often is rounded.
    """

    HALF_UP = "half_up"
    DOWN = "down"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Register:
    """The rate of one register of time of use."""

    code: str
    """``t1`` .. ``t8``."""
    name: str
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Energy:
    """What energy costs, apart from steps: either one rate or registers."""

    rate: Decimal | None = None
    registers: tuple[Register, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One block; exactly one of ``rate``, ``adds`` and ``registers`` is given."""

    up_to_wh: int | None
    """Of the whole period; None: the last one."""
    rate: Decimal | None = None
    adds: Decimal | None = None
    """On top of `Energy`."""
    registers: tuple[Register, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocks:
    """Steps; the first kWh of a period are in the first one."""

    period: Period
    steps: tuple[Step, ...]
    prorate: Prorate = Prorate.DAYS
    on_change: OnChange = OnChange.ACCUMULATE


@dataclass(frozen=True, slots=True)
class Free:
    """The first units of each month, given back at a rate."""

    wh: int
    rate: Decimal
    prorate: Prorate = Prorate.DAYS
    classes: tuple[str, ...] = ()
    """Of accounts; empty: whoever has the tariff."""
    name: str = "free units"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What contracted capacity costs."""

    unit: str
    """``kVA`` or ``kW``."""
    per_month: Decimal
    name: str = "capacity"


@dataclass(frozen=True, slots=True)
class Demand:
    """What the month's highest demand costs."""

    per_month: Decimal
    """Of a kW."""
    at_least_percent: Decimal = Decimal(0)
    """Of the contracted capacity: so much is charged in any case."""
    excess_over_percent: Decimal | None = None
    """Of the contracted capacity: what is above costs ``excess_per_month``."""
    excess_per_month: Decimal | None = None
    name: str = "demand"


@dataclass(frozen=True, slots=True)
class PowerFactor:
    """Adjustment by power factor, of the charges of a month."""

    standard: int
    """Hundredths: 90, 85 or 80."""
    on: tuple[str, ...]
    name: str = "power factor"


@dataclass(frozen=True, slots=True)
class Fee:
    """A sum for each day or month; exactly one is given."""

    code: str
    name: str
    per_day: Decimal | None = None
    per_month: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Surcharge:
    """So much for each kWh, or a percentage of something; exactly one is given."""

    code: str
    name: str
    rate: Decimal | None = None
    percent: Decimal | None = None
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tax:
    """A percentage; contained: the prices have it in them, and it is only told."""

    code: str
    name: str
    percent: Decimal
    on: tuple[str, ...]
    contained: bool = False


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a document says."""

    code: str
    name: str
    currency: Currency
    energy: Energy = Energy()
    blocks: Blocks | None = None
    free: Free | None = None
    capacity: Capacity | None = None
    demand: Demand | None = None
    power_factor: PowerFactor | None = None
    fees: tuple[Fee, ...] = ()
    surcharges: tuple[Surcharge, ...] = ()
    taxes: tuple[Tax, ...] = ()
    rounding: Rounding = Rounding.HALF_UP

    @property
    def free_on_change(self) -> OnChange:
        """Free units of a month are counted as the steps of the month are."""
        if self.blocks is not None and self.blocks.period is Period.MONTH:
            return self.blocks.on_change
        return OnChange.ACCUMULATE
