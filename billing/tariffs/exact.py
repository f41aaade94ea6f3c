"""Exact arithmetic: whole numbers with a power of ten, as fast as integers are.

A rate becomes a whole number ``m`` and an exponent ``x``, so that a quantity times ``m`` is an
amount in 10^-x minor units.  Sums of one price are whole numbers of 10^-scale minor units, where
the scale is the finest that any part of the tariff needs.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

CONTEXT: Final = Context(prec=200)
"""So many digits that no sum of ours is ever cut."""
FINE: Final = 6
"""Digits of a minor unit that a division keeps: shares of months, taxes that are contained."""


def split(value: Decimal) -> tuple[int, int]:
    """A decimal as (m, x), value = m / 10^x, x not below zero and as small as can be."""
    sign, digits, exponent = CONTEXT.normalize(value).as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits))) * (-1 if sign else 1)
    return (number * 10**exponent, 0) if exponent >= 0 else (number, -exponent)


def shift(m: int, x: int) -> tuple[int, int]:
    """The same number with an exponent that is not below zero."""
    return (m, x) if x >= 0 else (m * 10**-x, 0)


def decimal(number: int, x: int) -> Decimal:
    """number / 10^x."""
    return CONTEXT.scaleb(Decimal(number), -x)


def kwh(wh: int) -> str:
    """Wh as people read it, in kWh."""
    sign, wh = ("-", -wh) if wh < 0 else ("", wh)
    return f"{sign}{wh // 1000}.{wh % 1000:03d}"


def short_kwh(wh: int) -> str:
    """Wh that are not below zero in kWh, without zeros at the end: limits."""
    whole, part = divmod(wh, 1000)
    return f"{whole}.{part:03d}".rstrip("0").rstrip(".") if part else str(whole)
