"""What a typed line means.  Pure: no shop, no screen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from vending.shop.money import Currency, parse_scaled
from vending.sts import MeterPan

_BLANKS: Final = re.compile(r"[ -]")
_PAN_DIGITS: Final = 18
_SECRET_DIGITS: Final = 16
_TOKEN_DIGITS: Final = 20
# The decimal key of many keypads is a comma; before three digits it would be a thousand's.
_COMMA: Final = re.compile(r"([0-9]+),([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Bought:
    """Money, or units: one of them."""

    amount_minor: int | None
    units: int | None
    """Tenths."""


def hint(typed: str) -> str | None:
    """What a number is that is no meter's, when its length tells."""
    digits = _BLANKS.sub("", typed)
    if not digits.isdecimal():
        return None
    return {
        _TOKEN_DIGITS: "20 digits are a token, not a meter: *7 verifies it.",
        _SECRET_DIGITS: "16 digits are a voucher, not a meter: *6 redeems it.",
    }.get(len(digits))


def is_search(typed: str) -> bool:
    """Whether somebody is looked for by name or account: ``/4711``, or letters."""
    return typed.startswith("/") or any(sign.isalpha() for sign in typed)


def meter_number(typed: str) -> str:
    """The number on a meter's face; a card's 18 digits have it inside of them.

    Raises:
        CheckDigitError, InvalidValueError: not a meter's number; says what is wrong.
    """
    digits = _BLANKS.sub("", typed)
    if len(digits) == _PAN_DIGITS:
        return MeterPan.parse(digits).drn
    return MeterPan.from_drn(digits).drn


def amount(typed: str, currency: Currency) -> int:
    """Money as it is typed, in minor units.

    Raises:
        AmountFormatError: it cannot be read without doubt.
    """
    return currency.parse(_point(typed))


def bought(typed: str, currency: Currency) -> Bought:
    """``100`` is money; ``+50`` and ``*50`` are units.

    Raises:
        AmountFormatError: it cannot be read without doubt.
    """
    if typed[:1] in ("+", "*"):
        return Bought(None, units(typed[1:]))
    return Bought(amount(typed, currency), None)


def units(typed: str) -> int:
    """Units in tenths.

    Raises:
        AmountFormatError: it cannot be read without doubt.
    """
    return parse_scaled(_point(typed), 1, "A number of units", "Units have")


def _point(typed: str) -> str:
    match = _COMMA.fullmatch(typed.strip())
    return typed if match is None else f"{match[1]}.{match[2]}"
