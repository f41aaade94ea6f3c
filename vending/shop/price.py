"""The shop's own price: flat, per kWh, and one tax.  The simplest tariff.

A meter without a tariff of its own is sold to at this price.  It is priced as any other tariff
is (`vending.price.quoting`), with one block and one tax on it:

* The price is a whole number of 1/1000 of a minor unit per kWh, before tax; the tax is in
  basis points (1500 = 15 %).
* Units are rounded down, what they cost up, the tax half up; the rest of the money is change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from vending.price import quoting
from vending.price.lines import LineKind, PriceLine, Quote
from vending.price.situation import Situation
from vending.price.tariff import PRICE_MAX, RATE_SCALE, Block, Step, Tariff, Tax
from vending.price.words import PERCENT_DIGITS, PRICE_DIGITS, percent_text, rate_text
from vending.shop.faults import InvalidSettingError
from vending.shop.money import Currency, parse_scaled
from vending.shop.resources import Resource
from vending.shop.values import require_whole

__all__ = [
    "FLAT_TAX",
    "LineKind",
    "Price",
    "PriceLine",
    "Quote",
    "cost_minor",
    "flat_tariff",
    "parse_price",
    "percent_text",
    "price_text",
    "quote",
]

FLAT_TAX: Final = "tax"
"""The code of the flat price's tax."""
_NOTHING_KNOWN: Final = Situation()


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
        if not 0 < self.per_kwh <= PRICE_MAX:
            raise InvalidSettingError(
                "A price per kWh must be above zero and at most a thousand million minor units."
            )
        if not 0 <= self.tax_bp <= RATE_SCALE:
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


@lru_cache(maxsize=64)
def flat_tariff(price: Price, resource: Resource = Resource.ELECTRICITY) -> Tariff:
    """A flat price as a tariff.  It collects the debts of a meter, too."""
    return Tariff(
        name="Flat price",
        blocks=(Block(price.per_kwh),),
        resource=resource,
        order=(Step.ARREARS, Step.TAXES, Step.ENERGY),
        taxes=(Tax(FLAT_TAX, "", price.tax_bp),),
    )


def quote(price: Price, tendered_minor: int, currency: Currency) -> Quote:
    """What ``tendered_minor`` buys.

    Raises:
        RequestFormatError: no whole number.
        BelowMinimumError: not even 0.1 kWh.
        AboveMaximumError: more than one token can carry.
    """
    return quoting.quote(flat_tariff(price), _NOTHING_KNOWN, tendered_minor, currency)


def cost_minor(price: Price, units: int) -> int:
    """What so many tenths of a kWh cost with tax, rounded up to a whole minor unit."""
    return quoting.cost_minor(flat_tariff(price), 0, units)


def price_text(price: Price, currency: Currency) -> str:
    """A price per kWh as people read it: at least the currency's digits, no idle zeros."""
    return rate_text(price.per_kwh, currency)
