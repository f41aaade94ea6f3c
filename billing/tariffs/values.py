"""What is priced, and what it comes to, line by line.  Pure values.

Amounts between lines and rounding are exact `Decimal`s of minor units; what is posted is whole
minor units, and the fraction that rounding leaves is carried to the next settlement of the same
supply, so that a month settled by days costs the same as the month settled at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class LineKind(StrEnum):
    """What a line is for."""

    ENERGY = "energy"
    DEMAND = "demand"
    """Capacity or demand, of a two-part tariff."""
    FIXED = "fixed"
    POWER_FACTOR = "power_factor"
    SURCHARGE = "surcharge"
    TAX = "tax"
    ROUNDING = "rounding"


@dataclass(frozen=True, slots=True)
class MonthBefore:
    """What earlier settlements of the month have charged, for the month's power factor."""

    active_wh: int
    reactive_varh: int
    charges: Mapping[LineKind, Decimal]
    """Exact amounts of their lines by kind, added up; minor units."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a supply used in a span that lies within one tariff version."""

    since: datetime
    until: datetime
    energy_wh: Mapping[str, int]
    """By register: ``total`` always; by time of use besides ``t1`` .. ``t8`` as the meter counts
    them, which add up to the total."""
    demand_w: int | None = None
    """The highest of the month so far, where the tariff asks for it."""
    reactive_varh: int | None = None
    """Imported reactive energy, where the tariff has a power factor."""
    before_wh: Mapping[str, int] = field(default_factory=dict)
    """Total energy used before ``since`` in the same block period: ``month``, ``year``."""
    carried: Decimal = Decimal(0)
    """The fraction of a minor unit that the last settlement left."""
    tax_carried: Decimal = Decimal(0)
    """The same of the tax alone: `Priced.tax_carried` of the last settlement."""
    supply_since: datetime | None = None
    """When the supply began, if that was in the month or year of the steps; else it makes no
    difference."""
    supply_ends: bool = False
    """Whether the supply ends with ``until``: its last settlement, which cuts the steps."""
    version_ends: bool = False
    """Whether the tariff's version ends with ``until`` (`VersionSpan.ends`)."""
    capacity: int | None = None
    """Contracted: W, or VA where the tariff counts kVA."""
    demand_before_w: int | None = None
    """The highest of the month before ``since``; needed where the month is settled in parts."""
    month_before: MonthBefore | None = None
    """What was settled of the month before ``since``, where the tariff has a power factor and the
    month is settled in parts; needed by the settlement that ends the month or the supply."""
    customer_class: str = ""
    """Of the account, where the tariff gives free units to some classes only."""


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One line, and how it came about."""

    kind: LineKind
    code: str
    """Of the tariff's part: ``block2``, ``t1``, ``vat``."""
    words: str
    """For the customer, in English: ``block 2: 100.000 kWh at 0.55``."""
    amount: Decimal
    """Minor units, exact; below zero: a rebate."""
    quantity: Decimal | None = None
    unit: str = ""
    """Of the quantity: ``kWh``, ``kW``, ``day``, ``%``."""
    rate: Decimal | None = None
    """Major units per unit, or percent."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a usage costs.  The lines' amounts and what was carried in add up to
    ``amount_minor + carried``."""

    tariff: str
    version: int
    since: datetime
    until: datetime
    lines: tuple[ChargeLine, ...]
    amount_minor: int
    """What is posted."""
    tax_minor: int
    """The part of it that is tax."""
    carried: Decimal
    """The fraction of a minor unit that is left: more than -1, less than 1."""
    tax_carried: Decimal = Decimal(0)
    """The same of the tax alone."""
