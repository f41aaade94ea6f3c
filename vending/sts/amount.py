"""Transfer amounts: 16 bits that reach 1,820,162.4 kWh (IEC 62055-41, clause 6.3.6).

Two bits of exponent e, fourteen of mantissa m, in tenths of the service's unit (0.1 kWh,
0.1 m3, 0.1 min) or, for power limits, in watts:

=====  =====================  ======  ========================
e      value                  step    reaches
=====  =====================  ======  ========================
0      m                      1       0 .. 16,383
1      16,384 + 10 m          10      .. 180,214
2      180,224 + 100 m        100     .. 1,818,524
3      1,818,624 + 1,000 m    1,000   .. 18,201,624
=====  =====================  ======  ========================

A value between two steps is rounded **up**, in the customer's favour; `CodedAmount` shows by
how much, so that a shop can price first and then decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vending.sts.identity import require_range

_OFFSETS: Final = (0, 16_384, 180_224, 1_818_624)
_STEPS: Final = (1, 10, 100, 1_000)
_MANTISSA_BITS: Final = 14
_MANTISSA_MAX: Final = (1 << _MANTISSA_BITS) - 1

WH_PER_UNIT: Final = 100
"""An electricity token counts tenths of a kWh."""
AMOUNT_MAX: Final = 18_201_624
"""The largest amount that a token can carry."""


@dataclass(frozen=True, slots=True)
class CodedAmount:
    """What a token really carries for an amount that was asked for."""

    code: int
    """The 16 bits."""
    amount: int
    """The value of those bits, at least what was asked for."""
    rounding: int
    """How much more than asked for: 0 when the amount is representable."""


def encode_amount(amount: int) -> CodedAmount:
    """Code an amount, rounding up to the next step.

    Raises:
        InvalidValueError: negative, or more than `AMOUNT_MAX`.
    """
    if 0 <= amount < 16_384:
        return CodedAmount(amount, amount, 0)
    require_range("Amount", amount, 0, AMOUNT_MAX)
    for exponent in (1, 2, 3):
        step = _STEPS[exponent]
        mantissa = -(-(amount - _OFFSETS[exponent]) // step)
        if mantissa < 0:  # in the gap below this exponent's first value
            mantissa = 0
        if mantissa <= _MANTISSA_MAX:
            coded = _OFFSETS[exponent] + mantissa * step
            return CodedAmount(exponent << _MANTISSA_BITS | mantissa, coded, coded - amount)
    raise AssertionError("AMOUNT_MAX is the top of exponent 3")


def decode_amount(code: int) -> int:
    """The value of 16 coded bits."""
    exponent, mantissa = code >> _MANTISSA_BITS, code & _MANTISSA_MAX
    return _OFFSETS[exponent] + mantissa * _STEPS[exponent]


def floor_amount(amount: int) -> int:
    """The largest representable amount that is not more than ``amount``.

    A shop that sells this much gives nothing away and owes nothing.
    """
    require_range("Amount", amount, 0, AMOUNT_MAX)
    for exponent in (3, 2, 1):
        if amount >= _OFFSETS[exponent]:
            step = _STEPS[exponent]
            mantissa = min((amount - _OFFSETS[exponent]) // step, _MANTISSA_MAX)
            return _OFFSETS[exponent] + mantissa * step
    return amount
