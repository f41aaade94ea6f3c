"""Money to units: a flat price per kWh and one tax, line by line.  Pure integer functions.

* The price is a whole number of 1/1000 of a minor unit per kWh, before tax; the tax is in
  basis points (1500 = 15 %).
* Units are as many tenths of a kWh as the money pays for including tax, rounded **down** to
  what a token can represent (`vending.sts.floor_amount`).
* What they cost is rounded **up** to a whole minor unit, so that units never exceed what was
  paid; the difference is less than one minor unit.
* The tax is the part of that cost that the tax makes up, rounded half up; energy is the rest
  of the cost; what is left of the money is change.

So the lines add up to the tendered amount, always (specs/vending.md, "Money to units").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vending.shop.faults import AboveMaximumError, BelowMinimumError, InvalidSettingError
from vending.shop.money import Currency, parse_scaled, scaled
from vending.shop.values import require_whole
from vending.sts import AMOUNT_MAX, floor_amount

PRICE_SCALE: Final = 1_000
"""A price counts thousandths of a minor unit."""
PRICE_DIGITS: Final = 3
TAX_SCALE: Final = 10_000
"""A tax rate counts basis points."""
PERCENT_DIGITS: Final = 2
"""A basis point is a hundredth of a per cent."""
_UNITS_PER_KWH: Final = 10
_PRICE_MAX: Final = 10**12
_COST_SCALE: Final = _UNITS_PER_KWH * PRICE_SCALE * TAX_SCALE


@dataclass(frozen=True, slots=True)
class Price:
    """A flat price.

    Raises:
        InvalidSettingError: no whole numbers; the price is not above zero, or the tax not
            0-100 %.
    """

    per_kwh: int
    """Before tax, in 1/1000 of a minor unit."""
    tax_bp: int = 0
    """In basis points of the price before tax."""

    def __post_init__(self) -> None:
        require_whole("A price", self.per_kwh, fault=InvalidSettingError)
        require_whole("A tax rate", self.tax_bp, fault=InvalidSettingError)
        if not 0 < self.per_kwh <= _PRICE_MAX:
            raise InvalidSettingError(
                "A price per kWh must be above zero and at most a thousand million minor units."
            )
        if not 0 <= self.tax_bp <= TAX_SCALE:
            raise InvalidSettingError("A tax rate must lie between 0 and 100 %.")


def parse_price(per_kwh: str, tax_percent: str, currency: Currency) -> Price:
    """A price as people type it: ``2.50`` per kWh, ``15`` per cent.

    Raises:
        AmountFormatError: not such numbers, or with too many digits.
        InvalidSettingError: out of range.
    """
    digits = currency.minor_digits + PRICE_DIGITS
    return Price(
        parse_scaled(per_kwh, digits, "A price", f"A price in {currency.code} has"),
        parse_scaled(tax_percent, PERCENT_DIGITS, "A tax rate", "A tax rate has"),
    )


class LineKind(StrEnum):
    """What a line of a receipt is for."""

    ENERGY = "energy"
    TAX = "tax"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class PriceLine:
    """Where a part of the money went, and why."""

    kind: LineKind
    amount_minor: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What an amount buys.  The lines add up to ``tendered_minor``."""

    tendered_minor: int
    units: int
    """Tenths of a kWh, exactly as the token carries them."""
    lines: tuple[PriceLine, ...]
    """Lines of zero are left out."""

    def amount_of(self, kind: LineKind) -> int:
        """What a kind of line comes to, in minor units."""
        return sum(line.amount_minor for line in self.lines if line.kind is kind)

    @property
    def change_minor(self) -> int:
        """What goes back to the customer."""
        return self.amount_of(LineKind.CHANGE)


def quote(price: Price, tendered_minor: int, currency: Currency) -> Quote:
    """What ``tendered_minor`` buys.

    Raises:
        RequestFormatError: no whole number.
        BelowMinimumError: not even 0.1 kWh.
        AboveMaximumError: more than one token can carry.
    """
    require_whole("An amount in minor units", tendered_minor)
    affordable = tendered_minor * _COST_SCALE // _cost_factor(price)
    if affordable < 1:
        raise BelowMinimumError(
            f"{currency.code} {currency.text(tendered_minor)} does not pay for 0.1 kWh; "
            f"at least {currency.code} {currency.text(cost_minor(price, 1))} does."
        )
    if affordable > AMOUNT_MAX:
        raise AboveMaximumError(
            f"{currency.code} {currency.text(tendered_minor)} buys more than a token can carry "
            f"({scaled(AMOUNT_MAX, 1)} kWh): sell it in several parts."
        )
    units = floor_amount(affordable)
    cost = cost_minor(price, units)
    tax = _contained_tax(price, cost)
    lines = (
        PriceLine(
            LineKind.ENERGY,
            cost - tax,
            f"{scaled(units, 1)} kWh @ {price_text(price, currency)}",
        ),
        PriceLine(LineKind.TAX, tax, f"{percent_text(price.tax_bp)} % tax on energy"),
        PriceLine(LineKind.CHANGE, tendered_minor - cost, _change_reason(affordable, units)),
    )
    return Quote(tendered_minor, units, tuple(line for line in lines if line.amount_minor))


def cost_minor(price: Price, units: int) -> int:
    """What so many tenths of a kWh cost with tax, rounded up to a whole minor unit."""
    return -(-units * _cost_factor(price) // _COST_SCALE)


def price_text(price: Price, currency: Currency) -> str:
    """A price per kWh as people read it: at least the currency's digits, no idle zeros."""
    digits = currency.minor_digits + PRICE_DIGITS
    text = scaled(price.per_kwh, digits)
    idle = len(text) - len(text.rstrip("0"))
    return text[: len(text) - min(idle, PRICE_DIGITS)].rstrip(".")


def percent_text(basis_points: int) -> str:
    """Basis points as per cent: ``15``, ``7.5``."""
    return scaled(basis_points, PERCENT_DIGITS).rstrip("0").rstrip(".")


def _cost_factor(price: Price) -> int:
    return price.per_kwh * (TAX_SCALE + price.tax_bp)


def _contained_tax(price: Price, cost: int) -> int:
    whole = TAX_SCALE + price.tax_bp
    return (2 * cost * price.tax_bp + whole) // (2 * whole)


def _change_reason(affordable: int, units: int) -> str:
    if affordable == units:
        return "less than 0.1 kWh"
    return f"{scaled(affordable - units, 1)} kWh more cannot be put on one token"
