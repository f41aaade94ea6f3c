"""Prices, rates and things as people read them.  Pure."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final

from vending.shop.money import Currency, scaled

PRICE_DIGITS: Final = 3
"""A price has so many digits more than its currency."""
PERCENT_DIGITS: Final = 2
"""A basis point is a hundredth of a per cent."""
_THINGS: Final = {"energy": "energy", "charges": "charges", "fee": "the fee"}
_KEPT: Final = 1_024
"""Texts of prices in use are made once."""


def rate_text(price: int, currency: Currency) -> str:
    """A price for ten units: at least the currency's digits, no idle zeros."""
    return _rate_text(price, currency.minor_digits)


@lru_cache(_KEPT)
def _rate_text(price: int, minor_digits: int) -> str:
    text = scaled(price, minor_digits + PRICE_DIGITS)
    idle = len(text) - len(text.rstrip("0"))
    return text[: len(text) - min(idle, PRICE_DIGITS)].rstrip(".")


@lru_cache(_KEPT)
def percent_text(basis_points: int) -> str:
    """Basis points as per cent: ``15``, ``7.5``."""
    return scaled(basis_points, PERCENT_DIGITS).rstrip("0").rstrip(".")


def things_text(things: tuple[StrEnum, ...]) -> str:
    """What a tax is on, as a sentence says it: ``energy, charges and the fee``."""
    words = [_THINGS[thing.value] for thing in things]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
